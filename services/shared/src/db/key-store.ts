/**
 * API keys, SQL side. The key's text is never here: only its digest, and what is loggable of it. `records` gives what
 * routers read from Redis (`KeyRecord`), with the limits of the account and its models filled in.
 */
import { type Selectable, sql } from 'kysely';
import type { AccountId, KeyId } from '../domain/ids.ts';
import type { KeyKind, KeyRecord } from '../domain/key.ts';
import type { RateLimits } from '../domain/limits.ts';
import { limitColumns, limitsOf } from './account-store.ts';
import type { Executor } from './client.ts';
import { decodeCursor, olderThan, type Page, type PageRequest, pageLimit, toPage } from './page.ts';
import type { Schema } from './schema.ts';
import { inTx } from './tx.ts';

export interface ApiKey {
  id: KeyId;
  accountId: AccountId;
  projectId: string | null;
  userId: string | null;
  kind: KeyKind;
  name: string;
  digest: string;
  /** Loggable start of the key's text, e.g. `tg_live_4fZk...`. */
  prefix: string;
  last4: string;
  models: readonly string[] | null;
  scopes: readonly string[];
  allowGrammars: boolean;
  limits: RateLimits;
  capDayNusd: bigint | null;
  capMonthNusd: bigint | null;
  expiresAtMs: number | null;
  revokedAtMs: number | null;
  rotatedFrom: KeyId | null;
  tags: readonly string[];
  /** Addresses or CIDR ranges it may be used from; null = any. */
  allowedIps: readonly string[] | null;
  /** User id of whoever made it. */
  createdBy: string | null;
  createdAtMs: number;
  lastUsedAtMs: number | null;
}

export interface NewApiKey {
  id: KeyId;
  accountId: AccountId;
  digest: string;
  prefix: string;
  last4: string;
  name: string;
  createdAtMs: number;
  projectId?: string | null;
  userId?: string | null;
  kind?: KeyKind;
  models?: readonly string[] | null;
  scopes?: readonly string[];
  allowGrammars?: boolean;
  limits?: Partial<RateLimits>;
  capDayNusd?: bigint | null;
  capMonthNusd?: bigint | null;
  expiresAtMs?: number | null;
  rotatedFrom?: KeyId | null;
  tags?: readonly string[];
  allowedIps?: readonly string[] | null;
  createdBy?: string | null;
}

export interface ApiKeyPatch {
  name?: string;
  models?: readonly string[] | null;
  scopes?: readonly string[];
  allowGrammars?: boolean;
  /** Only the limits named change; null removes one. */
  limits?: Partial<RateLimits>;
  capDayNusd?: bigint | null;
  capMonthNusd?: bigint | null;
  expiresAtMs?: number | null;
  tags?: readonly string[];
  allowedIps?: readonly string[] | null;
}

export interface PublishedKey {
  digest: string;
  record: KeyRecord;
}

type KeyRow = Selectable<Schema['api_keys']>;

export class KeyStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async create(key: NewApiKey): Promise<ApiKey> {
    const row = await this.#db
      .insertInto('api_keys')
      .values({
        id: key.id,
        account_id: key.accountId,
        project_id: key.projectId ?? null,
        user_id: key.userId ?? null,
        kind: key.kind ?? 'api',
        name: key.name,
        digest: key.digest,
        prefix: key.prefix,
        last4: key.last4,
        models: key.models ? [...key.models] : null,
        scopes: [...(key.scopes ?? [])],
        allow_grammars: key.allowGrammars ?? false,
        rpm: key.limits?.requestsPerMinute ?? null,
        tpm: key.limits?.tokensPerMinute ?? null,
        concurrency: key.limits?.concurrency ?? null,
        cap_day_nusd: key.capDayNusd ?? null,
        cap_month_nusd: key.capMonthNusd ?? null,
        expires_at: dateOrNull(key.expiresAtMs),
        revoked_at: null,
        rotated_from: key.rotatedFrom ?? null,
        tags: [...(key.tags ?? [])],
        allowed_ips: key.allowedIps ? [...key.allowedIps] : null,
        created_by: key.createdBy ?? null,
        created_at: new Date(key.createdAtMs),
        last_used_at: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    return view(row);
  }

  async get(id: string): Promise<ApiKey | null> {
    const row = await this.#db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? view(row) : null;
  }

  /** Newest first, of one account or of all. */
  async list(page: PageRequest & { accountId?: string }): Promise<Page<ApiKey>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    let query = this.#db.selectFrom('api_keys').selectAll();
    if (page.accountId !== undefined) query = query.where('account_id', '=', page.accountId);
    if (after) query = query.where(olderThan(after));
    const rows = await query
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute();
    return toPage(rows, limit, (row) => ({ atMs: row.created_at.getTime(), id: row.id }), view);
  }

  /** The key after the change, or null when there is none. */
  async update(id: string, patch: ApiKeyPatch): Promise<ApiKey | null> {
    const changes = {
      ...(patch.name === undefined ? {} : { name: patch.name }),
      ...(patch.models === undefined ? {} : { models: patch.models ? [...patch.models] : null }),
      ...(patch.scopes === undefined ? {} : { scopes: [...patch.scopes] }),
      ...(patch.allowGrammars === undefined ? {} : { allow_grammars: patch.allowGrammars }),
      ...(patch.capDayNusd === undefined ? {} : { cap_day_nusd: patch.capDayNusd }),
      ...(patch.capMonthNusd === undefined ? {} : { cap_month_nusd: patch.capMonthNusd }),
      ...(patch.expiresAtMs === undefined ? {} : { expires_at: dateOrNull(patch.expiresAtMs) }),
      ...(patch.tags === undefined ? {} : { tags: [...patch.tags] }),
      ...(patch.allowedIps === undefined ? {} : { allowed_ips: patch.allowedIps ? [...patch.allowedIps] : null }),
      ...limitColumns(patch.limits),
    };
    if (Object.keys(changes).length === 0) return this.get(id);
    const row = await this.#db
      .updateTable('api_keys')
      .set(changes)
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    return row ? view(row) : null;
  }

  /** Revokes for good; a second call keeps the first time. Null when there is no such key. */
  async revoke(id: string, atMs: number): Promise<ApiKey | null> {
    const row = await this.#db
      .updateTable('api_keys')
      .set({ revoked_at: sql<Date>`coalesce(revoked_at, ${new Date(atMs)}::timestamptz)` })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    return row ? view(row) : null;
  }

  /**
   * Adds `replacement` and lets the old key run out at `oldExpiresAtMs` (never later than it already would), in one
   * transaction. Null when the old key does not exist or is revoked.
   */
  rotate(
    oldId: string,
    replacement: NewApiKey,
    oldExpiresAtMs: number,
  ): Promise<{ old: ApiKey; fresh: ApiKey } | null> {
    return inTx(this.#db, async (trx) => {
      const row = await trx
        .updateTable('api_keys')
        .set({ expires_at: sql<Date>`least(expires_at, ${new Date(oldExpiresAtMs)}::timestamptz)` })
        .where('id', '=', oldId)
        .where('revoked_at', 'is', null)
        .returningAll()
        .executeTakeFirst();
      if (!row) return null;
      const fresh = await new KeyStore(trx).create({ ...replacement, rotatedFrom: oldId as KeyId });
      return { old: view(row), fresh };
    });
  }

  /** Notes when keys were last used; never moves a time back. */
  async touch(uses: ReadonlyMap<string, number>): Promise<void> {
    if (uses.size === 0) return;
    const ids = [...uses.keys()];
    const times = [...uses.values()].map((ms) => new Date(ms));
    await sql`UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, u.at)
      FROM unnest(${ids}::text[], ${times}::timestamptz[]) AS u (id, at) WHERE k.id = u.id`.execute(this.#db);
  }

  /** What routers must know of one key; null when there is no such key. */
  async record(id: string): Promise<PublishedKey | null> {
    return (await this.#records((query) => query.where('k.id', '=', id)))[0] ?? null;
  }

  /** The same of all keys of an account, e.g. after its limits changed. */
  recordsOfAccount(accountId: string): Promise<PublishedKey[]> {
    return this.#records((query) => query.where('k.account_id', '=', accountId));
  }

  /** The same of every key, in pages by ascending id; for publishing into an empty Redis. Revoked keys are included. */
  async recordsAfter(
    lastId: string | null,
    limit: number,
  ): Promise<{ records: PublishedKey[]; lastId: string | null }> {
    const records = await this.#records((query) => {
      const page = query.orderBy('k.id').limit(limit);
      return lastId === null ? page : page.where('k.id', '>', lastId);
    });
    return { records, lastId: records.length < limit ? null : records.at(-1)!.record.keyId };
  }

  async #records(narrow: (query: RecordQuery) => RecordQuery): Promise<PublishedKey[]> {
    const rows = await narrow(recordQuery(this.#db)).execute();
    const accounts = [...new Set(rows.map((row) => row.account_id))];
    const limits = new Map<string, Record<string, RateLimits>>();
    if (accounts.length > 0) {
      const modelRows = await this.#db
        .selectFrom('account_model_limits')
        .selectAll()
        .where('account_id', 'in', accounts)
        .execute();
      for (const row of modelRows) {
        limits.set(row.account_id, { ...limits.get(row.account_id), [row.model]: limitsOf(row) });
      }
    }
    return rows.map((row) => ({
      digest: row.digest,
      record: {
        keyId: row.id as KeyId,
        accountId: row.account_id as AccountId,
        projectId: row.project_id,
        userId: row.user_id,
        kind: row.kind,
        models: row.models,
        scopes: row.scopes,
        allowGrammars: row.allow_grammars,
        ...(row.allowed_ips === null ? {} : { allowedIps: row.allowed_ips }),
        limits: limitsOf(row),
        accountLimits: { requestsPerMinute: row.a_rpm, tokensPerMinute: row.a_tpm, concurrency: row.a_concurrency },
        modelLimits: limits.get(row.account_id) ?? {},
        capDayNusd: row.cap_day_nusd === null ? null : String(row.cap_day_nusd),
        capMonthNusd: row.cap_month_nusd === null ? null : String(row.cap_month_nusd),
        expiresAtMs: row.expires_at?.getTime() ?? null,
        revokedAtMs: row.revoked_at?.getTime() ?? null,
        accountFrozen: row.a_status === 'frozen',
        weight: row.a_weight,
        ...(row.keeps_bodies ? { keepsBodies: true as const } : {}),
      },
    }));
  }
}

type RecordQuery = ReturnType<typeof recordQuery>;

function recordQuery(db: Executor) {
  return db
    .selectFrom('api_keys as k')
    .innerJoin('accounts as a', 'a.id', 'k.account_id')
    .leftJoin('body_retention as b', 'b.account_id', 'k.account_id')
    .selectAll('k')
    .select(['a.rpm as a_rpm', 'a.tpm as a_tpm', 'a.concurrency as a_concurrency'])
    .select(['a.status as a_status', 'a.weight as a_weight', 'b.enabled as keeps_bodies']);
}

function dateOrNull(ms: number | null | undefined): Date | null {
  return ms === null || ms === undefined ? null : new Date(ms);
}

function view(row: KeyRow): ApiKey {
  return {
    id: row.id as KeyId,
    accountId: row.account_id as AccountId,
    projectId: row.project_id,
    userId: row.user_id,
    kind: row.kind,
    name: row.name,
    digest: row.digest,
    prefix: row.prefix,
    last4: row.last4,
    models: row.models,
    scopes: row.scopes,
    allowGrammars: row.allow_grammars,
    limits: limitsOf(row),
    capDayNusd: row.cap_day_nusd,
    capMonthNusd: row.cap_month_nusd,
    expiresAtMs: row.expires_at?.getTime() ?? null,
    revokedAtMs: row.revoked_at?.getTime() ?? null,
    rotatedFrom: row.rotated_from as KeyId | null,
    tags: row.tags,
    allowedIps: row.allowed_ips,
    createdBy: row.created_by,
    createdAtMs: row.created_at.getTime(),
    lastUsedAtMs: row.last_used_at?.getTime() ?? null,
  };
}
