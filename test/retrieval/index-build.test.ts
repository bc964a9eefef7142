/**
 * The index of a collection on a PostgreSQL with pgvector, where one is: chunks are written and found while it is built.
 * How builds go on beside writers, and what a crash leaves: `db/concurrent-index.test.ts`, on any PostgreSQL.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expireCollections } from '@tollgate/retrieval/expiry/sweep';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { ChunkSearch } from '@tollgate/shared/db/retrieval/chunk-search';
import { ChunkWriter, INDEX_FROM_CHUNKS } from '@tollgate/shared/db/retrieval/chunk-writer';
import { CollectionFileStore } from '@tollgate/shared/db/retrieval/collection-files';
import { CollectionStore } from '@tollgate/shared/db/retrieval/collections';
import { migrateRetrieval } from '@tollgate/shared/db/retrieval/migrate';
import { eventually } from '@tollgate/shared/testkit/eventually';
import type { TestPostgres } from '@tollgate/shared/testkit/postgres';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { sql } from 'kysely';
import pg from 'pg';
import { havePgvector, startPgvector } from './pgvector.ts';

const DIMENSIONS = 8;
const owner = { accountId: 'acct_a', projectId: '' };

(havePgvector() ? describe : describe.skip)('on PostgreSQL with pgvector', () => {
  const random = seededRandom(5);
  let server: TestPostgres;
  let db: Db;
  let collections: CollectionStore;
  let files: CollectionFileStore;
  let writer: ChunkWriter;
  let search: ChunkSearch;

  beforeAll(async () => {
    server = await startPgvector(() => {});
    db = openDatabase({ url: server.url, poolMax: 6, applicationName: 'test' });
    await migrateRetrieval(db);
    collections = new CollectionStore(db);
    files = new CollectionFileStore(db);
    writer = new ChunkWriter(db);
    search = new ChunkSearch(db);
  }, 120_000);
  afterAll(async () => {
    await db?.destroy();
    await server?.stop();
  });

  const unit = (): number[] => {
    const vector = Array.from({ length: DIMENSIONS }, () => random.float() - 0.5);
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  };
  async function addFile(storeId: string, fileId: string, vectors: readonly number[][]): Promise<void> {
    const ref = { storeId, fileId, ingestId: `ing_${fileId}` };
    const facts = { keyId: 'key', filename: fileId, attributes: {}, chunkTokens: 100, overlapTokens: 0 };
    await files.add({ ...ref, ...facts, batchId: null, createdAtMs: 0 });
    const chunks = vectors.map((embedding, seq) => ({
      ...{ seq, heading: '', place: '', text: `${fileId} ${seq}`, tokens: 2, embedding },
    }));
    expect(await writer.append(ref, chunks)).toBe('written');
    expect(await writer.complete(ref)).toBe(true);
  }
  async function grown(id: string): Promise<string> {
    await collections.create({
      ...owner,
      id,
      name: id,
      model: 'm',
      dimensions: DIMENSIONS,
      metadata: {},
      createdAtMs: 0,
    });
    await addFile(id, `${id}_large`, Array.from({ length: INDEX_FROM_CHUNKS }, unit));
    return id;
  }
  const isValid = async (id: string): Promise<boolean | null> => {
    const { rows } = await sql<{ valid: boolean }>`
      SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass(${`retrieval."hnsw_${id}"`})`.execute(db);
    return rows[0]?.valid ?? null;
  };
  const nearest = async (storeId: string, vector: readonly number[]) => {
    const [hit] = await search.byVector({ storeId, dimensions: DIMENSIONS, filter: null }, vector, 1);
    return (await search.load([hit!.id]))[0]!.text;
  };

  test('chunks are written and found while it is built, and are in it then; others wait for the sweep', async () => {
    const [first, second, gone] = [await grown('vs_first'), await grown('vs_second'), await grown('vs_third')];
    expect(await writer.ensureIndex(gone, DIMENSIONS)).toBe(true);
    // Somebody who has written and goes on: a build waits for him before it begins.
    const open = new pg.Client({ connectionString: server.url });
    await open.connect();
    await open.query('BEGIN; LOCK TABLE retrieval.chunks IN ROW EXCLUSIVE MODE');
    const building = writer.ensureIndex(first, DIMENSIONS);
    await eventually('it is being built', async () => (await isValid(first)) === false);

    const [meanwhile, elsewhere] = [unit(), unit()];
    await addFile(first, 'meanwhile', [meanwhile]);
    await addFile(second, 'elsewhere', [elsewhere]);
    expect([await nearest(first, meanwhile), await nearest(second, elsewhere)]).toEqual(['meanwhile 0', 'elsewhere 0']);
    expect(await writer.ensureIndex(second, DIMENSIONS)).toBe(false);
    expect((await writer.withoutIndex(10)).map(({ id }) => id)).toEqual([first, second]);
    // A deletion waits for nobody either.
    expect(await collections.delete(owner, gone)).toBe(true);
    await writer.dropIndex(gone);
    expect(await writer.leftIndexes()).toEqual([gone]);

    await open.query('COMMIT');
    await open.end();
    expect([await building, await isValid(first)]).toEqual([true, true]);
    expect(await nearest(first, meanwhile)).toBe('meanwhile 0');
    await expireCollections({ db, collections, writer }, 0);
    expect([await isValid(second), await writer.withoutIndex(10), await writer.leftIndexes()]).toEqual([true, [], []]);
    expect([await nearest(second, elsewhere), await isValid(gone)]).toEqual(['elsewhere 0', null]);
  }, 120_000);
});
