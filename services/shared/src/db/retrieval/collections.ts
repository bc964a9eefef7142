/** Collections (vector stores): who owns them, and which model and dimension their vectors have for life. */
import { sql } from 'kysely';
import type { Db, Executor } from '../client.ts';
import { tx } from '../tx.ts';
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
  /** What it is for, in its owner's words; '' = nothing was said. */
  description: string;
  model: string;
  dimensions: number;
  metadata: Record<string, string>;
  createdAtMs: number;
  lastActiveAtMs: number;
  /** It ends so many days after it was last used; null = it stays. */
  expiresDays: number | null;
  /** When what it held was deleted. */
  expiredAtMs: number | null;
  /** Files by state, and bytes of text that they hold. */
  files: { inProgress: number; completed: number; failed: number; cancelled: number };
  usageBytes: number;
}

/** What its owner may change; what is absent stays. */
export interface CollectionPatch {
  name?: string;
  description?: string;
  metadata?: Record<string, string>;
  expiresDays?: number | null;
}

export interface NewCollection extends Owner {
  id: string;
  name: string;
  /** '' unless told. */
  description?: string;
  model: string;
  dimensions: number;
  metadata: Record<string, string>;
  createdAtMs: number;
  /** Null unless told. */
  expiresDays?: number | null;
}

const DAY_MS = 86_400_000;

/** When a collection ends unless it is used before, or ended; null = never. */
export function expiryMs({
  expiresDays,
  expiredAtMs,
  lastActiveAtMs,
}: Pick<Collection, 'expiresDays' | 'expiredAtMs' | 'lastActiveAtMs'>): number | null {
  return expiresDays === null ? expiredAtMs : lastActiveAtMs + expiresDays * DAY_MS;
}

/** True from the moment its time is over, whether its files were deleted already or not. */
export function hasExpired(collection: Parameters<typeof expiryMs>[0], nowMs: number): boolean {
  const atMs = expiryMs(collection);
  return collection.expiredAtMs !== null || (atMs !== null && atMs <= nowMs);
}

interface Row {
  id: string;
  account_id: string;
  project_id: string;
  name: string;
  description: string;
  model: string;
  dimensions: number;
  metadata: Record<string, string>;
  created_at: Date;
  last_active_at: Date;
  expires_days: number | null;
  expired_at: Date | null;
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
    const { description = '', expiresDays = null } = collection;
    const at = new Date(createdAtMs);
    await sql`
      INSERT INTO retrieval.stores (id, account_id, project_id, name, description, model, dimensions, metadata, created_at,
        last_active_at, expires_days)
      VALUES (${id}, ${accountId}, ${projectId}, ${name}, ${description}, ${model}, ${dimensions},
              ${JSON.stringify(metadata)}::jsonb, ${at}, ${at}, ${expiresDays})`.execute(this.#db);
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
  async update(owner: Owner, id: string, patch: CollectionPatch): Promise<boolean> {
    const metadata = patch.metadata === undefined ? null : JSON.stringify(patch.metadata);
    const { rows } = await sql`
      UPDATE retrieval.stores SET name = coalesce(${patch.name ?? null}, name),
        description = coalesce(${patch.description ?? null}, description),
        metadata = coalesce(${metadata}::jsonb, metadata)
        ${patch.expiresDays === undefined ? sql`` : sql`, expires_days = ${patch.expiresDays}`}
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

  /**
   * Ends what nobody used for as long as it was to live: files, chunks, vectors and word counts go, the collection stays and
   * says so. Also takes what came into an ended one meanwhile. Answers their ids: their indexes go next (`dropIndex`).
   */
  async expire(db: Db, nowMs: number, limit: number): Promise<string[]> {
    const isDue = sql`(s.expired_at IS NULL AND s.expires_days IS NOT NULL
      AND s.last_active_at + make_interval(secs => s.expires_days * 86400) <= ${new Date(nowMs)})`;
    const { rows } = await sql<{ id: string }>`
      SELECT s.id FROM retrieval.stores s WHERE ${isDue} OR (s.expired_at IS NOT NULL
        AND EXISTS (SELECT 1 FROM retrieval.store_files f WHERE f.store_id = s.id)) LIMIT ${limit}`.execute(db);
    const ended: string[] = [];
    for (const { id } of rows) {
      await tx(db, async (trx) => {
        // Used, or given more time, since it was found: it lives on.
        const { rows: marked } = await sql`
          UPDATE retrieval.stores s SET expired_at = coalesce(s.expired_at, ${new Date(nowMs)})
          WHERE s.id = ${id} AND (s.expired_at IS NOT NULL OR ${isDue}) RETURNING s.id`.execute(trx);
        if (marked.length === 0) return;
        await sql`DELETE FROM retrieval.store_files WHERE store_id = ${id}`.execute(trx);
        await sql`DELETE FROM retrieval.terms WHERE store_id = ${id}`.execute(trx);
        ended.push(id);
      });
    }
    return ended;
  }

  async touch(ids: readonly string[], atMs: number): Promise<void> {
    // Once a minute is enough for people to see what is in use.
    await sql`
      UPDATE retrieval.stores SET last_active_at = ${new Date(atMs)}
      WHERE id = ANY(${[...ids]}::text[]) AND expired_at IS NULL
        AND last_active_at < ${new Date(atMs - 60_000)}`.execute(this.#db);
  }
}

function view(row: Row): Collection {
  return {
    id: row.id,
    accountId: row.account_id,
    projectId: row.project_id,
    name: row.name,
    description: row.description,
    model: row.model,
    dimensions: row.dimensions,
    metadata: row.metadata,
    createdAtMs: row.created_at.getTime(),
    lastActiveAtMs: row.last_active_at.getTime(),
    expiresDays: row.expires_days,
    expiredAtMs: row.expired_at?.getTime() ?? null,
    files: {
      inProgress: row.in_progress,
      completed: row.completed,
      failed: row.failed,
      cancelled: row.cancelled,
    },
    usageBytes: Number(row.usage_bytes),
  };
}
