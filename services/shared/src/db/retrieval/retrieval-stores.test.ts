/** Collections, ingestion and search on PGlite with its vector extension: what a local start uses. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { startPglite, type TestDatabase } from '../../testkit/postgres.ts';
import { seededRandom } from '../../testkit/seeded-random.ts';
import { type Db, openDatabase } from '../client.ts';
import { ChunkSearch } from './chunk-search.ts';
import { ChunkWriter, INDEX_FROM_CHUNKS } from './chunk-writer.ts';
import { CollectionFileStore, type IngestRef } from './collection-files.ts';
import { CollectionStore, type Owner } from './collections.ts';
import type { Filter } from './filter-sql.ts';
import { migrateRetrieval } from './migrate.ts';

const DIMENSIONS = 8;
const owner: Owner = { accountId: 'acct_a', projectId: '' };

let database: TestDatabase;
let db: Db;
let collections: CollectionStore;
let files: CollectionFileStore;
let writer: ChunkWriter;
let search: ChunkSearch;
let count = 0;

beforeAll(async () => {
  database = await startPglite();
  db = openDatabase({ url: database.url, poolMax: 1, applicationName: 'test' });
  await migrateRetrieval(db);
  // Twice, as every start does it.
  expect((await migrateRetrieval(db)).applied).toEqual([]);
  collections = new CollectionStore(db);
  files = new CollectionFileStore(db);
  writer = new ChunkWriter(db);
  search = new ChunkSearch(db);
}, 60_000);
afterAll(async () => {
  await db.destroy();
  await database.stop();
});

async function collection(of = owner): Promise<string> {
  const id = `vs_${++count}Ab`;
  await collections.create({
    ...of,
    id,
    name: id,
    model: 'm',
    dimensions: DIMENSIONS,
    metadata: { a: 'b' },
    createdAtMs: count * 1_000,
  });
  return id;
}

async function added(storeId: string, fileId: string, attributes = {}): Promise<IngestRef> {
  const ref = { storeId, fileId, ingestId: `ing_${++count}` };
  const file = { ...ref, keyId: 'key_1', filename: `${fileId}.txt`, attributes, chunkTokens: 100, overlapTokens: 0 };
  expect(await files.add({ ...file, batchId: null, createdAtMs: count * 1_000 })).toBe(true);
  return ref;
}

/** A unit vector along one axis, a little bent towards the next. */
function along(axis: number, bend = 0): number[] {
  const vector = new Array<number>(DIMENSIONS).fill(0);
  vector[axis] = Math.cos(bend);
  vector[(axis + 1) % DIMENSIONS] = Math.sin(bend);
  return vector;
}

/** Unit vectors in all directions: a graph over points on a few curves is no graph of a collection. */
function scattered(count: number): number[][] {
  const random = seededRandom(7);
  return Array.from({ length: count }, () => {
    const vector = Array.from({ length: DIMENSIONS }, () => random.float() + random.float() - 1);
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  });
}

const chunk = (seq: number, text: string, embedding = along(seq % DIMENSIONS)) => ({
  seq,
  heading: '',
  place: '',
  text,
  tokens: 10,
  embedding,
});

async function filled(storeId: string, fileId: string, texts: string[], attributes = {}): Promise<IngestRef> {
  const ref = await added(storeId, fileId, attributes);
  expect(
    await writer.append(
      ref,
      texts.map((text, i) => chunk(i, text)),
    ),
  ).toBe('written');
  expect(await writer.complete(ref)).toBe(true);
  return ref;
}

const scope = (storeId: string, filter: Filter | null = null) => ({ storeId, dimensions: DIMENSIONS, filter });
const textsOf = async (ids: readonly { id: bigint }[]) => {
  const found = new Map((await search.load(ids.map(({ id }) => id))).map((entry) => [entry.id, entry.text]));
  return ids.map(({ id }) => found.get(id));
};

describe('owners', () => {
  test('see their own collections and nobody else does, by account and by project', async () => {
    const mine = await collection();
    for (const other of [
      { accountId: 'acct_b', projectId: '' },
      { accountId: 'acct_a', projectId: 'p' },
    ]) {
      expect(await collections.get(other, mine)).toBeNull();
      expect(await collections.update(other, mine, { name: 'x' })).toBe(false);
      expect(await collections.delete(other, mine)).toBe(false);
      expect((await collections.list(other, { limit: 100 })).data).toEqual([]);
    }
    expect(await collections.get(owner, mine)).toMatchObject({
      id: mine,
      metadata: { a: 'b' },
      dimensions: DIMENSIONS,
    });
  });

  test('page through their collections in both directions', async () => {
    const of = { accountId: 'acct_pages', projectId: '' };
    const ids = [await collection(of), await collection(of), await collection(of)];
    const first = await collections.list(of, { limit: 2 });
    expect([first.data.map(({ id }) => id), first.hasMore]).toEqual([[ids[2], ids[1]], true]);
    const next = await collections.list(of, { limit: 2, after: ids[1] });
    expect([next.data.map(({ id }) => id), next.hasMore]).toEqual([[ids[0]], false]);
    const up = await collections.list(of, { limit: 5, after: ids[0], order: 'asc' });
    expect(up.data.map(({ id }) => id)).toEqual([ids[1], ids[2]]);
    // Back from the last: what is nearest in front of it, in the order of the list.
    const back = await collections.list(of, { limit: 1, before: ids[0] });
    expect([back.data.map(({ id }) => id), back.hasMore]).toEqual([[ids[1]], true]);
    const whole = await collections.list(of, { limit: 5, before: ids[2], order: 'asc' });
    expect([whole.data.map(({ id }) => id), whole.hasMore]).toEqual([[ids[0], ids[1]], false]);
    expect((await collections.list(of, { limit: 5, before: 'vs_nothing' })).data).toEqual([]);
  });
});

describe('ingestion', () => {
  test('nothing is found before the file is whole', async () => {
    const store = await collection();
    const ref = await added(store, 'f1');
    await writer.append(ref, [chunk(0, 'zebra stripes')]);
    expect(await search.byWords(scope(store), 'zebra', 5)).toEqual([]);
    expect(await search.byVector(scope(store), along(0), 5)).toEqual([]);
    await writer.complete(ref);
    expect(await textsOf(await search.byWords(scope(store), 'zebra', 5))).toEqual(['zebra stripes']);
    expect(await textsOf(await search.byVector(scope(store), along(0), 5))).toEqual(['zebra stripes']);
  });

  test('goes on behind the last whole batch, and two readers do not write the same', async () => {
    const store = await collection();
    const ref = await added(store, 'f1');
    expect(await writer.append(ref, [chunk(0, 'a'), chunk(1, 'b')])).toBe('written');
    expect(await writer.append(ref, [chunk(0, 'a'), chunk(1, 'b')])).toBe('elsewhere');
    expect((await files.work(ref))!.chunks).toBe(2);
    expect(await files.unfinished(10)).toContainEqual(ref);
  });

  test('of a file that was taken away and added again writes nothing any more', async () => {
    const store = await collection();
    const old = await added(store, 'f1');
    expect(await files.remove(db, store, 'f1')).toBe(true);
    const fresh = await added(store, 'f1');
    expect(await writer.append(old, [chunk(0, 'old')])).toBe('gone');
    expect(await writer.complete(old)).toBe(false);
    expect(await writer.append(fresh, [chunk(0, 'new')])).toBe('written');
  });

  test('that failed leaves no chunk and says why', async () => {
    const store = await collection();
    const ref = await added(store, 'f1');
    await writer.append(ref, [chunk(0, 'half')]);
    await files.fail(db, ref, { code: 'invalid_file', message: 'why' });
    expect(await files.get(store, 'f1')).toMatchObject({
      status: 'failed',
      chunks: 0,
      error: { code: 'invalid_file', message: 'why' },
    });
    expect(await chunksIn(store)).toBe(0);
  });
});

const countIn = async (table: 'chunks' | 'terms', store: string): Promise<number> => {
  const query = sql<{ n: number }>`SELECT count(*)::int AS n FROM retrieval.${sql.id(table)} WHERE store_id = ${store}`;
  return (await query.execute(db)).rows[0]!.n;
};
const chunksIn = (store: string) => countIn('chunks', store);
const termsIn = (store: string) => countIn('terms', store);

describe('search', () => {
  test('by words: rare words count more, word forms do not matter, other collections are not seen', async () => {
    const store = await collection();
    const other = await collection();
    await filled(store, 'f1', [
      'the cat sat',
      'the dog sat',
      'the cats were running with a giraffe',
      'a dog sat again',
    ]);
    await filled(other, 'f1', ['giraffe cat']);
    const hits = await search.byWords(scope(store), 'Which giraffes sat?', 5);
    expect((await textsOf(hits))[0]).toBe('the cats were running with a giraffe');
    expect(hits.every(({ score }) => score > 0 && score <= 1)).toBe(true);
    expect(await textsOf(await search.byWords(scope(store), 'cat', 5))).toEqual([
      'the cat sat',
      'the cats were running with a giraffe',
    ]);
    expect(await search.byWords(scope(store), 'the of what', 5)).toEqual([]);
    expect(await search.byWords(scope(store), `o'clock \\ ' & | ! ( ) <-> :*`, 5)).toEqual([]);
  });

  test('by vector: nearest first, scored by cosine', async () => {
    const store = await collection();
    await filled(store, 'f1', ['a', 'b', 'c']);
    const hits = await search.byVector(scope(store), along(1, 0.3), 2);
    expect(await textsOf(hits)).toEqual(['b', 'c']);
    expect(hits[0]!.score).toBeCloseTo(Math.cos(0.3), 4);
  });

  test('a collection that has grown finds the same through its own index', async () => {
    const store = await collection();
    const ref = await added(store, 'big');
    const vectors = scattered(INDEX_FROM_CHUNKS);
    for (let seq = 0; seq < INDEX_FROM_CHUNKS; seq += 500) {
      const batch = Array.from({ length: 500 }, (_, i) => chunk(seq + i, `word${seq + i}`, vectors[seq + i]!));
      expect(await writer.append(ref, batch)).toBe('written');
    }
    await writer.complete(ref);
    // Whoever was to build it died: the sweep finds that it is missing.
    expect(await writer.withoutIndex(10)).toEqual([{ id: store, dimensions: DIMENSIONS }]);
    expect(await writer.ensureIndex(store, DIMENSIONS)).toBe(true);
    expect(await writer.ensureIndex(store, DIMENSIONS)).toBe(false);
    expect(await writer.withoutIndex(10)).toEqual([]);
    await filled(store, 'small', ['needle in it'], { kind: 'x' });
    const question = along(3, 0.4);
    const hits = await search.byVector(scope(store), question, 10);
    const closeness = (i: number) => vectors[i]!.reduce((sum, value, axis) => sum + value * question[axis]!, 0);
    const near = vectors
      .map((_, i) => i)
      .sort((a, b) => closeness(b) - closeness(a))
      .slice(0, 10)
      .map((i) => `word${i}`);
    const found = await textsOf(hits);
    expect(found.filter((text) => near.includes(text!)).length).toBeGreaterThanOrEqual(9);
    expect(await textsOf(await search.byWords(scope(store), 'word777', 3))).toEqual(['word777']);
    const filtered = await search.byVector(scope(store, { type: 'eq', key: 'kind', value: 'x' }), along(3), 5);
    expect(await textsOf(filtered)).toEqual(['needle in it']);
    await collections.delete(owner, store);
    await writer.dropIndex(store);
  }, 60_000);

  test('attribute filters compare by type; what a file lacks is equal to nothing', async () => {
    const store = await collection();
    await filled(store, 'f1', ['shared one'], { year: 2024, lang: 'en', draft: false });
    await filled(store, 'f2', ['shared two'], { year: 2025, lang: 'de', draft: true });
    await filled(store, 'f3', ['shared three'], { year: '2025' });
    const found = async (filter: Filter) =>
      (await textsOf(await search.byWords(scope(store, filter), 'shared', 9))).map((text) => text!.slice(7)).sort();
    expect(await found({ type: 'eq', key: 'year', value: 2025 })).toEqual(['two']);
    expect(await found({ type: 'eq', key: 'year', value: '2025' })).toEqual(['three']);
    expect(await found({ type: 'ne', key: 'lang', value: 'en' })).toEqual(['three', 'two']);
    expect(await found({ type: 'gt', key: 'year', value: 2024 })).toEqual(['two']);
    expect(await found({ type: 'lte', key: 'year', value: 2024.5 })).toEqual(['one']);
    expect(await found({ type: 'gte', key: 'lang', value: 'de' })).toEqual(['one', 'two']);
    expect(await found({ type: 'in', key: 'lang', value: ['de', 'fr'] })).toEqual(['two']);
    expect(await found({ type: 'nin', key: 'lang', value: ['de', 'en'] })).toEqual(['three']);
    const both: Filter = {
      type: 'and',
      filters: [
        { type: 'eq', key: 'draft', value: true },
        { type: 'eq', key: 'lang', value: 'de' },
      ],
    };
    expect(await found(both)).toEqual(['two']);
    expect(await found({ type: 'or', filters: [both, { type: 'eq', key: 'lang', value: 'en' }] })).toEqual([
      'one',
      'two',
    ]);
    expect(await found({ type: 'eq', key: `k' OR true --`, value: `x' OR true --` })).toEqual([]);
  });
});

describe('deleting', () => {
  test('a file leaves no chunk and no word behind', async () => {
    const store = await collection();
    await filled(store, 'f1', ['alpha beta', 'alpha']);
    const before = await termsIn(store);
    await filled(store, 'f2', ['alpha gamma']);
    expect(await files.remove(db, store, 'f2')).toBe(true);
    expect(await files.remove(db, store, 'f2')).toBe(false);
    expect(await chunksIn(store)).toBe(2);
    expect(await termsIn(store)).toBe(before);
    expect(await textsOf(await search.byWords(scope(store), 'gamma', 5))).toEqual([]);
  });

  test('a collection leaves nothing behind', async () => {
    const store = await collection();
    await filled(store, 'f1', ['alpha beta']);
    expect(await collections.delete(owner, store)).toBe(true);
    expect([await chunksIn(store), await termsIn(store)]).toEqual([0, 0]);
    expect(await files.get(store, 'f1')).toBeNull();
  });
});
