/** The request log as people filter it: finished requests and refused ones, newest admission first. */

import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Refusal } from '../domain/refusal.ts';
import type { Executor, Tx } from './client.ts';
import { encodeCursor, type Position } from './page.ts';
import type { Schema } from './schema.ts';

export interface RequestFilter {
  accountId: string;
  /** Admitted at or after / before, ms since 1970. */
  fromMs?: number | undefined;
  toMs?: number | undefined;
  outcomes?: readonly string[] | undefined;
  statuses?: readonly number[] | undefined;
  codes?: readonly string[] | undefined;
  models?: readonly string[] | undefined;
  keyIds?: readonly string[] | undefined;
  idPrefix?: string | undefined;
  minFirstTokenMs?: number | undefined;
  minDurationMs?: number | undefined;
  chatId?: string | undefined;
  endUser?: string | undefined;
  userId?: string | undefined;
  projectId?: string | undefined;
  after?: Position | null;
  /** 1 to 10,000. */
  limit: number;
}

export type RequestRow = Selectable<Schema['request_log']>;

const escapeLike = (text: string) => text.replace(/[\\%_]/g, (char) => `\\${char}`);

export class RequestStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Rows and the cursor of the next page (null at the end). Every filter has its index; see 0103_request_log.sql, 0104. */
  async page(filter: RequestFilter): Promise<{ rows: RequestRow[]; next: string | null }> {
    const conditions: RawBuilder<unknown>[] = [sql`account_id = ${filter.accountId}`];
    if (filter.fromMs !== undefined) conditions.push(sql`admitted_at >= ${new Date(filter.fromMs)}`);
    if (filter.toMs !== undefined) conditions.push(sql`admitted_at < ${new Date(filter.toMs)}`);
    if (filter.outcomes) {
      conditions.push(sql`outcome = ANY(${[...filter.outcomes]}::text[])`);
      // Spelt out so that the partial index on what was not served can be used.
      if (!filter.outcomes.includes('served')) conditions.push(sql`outcome <> 'served'`);
    }
    if (filter.statuses) {
      conditions.push(sql`status = ANY(${[...filter.statuses]}::int[])`);
      // Spelt out for the partial index.
      if (!filter.statuses.includes(200)) conditions.push(sql`status <> 200`);
    }
    if (filter.codes) conditions.push(anyOf('code', filter.codes));
    if (filter.models) conditions.push(anyOf('model', filter.models));
    if (filter.keyIds) conditions.push(anyOf('key_id', filter.keyIds));
    if (filter.idPrefix !== undefined && filter.idPrefix !== 'req_') {
      conditions.push(sql`request_id LIKE ${`${escapeLike(filter.idPrefix)}%`}`);
    }
    if (filter.minFirstTokenMs !== undefined) {
      conditions.push(sql`first_token_ms >= ${filter.minFirstTokenMs}`);
      if (filter.minFirstTokenMs >= 500) conditions.push(sql`first_token_ms >= 500`);
    }
    if (filter.minDurationMs !== undefined) {
      conditions.push(sql`duration_ms >= ${filter.minDurationMs}`);
      if (filter.minDurationMs >= 2_000) conditions.push(sql`duration_ms >= 2000`);
    }
    if (filter.chatId !== undefined) conditions.push(sql`chat_id = ${filter.chatId}`);
    if (filter.endUser !== undefined) conditions.push(sql`end_user = ${filter.endUser}`);
    if (filter.userId !== undefined) conditions.push(sql`user_id = ${filter.userId}`);
    if (filter.projectId !== undefined) conditions.push(sql`project_id = ${filter.projectId}`);
    if (filter.after) {
      const at = new Date(filter.after.atMs);
      // The plain bound beside the row comparison lets the planner skip whole partitions.
      conditions.push(sql`admitted_at <= ${at}`, sql`(admitted_at, request_id) < (${at}, ${filter.after.id})`);
    }
    const { rows } = await sql<RequestRow>`
      SELECT * FROM request_log WHERE ${sql.join(conditions, sql` AND `)}
      ORDER BY admitted_at DESC, request_id DESC LIMIT ${filter.limit + 1}`.execute(this.#db);
    const shown = rows.slice(0, filter.limit);
    const last = shown.at(-1);
    const next =
      rows.length > filter.limit && last
        ? encodeCursor({ atMs: last.admitted_at.getTime(), id: last.request_id })
        : null;
    return { rows: shown, next };
  }

  /** One request, of one account or (null) of any. */
  async get(requestId: string, accountId: string | null): Promise<RequestRow | null> {
    const { rows } = await sql<RequestRow>`
      SELECT * FROM request_log WHERE request_id = ${requestId}
        AND (${accountId}::text IS NULL OR account_id = ${accountId})
      ORDER BY refused, admitted_at DESC LIMIT 1`.execute(this.#db);
    return rows[0] ?? null;
  }

  /** How many rows were written after `sinceMs`, at most `most`. */
  async newer(accountId: string, sinceMs: number, lookBackMs: number, most: number): Promise<number> {
    const { rows } = await sql<{ count: bigint }>`
      SELECT count(*) AS count FROM (
        SELECT 1 FROM request_log WHERE account_id = ${accountId} AND logged_at > ${new Date(sinceMs)}
          AND admitted_at > ${new Date(sinceMs - lookBackMs)} LIMIT ${most}) AS found`.execute(this.#db);
    return Number(rows[0]!.count);
  }

  /** Ledger transactions of a request, oldest first. */
  async ledgerOf(requestId: string): Promise<{ id: bigint; kind: string; createdAtMs: number }[]> {
    const keys = [requestId, ...[1, 2, 3, 4, 5].map((revision) => `${requestId}#${revision}`)];
    const { rows } = await sql<{ id: bigint; kind: string; created_at: Date }>`
      SELECT id, kind, created_at FROM transactions
      WHERE kind IN ('settlement', 'settlement_final') AND idem_key = ANY(${keys}::text[]) ORDER BY id`.execute(
      this.#db,
    );
    return rows.map((row) => ({ id: row.id, kind: row.kind, createdAtMs: row.created_at.getTime() }));
  }

  async firstServed(accountId: string): Promise<RequestRow | null> {
    const { rows } = await sql<RequestRow>`
      SELECT * FROM request_log WHERE account_id = ${accountId} AND outcome = 'served'
      ORDER BY admitted_at, request_id LIMIT 1`.execute(this.#db);
    return rows[0] ?? null;
  }

  async lastServedAtMs(accountId: string): Promise<number | null> {
    const { rows } = await sql<{ at: Date }>`
      SELECT admitted_at AS at FROM request_log WHERE account_id = ${accountId} AND outcome = 'served'
      ORDER BY admitted_at DESC, request_id DESC LIMIT 1`.execute(this.#db);
    return rows[0]?.at.getTime() ?? null;
  }

  /** The newest request that was not served for a reason that a person can do something about. */
  async lastFailure(accountId: string): Promise<RequestRow | null> {
    const { rows } = await sql<RequestRow>`
      SELECT * FROM request_log WHERE account_id = ${accountId} AND outcome <> 'served' AND code IS NOT NULL
      ORDER BY admitted_at DESC, request_id DESC LIMIT 1`.execute(this.#db);
    return rows[0] ?? null;
  }

  /**
   * Adds refusals; a repeat changes nothing, and a request that was billed keeps its own row. Accounts that do not
   * exist here (a Redis of another installation) are left out.
   */
  static async addRefusals(trx: Tx, refusals: readonly Refusal[]): Promise<void> {
    if (refusals.length === 0) return;
    const text = (value: string | null) => (value === null ? null : value.replaceAll('\0', '').toWellFormed());
    const of = <V>(value: (refusal: Refusal) => V): V[] => refusals.map(value);
    await sql`INSERT INTO request_log (request_id, admitted_at, account_id, key_id, project_id, user_id, model, endpoint,
        stream, final, outcome, status, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, count_source,
        amount_nusd, held_nusd, price_id, clipped, worker_url, router_id, finished_at, queue_ms, duration_ms,
        client_request_id, refused, code, user_agent)
      SELECT r.request_id, r.at, r.account_id, r.key_id, r.project_id, r.user_id, r.model, r.endpoint, r.stream, true,
             r.outcome, r.status, 0, 0, 0, 0, 'engine', 0, 0, '', false, r.worker_url, r.router_id,
             r.at + r.duration_ms * interval '1 ms', r.queue_ms, r.duration_ms, r.client_request_id, true, r.code,
             r.user_agent
      FROM unnest(${of((r) => r.requestId)}::text[], ${of((r) => new Date(r.atMs).toISOString())}::timestamptz[],
                  ${of((r) => r.accountId)}::text[], ${of((r) => r.keyId)}::text[], ${of((r) => text(r.projectId))}::text[],
                  ${of((r) => text(r.userId))}::text[], ${of((r) => text(r.model))}::text[],
                  ${of((r) => text(r.endpoint))}::text[], ${of((r) => r.stream)}::bool[], ${of((r) => r.outcome)}::text[],
                  ${of((r) => r.status)}::int[], ${of((r) => text(r.workerUrl))}::text[],
                  ${of((r) => text(r.routerId))}::text[], ${of((r) => r.queueMs)}::int[],
                  ${of((r) => r.durationMs)}::int[], ${of((r) => text(r.clientRequestId))}::text[],
                  ${of((r) => text(r.code))}::text[], ${of((r) => text(r.userAgent ?? null))}::text[])
        AS r (request_id, at, account_id, key_id, project_id, user_id, model, endpoint, stream, outcome, status,
              worker_url, router_id, queue_ms, duration_ms, client_request_id, code, user_agent)
      WHERE EXISTS (SELECT 1 FROM accounts a WHERE a.id = r.account_id)
      ON CONFLICT (admitted_at, request_id) DO NOTHING`.execute(trx);
  }
}

/** One value as an equality: then the index gives the order too. */
function anyOf(column: 'model' | 'key_id' | 'code', values: readonly string[]): RawBuilder<unknown> {
  const name = sql.ref(column);
  return values.length === 1 ? sql`${name} = ${values[0]}` : sql`${name} = ANY(${[...values]}::text[])`;
}

/** Drops the request log's partitions that end before `beforeMs`; returns their names. */
export async function dropRequestLogBefore(db: Executor, beforeMs: number): Promise<string[]> {
  const { rows } = await sql<{ part: string }>`
    SELECT part FROM drop_request_log_partitions(${new Date(beforeMs)}::timestamptz) AS part`.execute(db);
  return rows.map(({ part }) => part);
}
