/**
 * Chunks on their way in. A batch and the count of chunks are written in one transaction, so a reader that was killed
 * goes on after the last whole batch; nothing is found before `complete`.
 */
import { sql } from 'kysely';
import type { Db } from '../client.ts';
import { buildIndex, dropIndex, type IndexName } from '../concurrent-index.ts';
import { tx } from '../tx.ts';
import type { IngestRef } from './collection-files.ts';

export interface NewChunk {
  /** From 0, without gaps. */
  seq: number;
  heading: string;
  place: string;
  text: string;
  tokens: number;
  embedding: Float32Array | readonly number[];
}

/** From this many chunks on a collection has an index of its own; below, comparing with all of them is as quick. */
export const INDEX_FROM_CHUNKS = 1_000;

const ready = (ref: IngestRef) => sql`
  SELECT chunks FROM retrieval.store_files WHERE store_id = ${ref.storeId} AND file_id = ${ref.fileId}
  AND ingest_id = ${ref.ingestId} AND status = 'in_progress' FOR UPDATE`;

/** What an HNSW graph takes per vector beside the vector itself, about, and the most that building one may take. */
const NODE_BYTES = 1_200;
const MAX_GRAPH_BYTES = 1_000_000_000;

export class ChunkWriter {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * Appends chunks that begin where the file's count stands. `gone`: the file was taken away or cancelled meanwhile.
   * `elsewhere`: another reader has written these already.
   */
  append(ref: IngestRef, chunks: readonly NewChunk[]): Promise<'written' | 'gone' | 'elsewhere'> {
    return tx(this.#db, async (trx) => {
      const { rows } = await sql<{ chunks: number }>`${ready(ref)}`.execute(trx);
      if (!rows[0]) return 'gone';
      if (rows[0].chunks !== chunks[0]?.seq) return 'elsewhere';
      await sql`
        INSERT INTO retrieval.chunks (store_id, file_id, seq, heading, place, text, tokens, embedding)
        SELECT ${ref.storeId}, ${ref.fileId}, n.seq, n.heading, n.place, n.text, n.tokens, n.embedding::vector
        FROM unnest(${chunks.map(({ seq }) => seq)}::int[], ${chunks.map(({ heading }) => heading)}::text[],
                    ${chunks.map(({ place }) => place)}::text[], ${chunks.map(({ text }) => text)}::text[],
                    ${chunks.map(({ tokens }) => tokens)}::int[],
                    ${chunks.map(({ embedding }) => vectorText(embedding))}::text[])
             AS n (seq, heading, place, text, tokens, embedding)`.execute(trx);
      const bytes = chunks.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
      await sql`
        UPDATE retrieval.store_files SET chunks = chunks + ${chunks.length}, usage_bytes = usage_bytes + ${bytes}
        WHERE store_id = ${ref.storeId} AND file_id = ${ref.fileId}`.execute(trx);
      return 'written';
    });
  }

  /** Makes the file's chunks be found. False when it was taken away or cancelled meanwhile. */
  async complete(ref: IngestRef): Promise<boolean> {
    const completed = await this.#makeFound(ref);
    // New words stand in a list that each search reads whole until somebody sorts them in; an embedded Postgres never does.
    if (completed) await sql`SELECT gin_clean_pending_list('retrieval.chunks_words')`.execute(this.#db);
    return completed;
  }

  #makeFound(ref: IngestRef): Promise<boolean> {
    return tx(this.#db, async (trx) => {
      const { rows } = await sql`${ready(ref)}`.execute(trx);
      if (!rows[0]) return false;
      await sql`
        INSERT INTO retrieval.terms AS t (store_id, term, chunks)
        SELECT ${ref.storeId}, w.term, count(*)::int FROM retrieval.chunks c, unnest(tsvector_to_array(c.words)) AS w (term)
        WHERE c.store_id = ${ref.storeId} AND c.file_id = ${ref.fileId} GROUP BY w.term ORDER BY w.term
        ON CONFLICT (store_id, term) DO UPDATE SET chunks = t.chunks + excluded.chunks`.execute(trx);
      await sql`
        UPDATE retrieval.store_files SET status = 'completed'
        WHERE store_id = ${ref.storeId} AND file_id = ${ref.fileId}`.execute(trx);
      return true;
    });
  }

  /**
   * Gives a collection that has grown its HNSW index (cosine). One per collection: a search never walks through other
   * tenants' vectors, and a deleted collection takes its index along. Chunks are written meanwhile. Safe to repeat.
   * True when this call built it; false when there is none to build, or another one is under way (`withoutIndex` tells).
   */
  async ensureIndex(storeId: string, dimensions: number): Promise<boolean> {
    const { rows } = await sql<{ n: number | null }>`
      SELECT sum(chunks)::int AS n FROM retrieval.store_files WHERE store_id = ${storeId}`.execute(this.#db);
    const chunks = rows[0]!.n ?? 0;
    if (chunks < INDEX_FROM_CHUNKS) return false;
    const built = await buildIndex(this.#db, {
      ...indexName(storeId),
      definition: sql`ON retrieval.chunks
        USING hnsw ((embedding::vector(${sql.raw(String(dimensions | 0))})) vector_cosine_ops)
        WHERE store_id = ${sql.lit(storeId)}`,
      memoryBytes: Math.min(MAX_GRAPH_BYTES, chunks * (4 * dimensions + NODE_BYTES)),
    });
    return built === 'built';
  }

  /** Collections that have grown and whose index is missing or half built: whoever was to build it died, or had to wait. */
  async withoutIndex(limit: number): Promise<{ id: string; dimensions: number }[]> {
    const { rows } = await sql<{ id: string; dimensions: number }>`
      SELECT s.id, s.dimensions FROM retrieval.stores s
      WHERE s.expired_at IS NULL AND NOT EXISTS (
          SELECT 1 FROM pg_index i
          WHERE i.indexrelid = to_regclass('retrieval."hnsw_' || s.id || '"') AND i.indisvalid)
        AND (SELECT sum(f.chunks) FROM retrieval.store_files f WHERE f.store_id = s.id) >= ${INDEX_FROM_CHUNKS}
      ORDER BY s.id LIMIT ${limit}`.execute(this.#db);
    return rows;
  }

  /** Collections that have an index and are gone or ended: whoever deleted them died before it was dropped, or had to wait. */
  async leftIndexes(): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      SELECT substr(i.indexname, 6) AS id FROM pg_indexes i
      WHERE i.schemaname = 'retrieval' AND i.indexname LIKE 'hnsw\\_%' AND NOT EXISTS (
        SELECT 1 FROM retrieval.stores s WHERE 'hnsw_' || s.id = i.indexname AND s.expired_at IS NULL)`.execute(
      this.#db,
    );
    return rows.map(({ id }) => id);
  }

  /** While another index is being built it stays for `leftIndexes`: nobody has to wait for it. */
  async dropIndex(storeId: string): Promise<void> {
    await dropIndex(this.#db, indexName(storeId));
  }
}

/** Index names are folded by nobody when quoted; ids are letters and digits. */
const indexName = (storeId: string): IndexName => ({ schema: 'retrieval', name: `hnsw_${storeId}` });

/** pgvector's text form. */
export function vectorText(vector: Float32Array | readonly number[]): string {
  return `[${Array.prototype.join.call(vector, ',')}]`;
}
