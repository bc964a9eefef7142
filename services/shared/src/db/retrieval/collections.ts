/** Collections (vector stores): who owns them, and which model and dimension their vectors have for life. */
import { sql } from 'kysely';
import type { Executor } from '../client.ts';
import { type IdPage, type IdPageRequest, idPage } from './id-page.ts';

/** Whose data it is. Every statement about collections carries it: there is no way to ask without. */
export interface Owner {
  accountId: string;
  /** '' = of no project. */
  projectId: string;
}

export interface Collection extends Owner {
  id: string;
  name: string;
  model: string;
  dimensions: number;
  metadata: Record<string, string>;
  createdAtMs: number;
  lastActiveAtMs: number;
  /** Files by state, and bytes of text that they hold. */
  files: { inProgress: number; completed: number; failed: number; cancelled: number };
  usageBytes: number;
}

export interface NewCollection extends Owner {
  id: string;
  name: string;
  model: string;
  dimensions: number;
  metadata: Record<string, string>;
  createdAtMs: number;
}

interface Row {
  id: string;
  account_id: string;
  project_id: string;
  name: string;
  model: string;
  dimensions: number;
  metadata: Record<string, string>;
  created_at: Date;
  last_active_at: Date;
  in_progress: number;
  completed: number;
  failed: number;
  cancelled: number;
  usage_bytes: bigint;
}

const COUNTED = sql`
  SELECT s.*, f.* FROM retrieval.stores s CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'in_progress')::int AS in_progress,
           count(*) FILTER (WHERE status = 'completed')::int AS completed,
           count(*) FILTER (WHERE status = 'failed')::int AS failed,
           count(*) FILTER (WHERE status = 'cancelled')::int AS cancelled,
           coalesce(sum(usage_bytes), 0)::bigint AS usage_bytes
    FROM retrieval.store_files WHERE store_id = s.id) f`;

export class CollectionStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async create(collection: NewCollection): Promise<void> {
    const { id, accountId, projectId, name, model, dimensions, metadata, createdAtMs } = collection;
    const at = new Date(createdAtMs);
    await sql`
      INSERT INTO retrieval.stores (id, account_id, project_id, name, model, dimensions, metadata, created_at, last_active_at)
      VALUES (${id}, ${accountId}, ${projectId}, ${name}, ${model}, ${dimensions}, ${JSON.stringify(metadata)}::jsonb,
              ${at}, ${at})`.execute(this.#db);
  }

  /** Null for what does not exist and for what is somebody else's: nobody learns which. */
  async get(owner: Owner, id: string): Promise<Collection | null> {
    const { rows } = await sql<Row>`
      ${COUNTED} WHERE s.id = ${id} AND s.account_id = ${owner.accountId} AND s.project_id = ${owner.projectId}`.execute(
      this.#db,
    );
    return rows[0] ? view(rows[0]) : null;
  }

  /** Newest first unless asked otherwise. */
  async list(owner: Owner, request: IdPageRequest): Promise<IdPage<Collection>> {
    const { beyond, order, fetch, toPage } = idPage(request, sql`retrieval.stores`, sql`s.id`, sql`s.created_at`);
    const { rows } = await sql<Row>`
      ${COUNTED} WHERE s.account_id = ${owner.accountId} AND s.project_id = ${owner.projectId} ${beyond}
      ORDER BY s.created_at ${order}, s.id ${order} LIMIT ${fetch}`.execute(this.#db);
    return toPage(rows.map(view));
  }

  /** How many collections an account has, over all its projects. */
  async countOf(accountId: string): Promise<number> {
    const { rows } = await sql<{ n: number }>`
      SELECT count(*)::int AS n FROM retrieval.stores WHERE account_id = ${accountId}`.execute(this.#db);
    return rows[0]!.n;
  }

  /** False when there is none. */
  async update(
    owner: Owner,
    id: string,
    patch: { name?: string; metadata?: Record<string, string> },
  ): Promise<boolean> {
    const metadata = patch.metadata === undefined ? null : JSON.stringify(patch.metadata);
    const { rows } = await sql`
      UPDATE retrieval.stores SET name = coalesce(${patch.name ?? null}, name),
        metadata = coalesce(${metadata}::jsonb, metadata)
      WHERE id = ${id} AND account_id = ${owner.accountId} AND project_id = ${owner.projectId} RETURNING id`.execute(
      this.#db,
    );
    return rows.length > 0;
  }

  /** Files, chunks, vectors and word counts go with it. Its index goes too: see `dropIndex`. False when there is none. */
  async delete(owner: Owner, id: string): Promise<boolean> {
    const { rows } = await sql`
      DELETE FROM retrieval.stores
      WHERE id = ${id} AND account_id = ${owner.accountId} AND project_id = ${owner.projectId} RETURNING id`.execute(
      this.#db,
    );
    return rows.length > 0;
  }

  async touch(ids: readonly string[], atMs: number): Promise<void> {
    // Once a minute is enough for people to see what is in use.
    await sql`
      UPDATE retrieval.stores SET last_active_at = ${new Date(atMs)}
      WHERE id = ANY(${[...ids]}::text[]) AND last_active_at < ${new Date(atMs - 60_000)}`.execute(this.#db);
  }
}

function view(row: Row): Collection {
  return {
    id: row.id,
    accountId: row.account_id,
    projectId: row.project_id,
    name: row.name,
    model: row.model,
    dimensions: row.dimensions,
    metadata: row.metadata,
    createdAtMs: row.created_at.getTime(),
    lastActiveAtMs: row.last_active_at.getTime(),
    files: {
      inProgress: row.in_progress,
      completed: row.completed,
      failed: row.failed,
      cancelled: row.cancelled,
    },
    usageBytes: Number(row.usage_bytes),
  };
}
