/** Lists of the console that filter: ids first, by index and filter; then the stores' own rows, in that order. */
import { sql } from 'kysely';
import { type Account, AccountStore } from './account-store.ts';
import type { Executor } from './client.ts';
import { type ApiKey, KeyStore } from './key-store.ts';
import { decodeCursor, olderThan, type Page, type PageRequest, pageLimit, toPage } from './page.ts';
import type { Rollup, RollupRow } from './usage-store.ts';

interface Listed {
  id: string;
  created_at: Date;
}

export interface AccountFilter extends PageRequest {
  status?: 'active' | 'frozen';
  /** Part of the name or e-mail, or a whole id. */
  search?: string;
}

export interface KeyFilter extends PageRequest {
  accountId?: string;
  state?: 'live' | 'expired' | 'revoked';
  kind?: 'api' | 'pat' | 'service';
  nowMs: number;
  /** Part of the name, or the first characters of the key's prefix. */
  search?: string;
}

/** Newest first. */
export async function listAccounts(db: Executor, filter: AccountFilter): Promise<Page<Account>> {
  const after = decodeCursor(filter.cursor);
  const limit = pageLimit(filter);
  const like = filter.search === undefined ? null : `%${escapeLike(filter.search)}%`;
  const { rows } = await sql<Listed>`
    SELECT id, created_at FROM accounts
    WHERE (${filter.status ?? null}::text IS NULL OR status = ${filter.status ?? null})
      AND (${like}::text IS NULL OR name ILIKE ${like} OR email ILIKE ${like} OR id = ${filter.search ?? null})
      AND ${olderThan(after)}
    ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(db);
  const store = new AccountStore(db);
  return resolve(rows, limit, (id) => store.get(id));
}

/** Newest first. */
export async function listKeys(db: Executor, filter: KeyFilter): Promise<Page<ApiKey>> {
  const after = decodeCursor(filter.cursor);
  const limit = pageLimit(filter);
  const text = filter.search === undefined ? null : escapeLike(filter.search);
  const { rows } = await sql<Listed>`
    SELECT id, created_at FROM api_keys
    WHERE (${filter.accountId ?? null}::text IS NULL OR account_id = ${filter.accountId ?? null})
      AND (${filter.kind ?? null}::text IS NULL OR kind = ${filter.kind ?? null}) AND NOT 'playground' = ANY(tags)
      AND (${text}::text IS NULL OR name ILIKE ${`%${text}%`} OR prefix LIKE ${`${text}%`})
      AND (${filter.state ?? null}::text IS NULL OR ${filter.state ?? null} = CASE
            WHEN revoked_at IS NOT NULL THEN 'revoked'
            WHEN expires_at <= ${new Date(filter.nowMs)} THEN 'expired' ELSE 'live' END)
      AND ${olderThan(after)}
    ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(db);
  const store = new KeyStore(db);
  return resolve(rows, limit, (id) => store.get(id));
}

async function resolve<T>(rows: Listed[], limit: number, get: (id: string) => Promise<T | null>): Promise<Page<T>> {
  const page = toPage(
    rows,
    limit,
    (row) => ({ atMs: row.created_at.getTime(), id: row.id }),
    (row) => row.id,
  );
  const data: T[] = [];
  for (const id of page.data) {
    const item = await get(id);
    if (item) data.push(item);
  }
  return { data, next: page.next };
}

const escapeLike = (text: string) => text.replace(/[\\%_]/g, (char) => `\\${char}`);

export interface RollupPageFilter extends PageRequest {
  accountId: string;
  by: 'hour' | 'day';
  fromMs?: number;
  toMs?: number;
  model?: string;
  keyId?: string;
}

/** Totals per hour or UTC day, key and model; newest first, then by key and model. */
export async function pageRollups(db: Executor, filter: RollupPageFilter): Promise<Page<Rollup>> {
  const limit = pageLimit(filter);
  const after = decodeCursor(filter.cursor);
  const [afterKey = '', afterModel = ''] = after?.id.split(' ') ?? [];
  const table = sql.raw(filter.by === 'hour' ? 'usage_hourly' : 'usage_daily');
  const start = filter.by === 'hour' ? sql.raw('hour') : sql.raw(`(day::timestamp AT TIME ZONE 'UTC')`);
  const at = new Date(after?.atMs ?? 0);
  const { rows } = await sql<RollupRow>`
    SELECT ${start} AS start, key_id, model, requests, prompt_tokens, cached_tokens, completion_tokens, amount_nusd
    FROM ${table}
    WHERE account_id = ${filter.accountId}
      AND ${start} >= ${new Date(filter.fromMs ?? 0)} AND ${start} < ${new Date(filter.toMs ?? Date.UTC(9999, 0, 1))}
      AND (${filter.model ?? null}::text IS NULL OR model = ${filter.model ?? null})
      AND (${filter.keyId ?? null}::text IS NULL OR key_id = ${filter.keyId ?? null})
      AND (${after === null} OR ${start} < ${at}
           OR (${start} = ${at} AND (key_id COLLATE "C", model COLLATE "C") > (${afterKey}, ${afterModel})))
    ORDER BY 1 DESC, key_id COLLATE "C", model COLLATE "C" LIMIT ${limit + 1}`.execute(db);
  return toPage(
    rows,
    limit,
    (row) => ({ atMs: row.start.getTime(), id: `${row.key_id} ${row.model}` }),
    (row) => ({
      startMs: row.start.getTime(),
      keyId: row.key_id,
      model: row.model,
      requests: row.requests,
      promptTokens: row.prompt_tokens,
      cachedTokens: row.cached_tokens,
      completionTokens: row.completion_tokens,
      amountNusd: row.amount_nusd,
    }),
  );
}

/** The signed change of `credited` that this operation made before, if it did: positive = granted. */
export async function earlierCredit(
  db: Executor,
  idemKey: string,
): Promise<{ accountId: string; amountNusd: bigint; transactionId: bigint } | null> {
  const { rows } = await sql<{ account_id: string; amount: bigint; id: bigint }>`
    SELECT t.id, t.account_id, -e.amount_nusd AS amount FROM transactions t
    JOIN entries e ON e.transaction_id = t.id AND e.bucket_kind = 'credited'
    WHERE t.kind IN ('credit_grant', 'credit_adjust') AND t.idem_key = ${idemKey} LIMIT 1`.execute(db);
  const row = rows[0];
  return row ? { accountId: row.account_id, amountNusd: row.amount, transactionId: row.id } : null;
}

/** A key by the digest of its text, whatever its state. */
export async function keyByDigest(db: Executor, digest: string): Promise<ApiKey | null> {
  const { rows } = await sql<{ id: string }>`SELECT id FROM api_keys WHERE digest = ${digest}`.execute(db);
  return rows[0] ? new KeyStore(db).get(rows[0].id) : null;
}

/** What keys have spent, settled: on this UTC day and in this UTC month. */
export async function keySpend(
  db: Executor,
  keyIds: readonly string[],
  nowMs: number,
): Promise<Map<string, { dayNusd: bigint; monthNusd: bigint }>> {
  const day = new Date(nowMs).toISOString().slice(0, 10);
  const { rows } = await sql<{ key_id: string; day_nusd: bigint; month_nusd: bigint }>`
    SELECT key_id, coalesce(sum(amount_nusd) FILTER (WHERE day = ${day}::date), 0) AS day_nusd,
           sum(amount_nusd) AS month_nusd
    FROM key_spend WHERE key_id = ANY(${[...keyIds]}::text[]) AND day >= ${`${day.slice(0, 7)}-01`}::date
    GROUP BY 1`.execute(db);
  return new Map(rows.map((row) => [row.key_id, { dayNusd: row.day_nusd, monthNusd: row.month_nusd }]));
}

/** The successors of rotated keys: old id -> newest new id. */
export async function successorsOf(db: Executor, keyIds: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql<{ rotated_from: string; id: string }>`
    SELECT rotated_from, id FROM api_keys WHERE rotated_from = ANY(${[...keyIds]}::text[])
    ORDER BY created_at, id`.execute(db);
  return new Map(rows.map((row) => [row.rotated_from, row.id]));
}

/** Names of keys, the revoked ones too. */
export async function keyNames(db: Executor, keyIds: readonly string[]): Promise<Map<string, string>> {
  if (keyIds.length === 0) return new Map();
  const { rows } = await sql<{ id: string; name: string }>`
    SELECT id, name FROM api_keys WHERE id = ANY(${[...new Set(keyIds)]}::text[])`.execute(db);
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** Personal access tokens of a user, newest first. */
export async function listAccessTokens(db: Executor, userId: string, page: PageRequest): Promise<Page<ApiKey>> {
  const after = decodeCursor(page.cursor);
  const limit = pageLimit(page);
  const { rows } = await sql<Listed>`
    SELECT id, created_at FROM api_keys WHERE user_id = ${userId} AND kind = 'pat'
      AND ${olderThan(after)}
    ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(db);
  const store = new KeyStore(db);
  return resolve(rows, limit, (id) => store.get(id));
}
