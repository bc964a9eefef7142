/** What is known of uploaded files; the bytes are in the file store. Every statement carries the owner. */
import { sql } from 'kysely';
import type { Executor } from './client.ts';
import { inTx } from './tx.ts';

export interface FileOwner {
  accountId: string;
  /** '' = of no project. */
  projectId: string;
}

export interface FileRecord extends FileOwner {
  id: string;
  keyId: string;
  purpose: string;
  filename: string;
  bytes: number;
  sha256: string;
  createdAtMs: number;
  /** From then on nobody reads it, and it is deleted; null = it stays. */
  expiresAtMs: number | null;
}

export interface FileListRequest {
  /** 1 to 1000. */
  limit: number;
  /** Id of the last file of the page before. */
  after?: string | undefined;
  order: 'asc' | 'desc';
  purpose?: string | undefined;
  /** What has expired by then is left out. */
  nowMs: number;
}

interface Row {
  id: string;
  account_id: string;
  project_id: string;
  key_id: string;
  purpose: string;
  filename: string;
  bytes: bigint;
  sha256: string;
  created_at: Date;
  expires_at: Date | null;
}

export class FileRecordStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async create(file: FileRecord): Promise<void> {
    await sql`
      INSERT INTO files (id, account_id, project_id, key_id, purpose, filename, bytes, sha256, created_at, expires_at)
      VALUES (${file.id}, ${file.accountId}, ${file.projectId}, ${file.keyId}, ${file.purpose}, ${file.filename},
              ${file.bytes}, ${file.sha256}, ${new Date(file.createdAtMs)},
              ${file.expiresAtMs === null ? null : new Date(file.expiresAtMs)})`.execute(this.#db);
  }

  /** As `create`, over a file of the same owner that has this id already. */
  async replace(file: FileRecord): Promise<void> {
    await inTx(this.#db, async (trx) => {
      const store = new FileRecordStore(trx);
      await store.delete(file, file.id);
      await store.create(file);
    });
  }

  /** Null for what does not exist and for what is somebody else's. */
  async get(owner: FileOwner, id: string): Promise<FileRecord | null> {
    const { rows } = await sql<Row>`SELECT * FROM files WHERE id = ${id} AND ${of(owner)}`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  async list(
    owner: FileOwner,
    { limit, after, order, purpose, nowMs }: FileListRequest,
  ): Promise<{ data: FileRecord[]; hasMore: boolean }> {
    const side = order === 'desc' ? sql`<` : sql`>`;
    const direction = order === 'desc' ? sql`DESC` : sql`ASC`;
    const { rows } = await sql<Row>`
      SELECT * FROM files WHERE ${of(owner)} AND (expires_at IS NULL OR expires_at > ${new Date(nowMs)})
      ${purpose === undefined ? sql`` : sql`AND purpose = ${purpose}`}
      ${after === undefined ? sql`` : sql`AND (created_at, id) ${side} (SELECT a.created_at, a.id FROM files a WHERE a.id = ${after})`}
      ORDER BY created_at ${direction}, id ${direction} LIMIT ${limit + 1}`.execute(this.#db);
    return { data: rows.slice(0, limit).map(view), hasMore: rows.length > limit };
  }

  /** Bytes that an account stores, over all its projects. */
  async bytesOf(accountId: string): Promise<number> {
    const { rows } = await sql<{ bytes: bigint }>`
      SELECT coalesce(sum(bytes), 0)::bigint AS bytes FROM files WHERE account_id = ${accountId}`.execute(this.#db);
    return Number(rows[0]!.bytes);
  }

  /** Files whose time is over, of everybody, by id; `after` = id of the last one of the page before. */
  async expired(nowMs: number, after: string, limit: number): Promise<FileRecord[]> {
    const { rows } = await sql<Row>`
      SELECT * FROM files WHERE expires_at <= ${new Date(nowMs)} AND id > ${after} ORDER BY id LIMIT ${limit}`.execute(
      this.#db,
    );
    return rows.map(view);
  }

  async delete(owner: FileOwner, id: string): Promise<boolean> {
    const { rows } = await sql`DELETE FROM files WHERE id = ${id} AND ${of(owner)} RETURNING id`.execute(this.#db);
    return rows.length > 0;
  }

  /** Those of `ids` that are known: what else lies in the file store belongs to nobody. */
  async known(ids: readonly string[]): Promise<Set<string>> {
    const { rows } = await sql<{ id: string }>`SELECT id FROM files WHERE id = ANY(${[...ids]}::text[])`.execute(
      this.#db,
    );
    return new Set(rows.map(({ id }) => id));
  }
}

const of = ({ accountId, projectId }: FileOwner) => sql`account_id = ${accountId} AND project_id = ${projectId}`;

function view(row: Row): FileRecord {
  return {
    id: row.id,
    accountId: row.account_id,
    projectId: row.project_id,
    keyId: row.key_id,
    purpose: row.purpose,
    filename: row.filename,
    bytes: Number(row.bytes),
    sha256: row.sha256,
    createdAtMs: row.created_at.getTime(),
    expiresAtMs: row.expires_at?.getTime() ?? null,
  };
}
