/** Reading what was used: pages of the request log, roll-ups by hour and day, and the jobs that keep them. */
import { type Selectable, sql } from 'kysely';
import type { Executor } from './client.ts';
import { decodeCursor, type Page, type PageRequest, pageLimit, toPage } from './page.ts';
import type { Schema } from './schema.ts';
import { inTx } from './tx.ts';

export interface UsageRow {
  requestId: string;
  accountId: string;
  keyId: string;
  projectId: string | null;
  userId: string | null;
  model: string;
  endpoint: string;
  stream: boolean;
  /** False while only the reaper's estimate is known. */
  final: boolean;
  outcome: string;
  status: number;
  finishReason: string | null;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  reasoningTokens: number;
  countSource: string;
  amountNusd: bigint;
  priceId: string;
  clipped: boolean;
  workerUrl: string | null;
  admittedAtMs: number;
  finishedAtMs: number;
  queueMs: number | null;
  firstTokenMs: number | null;
  durationMs: number;
  clientRequestId: string | null;
  /** What the client called the conversation and its own user. */
  chatId: string | null;
  endUser: string | null;
  userAgent: string | null;
}

export interface UsageFilter extends PageRequest {
  accountId?: string;
  keyId?: string;
  model?: string;
  projectId?: string;
  userId?: string;
  chatId?: string;
  endUser?: string;
  /** Admitted at or after / before, ms since 1970. */
  fromMs?: number;
  toMs?: number;
}

export interface Rollup {
  /** Start of the hour or of the UTC day, ms since 1970. */
  startMs: number;
  keyId: string;
  model: string;
  requests: bigint;
  promptTokens: bigint;
  cachedTokens: bigint;
  completionTokens: bigint;
  amountNusd: bigint;
}

export interface RollupFilter {
  accountId: string;
  by: 'hour' | 'day';
  fromMs?: number;
  toMs?: number;
  /** Newest rows first, at most this many (1 to 10,000). */
  limit: number;
}

export class UsageStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Finished requests, newest admission first. */
  async page(filter: UsageFilter): Promise<Page<UsageRow>> {
    const limit = pageLimit(filter);
    const after = decodeCursor(filter.cursor);
    let query = this.#db.selectFrom('request_log').selectAll().where('refused', '=', false);
    if (filter.accountId !== undefined) query = query.where('account_id', '=', filter.accountId);
    if (filter.keyId !== undefined) query = query.where('key_id', '=', filter.keyId);
    if (filter.model !== undefined) query = query.where('model', '=', filter.model);
    if (filter.projectId !== undefined) query = query.where('project_id', '=', filter.projectId);
    if (filter.userId !== undefined) query = query.where('user_id', '=', filter.userId);
    if (filter.chatId !== undefined) query = query.where('chat_id', '=', filter.chatId);
    if (filter.endUser !== undefined) query = query.where('end_user', '=', filter.endUser);
    if (filter.fromMs !== undefined) query = query.where('admitted_at', '>=', new Date(filter.fromMs));
    if (filter.toMs !== undefined) query = query.where('admitted_at', '<', new Date(filter.toMs));
    // The plain bound beside the row comparison lets the planner skip whole partitions.
    if (after) {
      const at = new Date(after.atMs);
      query = query
        .where('admitted_at', '<=', at)
        .where(sql<boolean>`(admitted_at, request_id) < (${at}, ${after.id})`);
    }
    const rows = await query
      .orderBy('admitted_at', 'desc')
      .orderBy('request_id', 'desc')
      .limit(limit + 1)
      .execute();
    return toPage(rows, limit, (row) => ({ atMs: row.admitted_at.getTime(), id: row.request_id }), view);
  }

  /** One request; null when it is unknown or not finished. Reads every partition's key: for people, not for loops. */
  async get(requestId: string): Promise<UsageRow | null> {
    const row = await this.#db
      .selectFrom('request_log')
      .selectAll()
      .where('request_id', '=', requestId)
      .orderBy('admitted_at', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row ? view(row) : null;
  }

  /** Totals per key and model, newest first. */
  async rollups(filter: RollupFilter): Promise<Rollup[]> {
    const limit = Math.min(Math.max(Math.trunc(filter.limit) || 1, 1), 10_000);
    const from = new Date(filter.fromMs ?? 0);
    const to = new Date(filter.toMs ?? Date.UTC(9999, 0, 1));
    const table = sql.raw(filter.by === 'hour' ? 'usage_hourly' : 'usage_daily');
    const start = filter.by === 'hour' ? sql.raw('hour') : sql.raw(`(day::timestamp AT TIME ZONE 'UTC')`);
    const { rows } = await sql<RollupRow>`
      SELECT ${start} AS start, key_id, model, requests, prompt_tokens, cached_tokens, completion_tokens, amount_nusd
      FROM ${table} WHERE account_id = ${filter.accountId} AND ${start} >= ${from} AND ${start} < ${to}
      ORDER BY 1 DESC, key_id, model LIMIT ${limit}`.execute(this.#db);
    return rows.map((row) => ({
      startMs: row.start.getTime(),
      keyId: row.key_id,
      model: row.model,
      requests: row.requests,
      promptTokens: row.prompt_tokens,
      cachedTokens: row.cached_tokens,
      completionTokens: row.completion_tokens,
      amountNusd: row.amount_nusd,
    }));
  }

  /**
   * Recomputes every hour that has a row written at or after `sinceMs` (database clock), from the request log. Repeating
   * it, or running it twice at once, gives the same figures. Returns the hours recomputed.
   */
  recomputeHourly(sinceMs: number): Promise<number> {
    return inTx(this.#db, async (trx) => {
      const { rows } = await sql<{ hours: bigint }>`
        WITH dirty AS (
          SELECT DISTINCT date_trunc('hour', admitted_at, 'UTC') AS hour FROM request_log
          WHERE logged_at >= ${new Date(sinceMs)}),
        fresh AS (
          INSERT INTO usage_hourly AS u (account_id, key_id, model, hour, requests, prompt_tokens, cached_tokens,
                                         completion_tokens, amount_nusd)
          SELECT r.account_id, r.key_id, r.model, d.hour, count(*), sum(r.prompt_tokens), sum(r.cached_tokens),
                 sum(r.completion_tokens), sum(r.amount_nusd)
          FROM dirty d JOIN request_log r ON r.admitted_at >= d.hour AND r.admitted_at < d.hour + interval '1 hour'
          WHERE NOT r.refused
          GROUP BY 1, 2, 3, 4 ORDER BY 1, 4, 2, 3
          ON CONFLICT (account_id, hour, key_id, model) DO UPDATE SET
            requests = excluded.requests, prompt_tokens = excluded.prompt_tokens, cached_tokens = excluded.cached_tokens,
            completion_tokens = excluded.completion_tokens, amount_nusd = excluded.amount_nusd
          RETURNING 1)
        SELECT count(*) AS hours FROM dirty`.execute(trx);
      return Number(rows[0]!.hours);
    });
  }

  /** Recomputes the UTC days from `fromMs` on out of the hours. Repeatable. */
  recomputeDaily(fromMs: number): Promise<void> {
    return inTx(this.#db, async (trx) => {
      await sql`
        INSERT INTO usage_daily (account_id, key_id, model, day, requests, prompt_tokens, cached_tokens,
                                 completion_tokens, amount_nusd)
        SELECT account_id, key_id, model, (hour AT TIME ZONE 'UTC')::date, sum(requests), sum(prompt_tokens),
               sum(cached_tokens), sum(completion_tokens), sum(amount_nusd)
        FROM usage_hourly WHERE hour >= date_trunc('day', ${new Date(fromMs)}::timestamptz, 'UTC')
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 4, 2, 3
        ON CONFLICT (account_id, day, key_id, model) DO UPDATE SET
          requests = excluded.requests, prompt_tokens = excluded.prompt_tokens, cached_tokens = excluded.cached_tokens,
          completion_tokens = excluded.completion_tokens, amount_nusd = excluded.amount_nusd`.execute(trx);
    });
  }

  /** Oldest admission among rows written since; for the daily recomputation. Null when there are none. */
  async oldestAdmissionSince(sinceMs: number): Promise<number | null> {
    const { rows } = await sql<{ at: Date | null }>`
      SELECT min(admitted_at) AS at FROM request_log WHERE logged_at >= ${new Date(sinceMs)}`.execute(this.#db);
    return rows[0]?.at?.getTime() ?? null;
  }

  /** Creates the request log's partitions of this UTC month and the next `monthsAhead`; returns those made now. */
  async ensurePartitions(nowMs: number, monthsAhead = 2): Promise<string[]> {
    const made: string[] = [];
    const now = new Date(nowMs);
    for (let month = 0; month <= monthsAhead; month++) {
      const moment = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + month, 15));
      const { rows } = await sql<{ part: string | null }>`
        SELECT ensure_request_log_partition(${moment}::timestamptz) AS part`.execute(this.#db);
      if (rows[0]?.part) made.push(rows[0].part);
    }
    return made;
  }
}

/** Of `usage_hourly` and `usage_daily`. */
export interface RollupRow {
  start: Date;
  key_id: string;
  model: string;
  requests: bigint;
  prompt_tokens: bigint;
  cached_tokens: bigint;
  completion_tokens: bigint;
  amount_nusd: bigint;
}

function view(row: Selectable<Schema['request_log']>): UsageRow {
  return {
    requestId: row.request_id,
    accountId: row.account_id,
    keyId: row.key_id,
    projectId: row.project_id,
    userId: row.user_id,
    model: row.model,
    endpoint: row.endpoint,
    stream: row.stream,
    final: row.final,
    outcome: row.outcome,
    status: row.status,
    finishReason: row.finish_reason,
    promptTokens: row.prompt_tokens,
    cachedTokens: row.cached_tokens,
    completionTokens: row.completion_tokens,
    reasoningTokens: row.reasoning_tokens,
    countSource: row.count_source,
    amountNusd: row.amount_nusd,
    priceId: row.price_id,
    clipped: row.clipped,
    workerUrl: row.worker_url,
    admittedAtMs: row.admitted_at.getTime(),
    finishedAtMs: row.finished_at.getTime(),
    queueMs: row.queue_ms,
    firstTokenMs: row.first_token_ms,
    durationMs: row.duration_ms,
    clientRequestId: row.client_request_id,
    chatId: row.chat_id,
    endUser: row.end_user,
    userAgent: row.user_agent,
  };
}
