/** A collection of made-up chunks, how long searches in it take, and how many of the nearest the index finds. */

import { type SearchMode, search } from '@tollgate/retrieval/search/search';
import type { Db } from '@tollgate/shared/db/client';
import { ChunkSearch } from '@tollgate/shared/db/retrieval/chunk-search';
import { ChunkWriter } from '@tollgate/shared/db/retrieval/chunk-writer';
import { CollectionFileStore } from '@tollgate/shared/db/retrieval/collection-files';
import { CollectionStore } from '@tollgate/shared/db/retrieval/collections';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { sql } from 'kysely';
import { cpuUs, available as procfs } from '../load/procfs.ts';

export interface BenchResult {
  dimensions: number;
  searches: number;
  fillSeconds: number;
  indexSeconds: number;
  vector: Quantiles;
  text: Quantiles;
  hybrid: Quantiles;
  /** Share of the nearest chunks that the index found: 0 to 1. */
  indexRecall: number;
}

interface Quantiles {
  p50: number;
  p95: number;
  /** CPU of client and database per search, ms: what a machine that does other things takes too. Null: not known. */
  cpu: number | null;
}

export interface BenchServer {
  /** Processes whose CPU is counted; null = the database is elsewhere. */
  pids: (db: Db) => Promise<number[] | null>;
  /** It goes with the bench: nothing needs to be deleted. */
  isOwn: boolean;
}

const DIMENSIONS = 384;
const CLUSTERS = 200;
const VOCABULARY = 20_000;
const WORDS_PER_CHUNK = 60;
const PER_FILE = 1_000;
const BATCH = 250;
const SEARCHES = 200;
/** Not measured: the first ones read the index from disk. */
const WARM_UP = 20;
const WANTED = 8;
/** Questions whose nearest chunks are also looked for without an index. */
const COMPARED = 20;
const OWNER = { accountId: 'acct_bench', projectId: '' };

export async function bench(
  db: Db,
  chunks: number,
  server: BenchServer,
  say: (text: string) => void,
): Promise<BenchResult> {
  const random = seededRandom(7);
  const centres = Array.from({ length: CLUSTERS }, () =>
    Float32Array.from({ length: DIMENSIONS }, () => random.float() - 0.5),
  );
  /** Near one of the centres, as texts of one subject are. */
  const vector = (): Float32Array => {
    const centre = centres[random.int(CLUSTERS)]!;
    const made = centre.map((value) => value + (random.float() - 0.5) * 0.4);
    const length = Math.hypot(...made);
    return made.map((value) => value / length);
  };
  /** Words as often as in a language: the n-th is seen 1/n as often as the first. */
  const word = (): string => `w${Math.floor(VOCABULARY ** random.float())}x`;
  const sentence = (words: number): string => Array.from({ length: words }, word).join(' ');

  const collections = new CollectionStore(db);
  const files = new CollectionFileStore(db);
  const writer = new ChunkWriter(db);
  const id = `vs_bench${chunks}`;
  await collections.delete(OWNER, id);
  await writer.dropIndex(id);
  await collections.create({
    ...OWNER,
    id,
    name: 'bench',
    model: 'm',
    dimensions: DIMENSIONS,
    metadata: {},
    createdAtMs: 0,
  });
  const startMs = performance.now();
  for (let made = 0; made < chunks; made += PER_FILE) {
    const ref = { storeId: id, fileId: `file_${made}`, ingestId: `ing_${made}` };
    const file = {
      ...ref,
      keyId: 'key',
      filename: 'a',
      attributes: { part: made },
      chunkTokens: 100,
      overlapTokens: 0,
    };
    await files.add({ ...file, batchId: null, createdAtMs: 0 });
    for (let seq = 0; seq < PER_FILE; seq += BATCH) {
      const batch = Array.from({ length: BATCH }, (_, i) => ({
        seq: seq + i,
        heading: '',
        place: '',
        text: sentence(WORDS_PER_CHUNK),
        tokens: WORDS_PER_CHUNK,
        embedding: vector(),
      }));
      await writer.append(ref, batch);
    }
    await writer.complete(ref);
    if (made % 10_000 === 0)
      say(`${made + PER_FILE} of ${chunks} chunks after ${((performance.now() - startMs) / 1_000).toFixed(0)} s`);
  }
  const fillSeconds = (performance.now() - startMs) / 1_000;
  const indexMs = performance.now();
  await writer.ensureIndex(id, DIMENSIONS);
  const indexSeconds = (performance.now() - indexMs) / 1_000;

  const parts = {
    collections,
    chunks: new ChunkSearch(db),
    embed: async () => ({ vectors: [vector()], tokens: 0 }),
  };
  const pids = procfs ? await server.pids(db) : null;
  const measure = async (mode: SearchMode): Promise<Quantiles> => {
    const times: number[] = [];
    let cpuBeforeUs = 0;
    for (let i = 0; i < SEARCHES + WARM_UP; i++) {
      const question = {
        owner: OWNER,
        storeIds: [id],
        text: sentence(8),
        mode,
        limit: WANTED,
        scoreThreshold: 0,
        filter: null,
      };
      if (i === WARM_UP && pids !== null) cpuBeforeUs = cpuUs(pids);
      const beginMs = performance.now();
      await search({ ...question, actingKey: () => '', param: 'id', nowMs: 0 }, parts);
      if (i >= WARM_UP) times.push(performance.now() - beginMs);
    }
    const cpu = pids === null ? null : (cpuUs(pids) - cpuBeforeUs) / 1_000 / SEARCHES;
    times.sort((a, b) => a - b);
    return { cpu, p50: times[Math.floor(times.length * 0.5)]!, p95: times[Math.floor(times.length * 0.95)]! };
  };
  /** As the product searches, against comparing with every vector. */
  const compare = async (): Promise<number> => {
    let found = 0;
    for (let i = 0; i < COMPARED; i++) {
      const asked = vector();
      const scope = { storeId: id, dimensions: DIMENSIONS, filter: null };
      const hits = new Set((await parts.chunks.byVector(scope, asked, WANTED)).map((hit) => hit.id));
      const text = `[${asked.join(',')}]`;
      const { rows } = await sql<{ id: bigint }>`
        SELECT id FROM retrieval.chunks WHERE store_id = ${id} ORDER BY embedding <=> ${text}::vector, id LIMIT ${WANTED}`.execute(
        db,
      );
      found += rows.filter((row) => hits.has(row.id)).length;
    }
    return found / (COMPARED * WANTED);
  };
  const result = {
    dimensions: DIMENSIONS,
    searches: SEARCHES,
    fillSeconds,
    indexSeconds,
    vector: await measure('vector'),
    text: await measure('text'),
    hybrid: await measure('hybrid'),
    indexRecall: await compare(),
  };
  if (!server.isOwn) {
    await collections.delete(OWNER, id);
    await writer.dropIndex(id);
  }
  return result;
}
