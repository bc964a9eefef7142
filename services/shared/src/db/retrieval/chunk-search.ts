/**
 * Finding chunks of completed files, by vector and by words. Every statement names its collection; whose it is was checked
 * before (`CollectionStore.get`).
 */
import { type RawBuilder, sql } from 'kysely';
import type { Db, Executor } from '../client.ts';
import { vectorText } from './chunk-writer.ts';
import type { Attributes } from './collection-files.ts';
import { type Filter, filterSql } from './filter-sql.ts';

/** A chunk by id, with how well it fits: 0 to 1, comparable within one kind of search. */
export interface Hit {
  id: bigint;
  score: number;
}

export interface FoundChunk {
  id: bigint;
  storeId: string;
  fileId: string;
  filename: string;
  attributes: Attributes;
  seq: number;
  heading: string;
  place: string;
  text: string;
  tokens: number;
}

export interface SearchScope {
  storeId: string;
  dimensions: number;
  /** Null: all files. */
  filter: Filter | null;
}

/** Rows that one word search may touch: rare words first, so the ones left out are those that say least. */
const MAX_POSTINGS = 1_000;
const MAX_TERMS = 16;
/** The index finds neighbours before it knows of files and filters: some are asked for beyond what is wanted. */
const OVERFETCH = 4;
const FILTERED_OVERFETCH = 20;
const MAX_EF_SEARCH = 1_000;
/** Chunks of a file that are read at a time. */
const TEXTS_PAGE = 200;
/** Up to here a filtered set is compared whole. */
const EXACT_CHUNKS = 3_000;

export class ChunkSearch {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** The nearest chunks by cosine, best first. */
  async byVector(scope: SearchScope, vector: readonly number[] | Float32Array, limit: number): Promise<Hit[]> {
    const { storeId, filter } = scope;
    const text = vectorText(vector);
    const { chunks, indexed } = await this.#size(scope);
    if (chunks === 0) return [];
    if (!indexed || (filter !== null && chunks <= EXACT_CHUNKS)) {
      const { rows } = await sql<Hit>`
        SELECT c.id, 1 - (c.embedding <=> ${text}::vector) AS score
        FROM retrieval.chunks c JOIN retrieval.store_files f USING (store_id, file_id)
        WHERE c.store_id = ${storeId} AND ${visible(filter)}
        ORDER BY c.embedding <=> ${text}::vector, c.id LIMIT ${limit}`.execute(this.#db);
      return rows.map(clamped);
    }
    const wanted = Math.min(limit * (filter === null ? OVERFETCH : FILTERED_OVERFETCH), MAX_EF_SEARCH);
    const { rows } = await sql<Hit>`
      SELECT n.id, n.score FROM retrieval.nearest(${storeId}, ${scope.dimensions}, ${text}, ${wanted}) n
      JOIN retrieval.store_files f ON f.store_id = ${storeId} AND f.file_id = n.file_id
      WHERE ${visible(filter)} ORDER BY n.score DESC, n.id LIMIT ${limit}`.execute(this.#db);
    return rows.map(clamped);
  }

  /**
   * The chunks that share most of the question's words, rare ones counting more (inverse document frequency within the
   * collection). The score is the share of the question's weight that was found.
   */
  async byWords(scope: SearchScope, question: string, limit: number): Promise<Hit[]> {
    const { storeId, filter } = scope;
    const terms = await this.#terms(storeId, question);
    if (terms.length === 0) return [];
    let postings = 0;
    const used = terms.filter(({ chunks }, i) => {
      postings += chunks;
      return i === 0 || (i < MAX_TERMS && postings <= MAX_POSTINGS);
    });
    const whole = terms.reduce((sum, { weight }) => sum + weight, 0);
    const { rows } = await sql<Hit>`
      WITH found AS (
        SELECT hit.id, hit.file_id, sum(t.weight) AS weight
        FROM unnest(${used.map(({ term }) => term)}::text[], ${used.map(({ weight }) => weight)}::float8[]) AS t (term, weight)
        CROSS JOIN LATERAL (
          SELECT c.id, c.file_id FROM retrieval.chunks c
          WHERE c.words @@ (${quoted(sql`t.term`)} || ' & ' || ${quoted(sql`${`store:${storeId}`}::text`)})::tsquery
          LIMIT ${MAX_POSTINGS}) hit
        GROUP BY hit.id, hit.file_id)
      SELECT n.id, n.weight / ${whole}::float8 AS score FROM found n
      JOIN retrieval.store_files f ON f.store_id = ${storeId} AND f.file_id = n.file_id
      WHERE ${visible(filter)} ORDER BY n.weight DESC, n.id LIMIT ${limit}`.execute(this.#db);
    return rows.map(clamped);
  }

  /** The chunks themselves, in no order. */
  async load(ids: readonly bigint[]): Promise<FoundChunk[]> {
    if (ids.length === 0) return [];
    return loadChunks(this.#db, ids);
  }

  /** What a whole file was cut into, in its order, page by page; nothing while it is being read. */
  async *texts(storeId: string, fileId: string): AsyncGenerator<string[]> {
    for (let after = -1; ; ) {
      const { rows } = await sql<{ seq: number; text: string }>`
        SELECT c.seq, c.text FROM retrieval.chunks c JOIN retrieval.store_files f USING (store_id, file_id)
        WHERE c.store_id = ${storeId} AND c.file_id = ${fileId} AND c.seq > ${after} AND f.status = 'completed'
        ORDER BY c.seq LIMIT ${TEXTS_PAGE}`.execute(this.#db);
      if (rows.length > 0) yield rows.map(({ text }) => text);
      if (rows.length < TEXTS_PAGE) return;
      after = rows.at(-1)!.seq;
    }
  }

  async #size({ storeId, filter }: SearchScope): Promise<{ chunks: number; indexed: boolean }> {
    const { rows } = await sql<{ chunks: number; indexed: boolean }>`
      SELECT coalesce(sum(f.chunks), 0)::int AS chunks,
             coalesce((SELECT i.indisvalid FROM pg_index i
                       WHERE i.indexrelid = to_regclass(${`retrieval."hnsw_${storeId}"`})), false) AS indexed
      FROM retrieval.store_files f WHERE f.store_id = ${storeId} AND ${visible(filter)}`.execute(this.#db);
    return rows[0]!;
  }

  /** The question's words as the index writes them, rarest first, with their weight in this collection. */
  async #terms(storeId: string, question: string): Promise<{ term: string; chunks: number; weight: number }[]> {
    // A word that English drops as empty (the, of, what) is no word to look for, however it is written.
    const { rows } = await sql<{ term: string; chunks: number; total: number }>`
      WITH asked AS (
        SELECT lexeme AS term FROM unnest(to_tsvector('english'::regconfig, ${question}))
        UNION
        SELECT lexeme FROM unnest(to_tsvector('simple'::regconfig, ${question}))
        WHERE to_tsvector('english'::regconfig, lexeme) <> ''::tsvector)
      SELECT t.term, t.chunks, (SELECT sum(chunks)::int FROM retrieval.store_files
                                WHERE store_id = ${storeId} AND status = 'completed') AS total
      FROM asked JOIN retrieval.terms t ON t.store_id = ${storeId} AND t.term = asked.term
      WHERE t.chunks > 0 ORDER BY t.chunks, t.term LIMIT 64`.execute(this.#db);
    return rows.map(({ term, chunks, total }) => ({
      term,
      chunks,
      weight: Math.log(1 + (total - chunks + 0.5) / (chunks + 0.5)),
    }));
  }
}

/** Chunks first: without statistics (an embedded Postgres never gathers them) a planner begins with all files instead. */
async function loadChunks(db: Executor, ids: readonly bigint[]): Promise<FoundChunk[]> {
  const { rows } = await sql<{
    id: bigint;
    store_id: string;
    file_id: string;
    filename: string;
    attributes: Attributes;
    seq: number;
    heading: string;
    place: string;
    text: string;
    tokens: number;
  }>`
    WITH c AS MATERIALIZED (
      SELECT id, store_id, file_id, seq, heading, place, text, tokens FROM retrieval.chunks
      WHERE id = ANY(${ids.map(String)}::bigint[]))
    SELECT c.id, c.store_id, c.file_id, f.filename, f.attributes, c.seq, c.heading, c.place, c.text, c.tokens
    FROM c JOIN retrieval.store_files f USING (store_id, file_id)
    WHERE f.status = 'completed'`.execute(db);
  return rows.map((row) => ({
    id: row.id,
    storeId: row.store_id,
    fileId: row.file_id,
    filename: row.filename,
    attributes: row.attributes,
    seq: row.seq,
    heading: row.heading,
    place: row.place,
    text: row.text,
    tokens: row.tokens,
  }));
}

/** A file that is whole and that the filter lets through. */
const visible = (filter: Filter | null): RawBuilder<unknown> =>
  filter === null ? sql`f.status = 'completed'` : sql`f.status = 'completed' AND ${filterSql(filter)}`;

/** A lexeme as a literal of tsquery's own language. */
const quoted = (term: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`('''' || replace(replace(${term}, '\\', '\\\\'), '''', '''''') || '''')`;

function clamped({ id, score }: Hit): Hit {
  return { id, score: Math.min(1, Math.max(0, Number(score))) };
}
