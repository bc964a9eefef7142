/** Files of collections: their state while they are read, and the end of everything that came of them. */
import { sql } from 'kysely';
import type { Db, Executor } from '../client.ts';
import { tx } from '../tx.ts';
import type { Owner } from './collections.ts';
import { type IdPage, type IdPageRequest, idPage } from './id-page.ts';

export type FileState = 'in_progress' | 'completed' | 'failed' | 'cancelled';
export type Attributes = Record<string, string | number | boolean>;

export interface CollectionFile {
  storeId: string;
  fileId: string;
  /** New with every time that the file is added. */
  ingestId: string;
  keyId: string;
  filename: string;
  attributes: Attributes;
  chunkTokens: number;
  overlapTokens: number;
  status: FileState;
  error: { code: string; message: string } | null;
  /** Known once the file was parsed. */
  chunksTotal: number | null;
  chunks: number;
  usageBytes: number;
  batchId: string | null;
  createdAtMs: number;
}

export interface NewCollectionFile {
  storeId: string;
  fileId: string;
  ingestId: string;
  keyId: string;
  filename: string;
  attributes: Attributes;
  chunkTokens: number;
  overlapTokens: number;
  batchId: string | null;
  createdAtMs: number;
}

/** Which ingestion: the same file added again has another `ingestId`. */
export interface IngestRef {
  storeId: string;
  fileId: string;
  ingestId: string;
}

/** A file to be read, with what its collection says. */
export interface IngestWork extends CollectionFile, Owner {
  model: string;
  dimensions: number;
}

export interface FileFilter extends IdPageRequest {
  status?: FileState;
  batchId?: string;
}

export class CollectionFileStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** `addAll` of one file. True when it was added. */
  async add(file: NewCollectionFile): Promise<boolean> {
    return (await this.addAll([file])).length > 0;
  }

  /**
   * Adds the files, or leaves them as they are where they are there already; a batch that names one counts it all the same
   * (the newest batch, where several did). Answers which ones were added. Each file once, in one statement and in one
   * order, so that two who add the same ones do not wait for each other in a circle.
   */
  async addAll(files: readonly NewCollectionFile[]): Promise<IngestRef[]> {
    if (files.length === 0) return [];
    const of = <K extends keyof NewCollectionFile>(field: K) => files.map((file) => file[field]);
    const { rows } = await sql<{ ingest_id: string }>`
      INSERT INTO retrieval.store_files (store_id, file_id, ingest_id, key_id, filename, attributes, chunk_tokens,
                                         overlap_tokens, status, batch_id, created_at)
      SELECT n.store_id, n.file_id, n.ingest_id, n.key_id, n.filename, n.attributes::jsonb, n.chunk_tokens, n.overlap_tokens,
             'in_progress', n.batch_id, n.created_at
      FROM unnest(${of('storeId')}::text[], ${of('fileId')}::text[], ${of('ingestId')}::text[], ${of('keyId')}::text[],
                  ${of('filename')}::text[], ${files.map(({ attributes }) => JSON.stringify(attributes))}::text[],
                  ${of('chunkTokens')}::int[], ${of('overlapTokens')}::int[], ${of('batchId')}::text[],
                  ${files.map(({ createdAtMs }) => new Date(createdAtMs))}::timestamptz[])
           AS n (store_id, file_id, ingest_id, key_id, filename, attributes, chunk_tokens, overlap_tokens, batch_id, created_at)
      ORDER BY n.store_id, n.file_id
      ON CONFLICT (store_id, file_id)
        DO UPDATE SET batch_id = coalesce(excluded.batch_id, retrieval.store_files.batch_id)
      RETURNING ingest_id`.execute(this.#db);
    const added = new Set(rows.map(({ ingest_id: id }) => id));
    return files
      .filter(({ ingestId }) => added.has(ingestId))
      .map(({ storeId, fileId, ingestId }) => ({ storeId, fileId, ingestId }));
  }

  async get(storeId: string, fileId: string): Promise<CollectionFile | null> {
    const { rows } = await sql<Row>`
      SELECT * FROM retrieval.store_files WHERE store_id = ${storeId} AND file_id = ${fileId}`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  /** Newest first unless asked otherwise. */
  async list(storeId: string, filter: FileFilter): Promise<IdPage<CollectionFile>> {
    const table = sql`(SELECT file_id AS id, created_at FROM retrieval.store_files WHERE store_id = ${storeId})`;
    const { beyond, order, fetch, toPage } = idPage(filter, table, sql`file_id`, sql`created_at`);
    const { rows } = await sql<Row>`
      SELECT * FROM retrieval.store_files WHERE store_id = ${storeId}
      ${filter.status === undefined ? sql`` : sql`AND status = ${filter.status}`}
      ${filter.batchId === undefined ? sql`` : sql`AND batch_id = ${filter.batchId}`} ${beyond}
      ORDER BY created_at ${order}, file_id ${order} LIMIT ${fetch}`.execute(this.#db);
    return toPage(rows.map(view));
  }

  /** States of the files of one batch; empty when there is no such batch. */
  async batch(storeId: string, batchId: string): Promise<Record<FileState, number> & { createdAtMs: number }> {
    const { rows } = await sql<{ status: FileState; n: number; at: Date }>`
      SELECT status, count(*)::int AS n, min(created_at) AS at FROM retrieval.store_files
      WHERE store_id = ${storeId} AND batch_id = ${batchId} GROUP BY status`.execute(this.#db);
    const counts = { in_progress: 0, completed: 0, failed: 0, cancelled: 0, createdAtMs: Number.MAX_SAFE_INTEGER };
    for (const row of rows) {
      counts[row.status] = row.n;
      counts.createdAtMs = Math.min(counts.createdAtMs, row.at.getTime());
    }
    return counts;
  }

  async cancelBatch(storeId: string, batchId: string): Promise<void> {
    await sql`
      UPDATE retrieval.store_files SET status = 'cancelled'
      WHERE store_id = ${storeId} AND batch_id = ${batchId} AND status = 'in_progress'`.execute(this.#db);
  }

  async setAttributes(storeId: string, fileId: string, attributes: Attributes): Promise<boolean> {
    const { rows } = await sql`
      UPDATE retrieval.store_files SET attributes = ${JSON.stringify(attributes)}::jsonb
      WHERE store_id = ${storeId} AND file_id = ${fileId} RETURNING file_id`.execute(this.#db);
    return rows.length > 0;
  }

  /** The file with what its collection says, while it is still to be read; null when somebody changed his mind. */
  async work(ref: IngestRef): Promise<IngestWork | null> {
    const { rows } = await sql<WorkRow>`${WORK} AND f.store_id = ${ref.storeId} AND f.file_id = ${ref.fileId}
      AND f.ingest_id = ${ref.ingestId}`.execute(this.#db);
    return rows[0] ? workOf(rows[0]) : null;
  }

  /** Ingestions that are not finished, oldest first: what a lost queue is filled with again. */
  async unfinished(limit: number): Promise<IngestRef[]> {
    const { rows } = await sql<Row>`
      SELECT * FROM retrieval.store_files WHERE status = 'in_progress' ORDER BY created_at LIMIT ${limit}`.execute(
      this.#db,
    );
    return rows.map((row) => ({ storeId: row.store_id, fileId: row.file_id, ingestId: row.ingest_id }));
  }

  async setTotal(ref: IngestRef, chunksTotal: number): Promise<void> {
    await sql`UPDATE retrieval.store_files SET chunks_total = ${chunksTotal} ${sameIngest(ref)}`.execute(this.#db);
  }

  /** Ends an ingestion badly, and takes away what it had written. */
  async fail(db: Db, ref: IngestRef, error: { code: string; message: string }): Promise<void> {
    await tx(db, async (trx) => {
      const { rows } = await sql`
        UPDATE retrieval.store_files SET status = 'failed', error_code = ${error.code}, error_message = ${error.message},
          chunks = 0, usage_bytes = 0 ${sameIngest(ref)} RETURNING file_id`.execute(trx);
      if (rows.length === 0) return;
      await sql`DELETE FROM retrieval.chunks WHERE store_id = ${ref.storeId} AND file_id = ${ref.fileId}`.execute(trx);
    });
  }

  /** Takes the file out of the collection with its chunks, vectors and word counts. False when it was not there. */
  async remove(db: Db, storeId: string, fileId: string): Promise<boolean> {
    return tx(db, async (trx) => {
      const { rows } = await sql<Row>`
        SELECT * FROM retrieval.store_files WHERE store_id = ${storeId} AND file_id = ${fileId} FOR UPDATE`.execute(
        trx,
      );
      if (!rows[0]) return false;
      if (rows[0].status === 'completed') {
        await sql`
          UPDATE retrieval.terms t SET chunks = t.chunks - d.n FROM (
            SELECT w.term, count(*)::int AS n FROM retrieval.chunks c, unnest(tsvector_to_array(c.words)) AS w (term)
            WHERE c.store_id = ${storeId} AND c.file_id = ${fileId} GROUP BY w.term ORDER BY w.term) d
          WHERE t.store_id = ${storeId} AND t.term = d.term`.execute(trx);
        await sql`DELETE FROM retrieval.terms WHERE store_id = ${storeId} AND chunks <= 0`.execute(trx);
      }
      await sql`DELETE FROM retrieval.store_files WHERE store_id = ${storeId} AND file_id = ${fileId}`.execute(trx);
      return true;
    });
  }

  /** Collections of this owner that hold the file. */
  async collectionsOf(owner: Owner, fileId: string): Promise<string[]> {
    const { rows } = await sql<{ store_id: string }>`
      SELECT f.store_id FROM retrieval.store_files f JOIN retrieval.stores s ON s.id = f.store_id
      WHERE f.file_id = ${fileId} AND s.account_id = ${owner.accountId} AND s.project_id = ${owner.projectId}`.execute(
      this.#db,
    );
    return rows.map((row) => row.store_id);
  }
}

const sameIngest = (ref: IngestRef) => sql`
  WHERE store_id = ${ref.storeId} AND file_id = ${ref.fileId} AND ingest_id = ${ref.ingestId} AND status = 'in_progress'`;

const WORK = sql`
  SELECT f.*, s.account_id, s.project_id, s.model, s.dimensions
  FROM retrieval.store_files f JOIN retrieval.stores s ON s.id = f.store_id WHERE f.status = 'in_progress'`;

interface Row {
  store_id: string;
  file_id: string;
  ingest_id: string;
  key_id: string;
  filename: string;
  attributes: Attributes;
  chunk_tokens: number;
  overlap_tokens: number;
  status: FileState;
  error_code: string | null;
  error_message: string | null;
  chunks_total: number | null;
  chunks: number;
  usage_bytes: bigint;
  batch_id: string | null;
  created_at: Date;
}

interface WorkRow extends Row {
  account_id: string;
  project_id: string;
  model: string;
  dimensions: number;
}

function view(row: Row): CollectionFile {
  return {
    storeId: row.store_id,
    fileId: row.file_id,
    ingestId: row.ingest_id,
    keyId: row.key_id,
    filename: row.filename,
    attributes: row.attributes,
    chunkTokens: row.chunk_tokens,
    overlapTokens: row.overlap_tokens,
    status: row.status,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? '' },
    chunksTotal: row.chunks_total,
    chunks: row.chunks,
    usageBytes: Number(row.usage_bytes),
    batchId: row.batch_id,
    createdAtMs: row.created_at.getTime(),
  };
}

function workOf(row: WorkRow): IngestWork {
  return {
    ...view(row),
    accountId: row.account_id,
    projectId: row.project_id,
    model: row.model,
    dimensions: row.dimensions,
  };
}
