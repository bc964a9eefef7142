/**
 * Chunks on their way in. A batch and the count of chunks are written in one transaction, so a reader that was killed
 * goes on after the last whole batch; nothing is found before `complete`.
 */
import { sql } from 'kysely';
import type { Db } from '../client.ts';
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
  complete(ref: IngestRef): Promise<boolean> {
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
   * tenants' vectors, and a deleted collection takes its index along. Safe to repeat.
   */
  async ensureIndex(storeId: string, dimensions: number): Promise<boolean> {
    const { rows } = await sql<{ n: number; there: boolean }>`
      SELECT (SELECT sum(chunks)::int FROM retrieval.store_files WHERE store_id = ${storeId}) AS n,
             to_regclass(${`retrieval."${indexName(storeId)}"`}) IS NOT NULL AS there`.execute(this.#db);
    if (rows[0]!.there || (rows[0]!.n ?? 0) < INDEX_FROM_CHUNKS) return false;
    const graphBytes = Math.min(MAX_GRAPH_BYTES, rows[0]!.n * (4 * dimensions + NODE_BYTES));
    await tx(this.#db, async (trx) => {
      // A graph that does not fit is built many times slower. Never less than the server's own setting.
      await sql`
        SELECT set_config('maintenance_work_mem', m.bytes / 1024 || 'kB', true) FROM (
          SELECT greatest(${graphBytes}::bigint, pg_size_bytes(current_setting('maintenance_work_mem'))) AS bytes) m`.execute(
        trx,
      );
      await sql`
        CREATE INDEX IF NOT EXISTS ${sql.id(indexName(storeId))} ON retrieval.chunks
        USING hnsw ((embedding::vector(${sql.raw(String(dimensions | 0))})) vector_cosine_ops)
        WHERE store_id = ${sql.lit(storeId)}`.execute(trx);
    });
    return true;
  }

  /** Collections that have an index and are gone or ended: whoever deleted them died before it was dropped. */
  async leftIndexes(): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      SELECT substr(i.indexname, 6) AS id FROM pg_indexes i
      WHERE i.schemaname = 'retrieval' AND i.indexname LIKE 'hnsw\\_%' AND NOT EXISTS (
        SELECT 1 FROM retrieval.stores s WHERE 'hnsw_' || s.id = i.indexname AND s.expired_at IS NULL)`.execute(
      this.#db,
    );
    return rows.map(({ id }) => id);
  }

  async dropIndex(storeId: string): Promise<void> {
    await sql`DROP INDEX IF EXISTS retrieval.${sql.id(indexName(storeId))}`.execute(this.#db);
  }
}

/** Index names are folded by nobody when quoted; ids are letters and digits. */
const indexName = (storeId: string): string => `hnsw_${storeId}`;

/** pgvector's text form. */
export function vectorText(vector: Float32Array | readonly number[]): string {
  return `[${Array.prototype.join.call(vector, ',')}]`;
}
