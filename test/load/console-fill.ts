/**
 * A request log of 30 days for the console's bench: 40 organisations (the first has a fifth of everything), 8 keys each,
 * 3 models, 3 % not served, a tenth with a conversation. Rows are written without indexes, which are built at the end as
 * a restored back-up would: ten million inserts into twelve indexes would measure nothing but patience.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../../services/shared/src/db/client.ts';
import { StatsStore } from '../../services/shared/src/db/stats-store.ts';
import { UsageStore } from '../../services/shared/src/db/usage-store.ts';

export const DAY_MS = 86_400_000;
const STEP_ROWS = 500_000;

export interface FillOptions {
  rows: number;
  nowMs: number;
  /** Of the organisation that is looked at. */
  accountId: string;
  keyIds: readonly string[];
  models: readonly string[];
  say: (text: string) => void;
}

/** Id of the row with this number; a larger number is older. */
export const requestIdOf = (row: number) => `req_${String(row).padStart(20, '0')}`;

export async function fill(db: Db, options: FillOptions): Promise<void> {
  const { rows, nowMs, say } = options;
  for (const back of [0, 15, 30]) await new UsageStore(db).ensurePartitions(nowMs - back * DAY_MS, 0);
  const startedMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedMs) / 1000);
  // One connection, so this holds for all of it: sorts in memory, no waiting for the log.
  await sql`SET maintenance_work_mem = '512MB'`.execute(db);
  await sql`SET synchronous_commit = off`.execute(db);
  const indexes = await dropIndexes(db);
  for (let from = 0; from < rows; from += STEP_ROWS) {
    await insert(db, options, from, Math.min(from + STEP_ROWS, rows));
    say(`${Math.min(from + STEP_ROWS, rows)} rows after ${seconds()} s`);
  }
  for (const definition of indexes) await sql.raw(definition).execute(db);
  say(`${indexes.length} indexes after ${seconds()} s`);
  await new StatsStore(db).recompute(0);
  say(`roll-ups after ${seconds()} s`);
  // What autovacuum does in the course of a month: figures for the planner, and pages known to be visible to all.
  await sql`VACUUM ANALYZE`.execute(db);
  say(`vacuumed after ${seconds()} s`);
}

/** Drops every index of the log but its primary key, and returns how to make them again. */
async function dropIndexes(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string; definition: string }>`
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
    FROM pg_index i WHERE i.indrelid = 'request_log'::regclass AND NOT i.indisprimary`.execute(db);
  for (const { name } of rows) await sql.raw(`DROP INDEX ${name}`).execute(db);
  // As it comes it would make indexes of the parent alone, and leave them invalid.
  return rows.map(({ definition }) => definition.replace(' ON ONLY ', ' ON '));
}

async function insert(db: Db, options: FillOptions, from: number, to: number): Promise<void> {
  const { rows, nowMs, accountId, keyIds, models } = options;
  const pick = (texts: readonly string[], by: RawBuilder<unknown>) =>
    sql`(${[...texts]}::text[])[1 + (${by} % ${texts.length}::int)]`;
  await sql`
    INSERT INTO request_log (request_id, admitted_at, account_id, key_id, model, endpoint, stream, final, outcome,
      status, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, count_source, amount_nusd, held_nusd,
      price_id, clipped, worker_url, router_id, finished_at, logged_at, first_token_ms, duration_ms, refused, code, chat_id,
      end_user, user_agent)
    SELECT 'req_' || lpad(i::text, 20, '0'), at, CASE WHEN own THEN ${accountId} ELSE 'acct_' || (1 + i % 39) END,
      CASE WHEN own THEN ${pick(keyIds, sql`i / 5`)} ELSE 'key_' || (1 + i % 39) || '_' || (i / 39 % 8) END,
      ${pick(models, sql`i`)}, '/chat/completions', true, true, CASE WHEN bad THEN 'refused_rate' ELSE 'served' END,
      CASE WHEN bad THEN 429 ELSE 200 END, 500, 200, 150, 0, 'engine', 90000, 200000, 'price_1', false,
      'http://w:' || (i % 16), 'r1', at + interval '2 s', at + interval '3 s', 20 + (i::bigint * 7919 % 1500)::int,
      300 + (i::bigint * 104729 % 9000)::int, bad, CASE WHEN bad THEN 'rate_limit_exceeded' END,
      CASE WHEN i % 10 = 0 THEN 'chat-' || (i / 100 % 5000) END, CASE WHEN i % 10 = 0 THEN 'user-' || (i / 50 % 900) END,
      'OpenAI/JS 7.55.0'
    FROM (SELECT i, i % 5 = 0 AS own, i % 33 = 0 AS bad,
            ${new Date(nowMs)}::timestamptz - (i::float8 / ${rows}) * interval '30 days' AS at
          FROM generate_series(${from}::int, ${to - 1}::int) AS i) AS made`.execute(db);
}
