/**
 * Roll-ups for charts, and reading them: how requests ended by hour and day, and times to first token as counts per
 * logarithmic bucket. Hours are recomputed whole from the request log, so repeating it gives the same figures.
 */
import { sql } from 'kysely';
import type { Executor } from './client.ts';
import { inTx, lock } from './tx.ts';

export interface Figures {
  requests: bigint;
  promptTokens: bigint;
  cachedTokens: bigint;
  completionTokens: bigint;
  amountNusd: bigint;
}

export interface SeriesFilter {
  accountId: string;
  by: 'hour' | 'day';
  group: 'model' | 'key' | 'status' | 'none';
  fromMs: number;
  toMs: number;
  models?: readonly string[] | undefined;
  keyIds?: readonly string[] | undefined;
  outcomes?: readonly string[] | undefined;
  /** Groups shown by themselves; the rest is `other`. */
  groups: number;
}

export interface SeriesPoint extends Figures {
  startMs: number;
  group: string;
}

export interface ModelHour {
  model: string;
  startMs: number;
  /** Requests that ended well, or badly by the platform's fault; what the caller got wrong counts in neither. */
  good: bigint;
  failed: bigint;
  decodeMs: bigint;
  decodeTokens: bigint;
}

/** Buckets per doubling of the time to first token. */
const PER_DOUBLING = 8;
/** Outcomes that are the platform's fault. */
const PLATFORM_FAULTS = [
  'worker_lost',
  'worker_error',
  'timed_out',
  'drained',
  'router_lost',
  'refused_capacity',
  'refused_unavailable',
  'failed_internal',
];
const GOOD = ['served', 'client_gone', 'slow_reader_cut'];
const JOB_LOCK = 103;

const FIGURES = sql`sum(requests) AS requests, sum(prompt_tokens) AS "promptTokens", sum(cached_tokens) AS "cachedTokens",
  sum(completion_tokens) AS "completionTokens", sum(amount_nusd) AS "amountNusd"`;
const COLUMNS = sql`requests, prompt_tokens, cached_tokens, completion_tokens, amount_nusd, decode_ms, decode_tokens`;
const SUMS = sql`sum(requests), sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens), sum(amount_nusd),
  sum(decode_ms), sum(decode_tokens)`;

export class StatsStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Recomputes every hour (and its UTC day) that has a row written at or after `sinceMs`. Returns the hours. */
  recompute(sinceMs: number): Promise<number> {
    return inTx(this.#db, async (trx) => {
      // Two at a time would each insert what the other has just deleted.
      await lock(trx, 'jobs', JOB_LOCK);
      const { rows } = await sql<{ hour: Date }>`
        SELECT DISTINCT date_trunc('hour', admitted_at, 'UTC') AS hour FROM request_log
        WHERE logged_at >= ${new Date(sinceMs)}`.execute(trx);
      if (rows.length === 0) return 0;
      const hours = rows.map(({ hour }) => hour.toISOString());
      await sql`DELETE FROM outcome_hourly WHERE hour = ANY(${hours}::timestamptz[])`.execute(trx);
      await sql`
        INSERT INTO outcome_hourly (account_id, hour, key_id, model, outcome, ${COLUMNS})
        SELECT r.account_id, d.hour, r.key_id, r.model, r.outcome, count(*), sum(r.prompt_tokens), sum(r.cached_tokens),
               sum(r.completion_tokens), sum(r.amount_nusd),
               coalesce(sum(r.duration_ms - r.first_token_ms) FILTER (WHERE r.stream AND r.outcome = 'served'), 0),
               coalesce(sum(r.completion_tokens)
                        FILTER (WHERE r.stream AND r.outcome = 'served' AND r.first_token_ms IS NOT NULL), 0)
        FROM unnest(${hours}::timestamptz[]) AS d (hour)
        JOIN request_log r ON r.admitted_at >= d.hour AND r.admitted_at < d.hour + interval '1 hour'
        GROUP BY 1, 2, 3, 4, 5`.execute(trx);
      await sql`DELETE FROM first_token_hourly WHERE hour = ANY(${hours}::timestamptz[])`.execute(trx);
      await sql`
        INSERT INTO first_token_hourly (account_id, model, hour, bucket, requests)
        SELECT r.account_id, r.model, d.hour,
               floor(${PER_DOUBLING} * ln(greatest(r.first_token_ms, 1)::float8) / ln(2::float8))::smallint, count(*)
        FROM unnest(${hours}::timestamptz[]) AS d (hour)
        JOIN request_log r ON r.admitted_at >= d.hour AND r.admitted_at < d.hour + interval '1 hour'
        WHERE r.first_token_ms IS NOT NULL GROUP BY 1, 2, 3, 4`.execute(trx);
      const days = [...new Set(hours.map((hour) => hour.slice(0, 10)))];
      await sql`DELETE FROM outcome_daily WHERE day = ANY(${days}::date[])`.execute(trx);
      await sql`
        INSERT INTO outcome_daily (account_id, day, key_id, model, outcome, ${COLUMNS})
        SELECT h.account_id, d.day, h.key_id, h.model, h.outcome, ${SUMS}
        FROM unnest(${days}::date[]) AS d (day)
        JOIN outcome_hourly h ON h.hour >= d.day::timestamp AT TIME ZONE 'UTC'
                             AND h.hour < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
        GROUP BY 1, 2, 3, 4, 5`.execute(trx);
      return hours.length;
    });
  }

  /** Points ascending by time; groups beyond the largest `groups` are one group `other`. */
  async series(filter: SeriesFilter): Promise<SeriesPoint[]> {
    const daily = filter.by === 'day';
    const table = sql.raw(daily ? 'outcome_daily' : 'outcome_hourly');
    const start = daily ? sql`(day::timestamp AT TIME ZONE 'UTC')` : sql`hour`;
    const group = { model: sql`model`, key: sql`key_id`, status: sql`outcome`, none: sql`'all'` }[filter.group];
    const range = daily
      ? sql`day >= (${new Date(filter.fromMs)}::timestamptz AT TIME ZONE 'UTC')::date
            AND day <= (${new Date(filter.toMs - 1)}::timestamptz AT TIME ZONE 'UTC')::date`
      : sql`hour >= date_trunc('hour', ${new Date(filter.fromMs)}::timestamptz, 'UTC') AND hour < ${new Date(filter.toMs)}`;
    const chosen = (column: string, values: readonly string[] | undefined) =>
      values === undefined ? sql`` : sql`AND ${sql.ref(column)} = ANY(${[...values]}::text[])`;
    const { rows } = await sql<Figures & { start: Date; group: string }>`
      WITH part AS (
        -- Added up at once: what follows then reads points, and not each key, model and outcome of each hour again.
        SELECT ${start} AS start, ${group} AS g, sum(requests) AS requests, sum(prompt_tokens) AS prompt_tokens,
               sum(cached_tokens) AS cached_tokens, sum(completion_tokens) AS completion_tokens,
               sum(amount_nusd) AS amount_nusd
        FROM ${table} WHERE account_id = ${filter.accountId} AND ${range}
          ${chosen('model', filter.models)} ${chosen('key_id', filter.keyIds)} ${chosen('outcome', filter.outcomes)}
        GROUP BY 1, 2),
      biggest AS (
        SELECT g FROM part GROUP BY g ORDER BY sum(amount_nusd) DESC, sum(requests) DESC, g LIMIT ${filter.groups})
      SELECT start, CASE WHEN g IN (SELECT g FROM biggest) THEN g ELSE 'other' END AS "group", ${FIGURES}
      FROM part GROUP BY 1, 2 ORDER BY 1, 2`.execute(this.#db);
    return rows.map(({ start: at, ...rest }) => ({ ...rest, startMs: at.getTime() }));
  }

  /** Rows of the finest roll-up, ascending, for export; `after` is the last row of the batch before. */
  async rows(
    accountId: string,
    by: 'hour' | 'day',
    fromMs: number,
    toMs: number,
    after: { startMs: number; rest: string } | null,
    limit: number,
  ): Promise<(Figures & { startMs: number; keyId: string; model: string; outcome: string })[]> {
    const table = sql.raw(by === 'day' ? 'outcome_daily' : 'outcome_hourly');
    const start = by === 'day' ? sql`(day::timestamp AT TIME ZONE 'UTC')` : sql`hour`;
    const rest = sql`(key_id || ' ' || model || ' ' || outcome) COLLATE "C"`;
    const at = new Date(after?.startMs ?? 0);
    const { rows } = await sql<Figures & { start: Date; keyId: string; model: string; outcome: string }>`
      SELECT ${start} AS start, key_id AS "keyId", model, outcome, requests, prompt_tokens AS "promptTokens",
             cached_tokens AS "cachedTokens", completion_tokens AS "completionTokens", amount_nusd AS "amountNusd"
      FROM ${table} WHERE account_id = ${accountId} AND ${start} >= ${new Date(fromMs)} AND ${start} < ${new Date(toMs)}
        AND (${after === null} OR ${start} > ${at} OR (${start} = ${at} AND ${rest} > ${after?.rest ?? ''}))
      ORDER BY 1, ${rest} LIMIT ${limit}`.execute(this.#db);
    return rows.map(({ start: when, ...row }) => ({ ...row, startMs: when.getTime() }));
  }

  /** Totals of an account from an hour on; `failed` = not served. */
  async totals(accountId: string, fromMs: number): Promise<Figures & { failed: bigint }> {
    const { rows } = await sql<Figures & { failed: bigint }>`
      SELECT coalesce(sum(requests), 0) AS requests, coalesce(sum(prompt_tokens), 0) AS "promptTokens",
             coalesce(sum(cached_tokens), 0) AS "cachedTokens", coalesce(sum(completion_tokens), 0) AS "completionTokens",
             coalesce(sum(amount_nusd), 0) AS "amountNusd",
             coalesce(sum(requests) FILTER (WHERE outcome <> 'served'), 0) AS failed
      FROM outcome_hourly WHERE account_id = ${accountId} AND hour >= ${new Date(fromMs)}`.execute(this.#db);
    return rows[0]!;
  }

  /** Hours of an account with anything in them, ascending. */
  async hours(
    accountId: string,
    fromMs: number,
  ): Promise<{ startMs: number; requests: bigint; failed: bigint; amountNusd: bigint }[]> {
    const { rows } = await sql<{ start: Date; requests: bigint; failed: bigint; amountNusd: bigint }>`
      SELECT hour AS start, sum(requests) AS requests, sum(amount_nusd) AS "amountNusd",
             coalesce(sum(requests) FILTER (WHERE outcome <> 'served'), 0) AS failed
      FROM outcome_hourly WHERE account_id = ${accountId} AND hour >= ${new Date(fromMs)}
      GROUP BY 1 ORDER BY 1`.execute(this.#db);
    return rows.map(({ start, ...row }) => ({ ...row, startMs: start.getTime() }));
  }

  /** Spend per key from an hour on, largest first; and the first hour with anything at all. */
  async spendByKey(accountId: string, fromMs: number): Promise<{ keyId: string; amountNusd: bigint }[]> {
    const { rows } = await sql<{ keyId: string; amountNusd: bigint }>`
      SELECT key_id AS "keyId", sum(amount_nusd) AS "amountNusd" FROM outcome_hourly
      WHERE account_id = ${accountId} AND hour >= ${new Date(fromMs)} AND amount_nusd > 0
      GROUP BY 1 ORDER BY 2 DESC, 1`.execute(this.#db);
    return rows;
  }

  async firstDayMs(accountId: string): Promise<number | null> {
    const { rows } = await sql<{ at: Date | null }>`
      SELECT min(day)::timestamp AT TIME ZONE 'UTC' AS at FROM outcome_daily WHERE account_id = ${accountId}`.execute(
      this.#db,
    );
    return rows[0]?.at?.getTime() ?? null;
  }

  /** Counts of times to first token of one account or one model: per hour and bucket. */
  async firstTokens(
    scope: { accountId: string } | { model: string } | null,
    fromMs: number,
  ): Promise<{ startMs: number; model: string; bucket: number; requests: bigint }[]> {
    const where =
      scope === null
        ? sql`true`
        : 'accountId' in scope
          ? sql`account_id = ${scope.accountId}`
          : sql`model = ${scope.model}`;
    const { rows } = await sql<{ start: Date; model: string; bucket: number; requests: bigint }>`
      SELECT hour AS start, model, bucket, sum(requests) AS requests FROM first_token_hourly
      WHERE ${where} AND hour >= ${new Date(fromMs)} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`.execute(this.#db);
    return rows.map(({ start, ...row }) => ({ ...row, startMs: start.getTime() }));
  }

  /** All models, hour by hour. */
  async modelHours(fromMs: number): Promise<ModelHour[]> {
    const { rows } = await sql<Omit<ModelHour, 'startMs'> & { start: Date }>`
      SELECT model, hour AS start, ${quality()} FROM outcome_hourly
      WHERE hour >= ${new Date(fromMs)} GROUP BY 1, 2 ORDER BY 1, 2`.execute(this.#db);
    return rows.map(({ start, ...row }) => ({ ...row, startMs: start.getTime() }));
  }

  /** All models, from a UTC day on, in one line each. */
  async modelDays(fromMs: number): Promise<Omit<ModelHour, 'startMs'>[]> {
    const { rows } = await sql<Omit<ModelHour, 'startMs'>>`
      SELECT model, ${quality()} FROM outcome_daily
      WHERE day >= (${new Date(fromMs)}::timestamptz AT TIME ZONE 'UTC')::date GROUP BY 1`.execute(this.#db);
    return rows;
  }

  /** What each worker did with requests admitted since. */
  async workers(sinceMs: number): Promise<WorkerFigures[]> {
    const { rows } = await sql<WorkerFigures>`
      SELECT worker_url AS url, count(*)::int AS requests,
             (count(*) FILTER (WHERE outcome = ANY(${PLATFORM_FAULTS}::text[])))::int AS failed,
             coalesce(sum(prompt_tokens), 0)::float8 AS "promptTokens",
             coalesce(sum(cached_tokens), 0)::float8 AS "cachedTokens",
             coalesce(sum(completion_tokens), 0)::float8 AS "completionTokens",
             percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms) AS "firstTokenP50Ms",
             percentile_cont(0.95) WITHIN GROUP (ORDER BY first_token_ms) AS "firstTokenP95Ms"
      FROM request_log WHERE admitted_at >= ${new Date(sinceMs)} AND worker_url IS NOT NULL GROUP BY 1`.execute(
      this.#db,
    );
    return rows;
  }
}

export interface WorkerFigures {
  url: string;
  requests: number;
  failed: number;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  firstTokenP50Ms: number | null;
  firstTokenP95Ms: number | null;
}

function quality() {
  return sql`coalesce(sum(requests) FILTER (WHERE outcome = ANY(${GOOD}::text[])), 0) AS good,
    coalesce(sum(requests) FILTER (WHERE outcome = ANY(${PLATFORM_FAULTS}::text[])), 0) AS failed,
    sum(decode_ms) AS "decodeMs", sum(decode_tokens) AS "decodeTokens"`;
}

/** The quantile of counts per bucket, as the middle of its bucket in ms; null when there are none. At most 5 % off. */
export function quantileMs(counts: readonly { bucket: number; requests: bigint }[], share: number): number | null {
  const byBucket = new Map<number, number>();
  let total = 0;
  for (const { bucket, requests } of counts) {
    byBucket.set(bucket, (byBucket.get(bucket) ?? 0) + Number(requests));
    total += Number(requests);
  }
  if (total === 0) return null;
  let left = share * total;
  const sorted = [...byBucket].sort(([a], [b]) => a - b);
  for (const [bucket, count] of sorted) {
    left -= count;
    if (left <= 0) return Math.round(2 ** ((bucket + 0.5) / PER_DOUBLING));
  }
  return Math.round(2 ** ((sorted.at(-1)![0] + 0.5) / PER_DOUBLING));
}
