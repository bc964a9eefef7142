/**
 * Server time of the screens on a large request log: `node --conditions=tollgate-source test/load/console.ts [rows]`.
 * 10,000,000 rows on Debian's PostgreSQL (1,000,000 on PGlite where it is not installed), one account with a fifth of
 * them; prints the median and the worst of each screen's queries. The bar is 300 ms (issue 6); nothing is asserted.
 */
import { sql } from 'kysely';
import { type Db, openDatabase } from '../../services/shared/src/db/client.ts';
import { migrate } from '../../services/shared/src/db/migrate.ts';
import { RequestStore } from '../../services/shared/src/db/request-store.ts';
import { StatsStore } from '../../services/shared/src/db/stats-store.ts';
import { UsageStore } from '../../services/shared/src/db/usage-store.ts';
import { havePostgres, startPglite, startPostgres } from '../../services/shared/src/testkit/postgres.ts';

const usePostgres = havePostgres();
const rows = Number(process.argv[2] ?? (usePostgres ? 10_000_000 : 1_000_000));
const DAY_MS = 86_400_000;
const ACCOUNT = 'acct_0';
const RUNS = 7;

const server = usePostgres ? await startPostgres() : await startPglite();
const db = openDatabase({ url: server.url, poolMax: 1, applicationName: 'bench' });
try {
  await migrate(db);
  await fill(db);
  await measure(db);
} finally {
  await db.destroy();
  await server.stop();
}

async function fill(into: Db): Promise<void> {
  const nowMs = Date.now();
  for (const back of [0, 1]) await new UsageStore(into).ensurePartitions(nowMs - back * 28 * DAY_MS, 0);
  const startedMs = performance.now();
  const step = 500_000;
  for (let from = 0; from < rows; from += step) {
    // 30 days, 40 accounts (the first has a fifth), 8 keys each, 3 models, 3 % not served.
    await sql`INSERT INTO request_log (request_id, admitted_at, account_id, key_id, model, endpoint, stream, final, outcome,
        status, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, count_source, amount_nusd, held_nusd,
        price_id, clipped, worker_url, router_id, finished_at, first_token_ms, duration_ms, refused, code)
      SELECT 'req_' || lpad(i::text, 20, '0'), at, account, 'key_' || account || '_' || (i % 8), 'org/model-' || (i % 3),
        '/chat/completions', true, true, CASE WHEN i % 33 = 0 THEN 'refused_rate' ELSE 'served' END,
        CASE WHEN i % 33 = 0 THEN 429 ELSE 200 END, 500, 200, 150, 0, 'engine', 90000, 200000, 'price_1', false,
        'http://w:' || (i % 16), 'r1', at + interval '2 s', 20 + (i::bigint * 7919 % 1500)::int, 300 + (i::bigint * 104729 % 9000)::int, i % 33 = 0,
        CASE WHEN i % 33 = 0 THEN 'rate_limit_exceeded' END
      FROM (SELECT i, CASE WHEN i % 5 = 0 THEN ${ACCOUNT} ELSE 'acct_' || (1 + i % 39) END AS account,
              ${new Date(nowMs)}::timestamptz - (i::float8 / ${rows}) * interval '30 days' AS at
            FROM generate_series(${from}::int, ${Math.min(from + step, rows) - 1}::int) AS i) AS made`.execute(into);
  }
  print(`${rows} rows in ${Math.round((performance.now() - startedMs) / 1000)} s`);
  const rollupMs = performance.now();
  await new StatsStore(into).recompute(0);
  await sql`ANALYZE`.execute(into);
  print(`roll-ups of all of it in ${Math.round((performance.now() - rollupMs) / 1000)} s`);
}

async function measure(from: Db): Promise<void> {
  const nowMs = Date.now();
  const stats = new StatsStore(from);
  const requests = new RequestStore(from);
  const page = (more: object) => () => requests.page({ accountId: ACCOUNT, limit: 50, ...more });
  const series = (by: 'hour' | 'day', group: 'model' | 'key' | 'status', days: number) => () =>
    stats.series({ accountId: ACCOUNT, by, group, fromMs: nowMs - days * DAY_MS, toMs: nowMs, groups: 49 });
  const deep = { atMs: nowMs - 29 * DAY_MS, id: 'req_0' };
  const screens: [string, () => Promise<unknown>][] = [
    ['usage: 30 days by day and model', series('day', 'model', 30)],
    ['usage: 30 days by hour and key', series('hour', 'key', 30)],
    ['usage: 7 days by hour and status', series('hour', 'status', 7)],
    ['home: 24 hours', () => stats.totals(ACCOUNT, nowMs - DAY_MS)],
    ['home: times to first token', () => stats.firstTokens({ accountId: ACCOUNT }, nowMs - DAY_MS)],
    ['requests: first page', page({})],
    ['requests: a page 29 days back', page({ after: deep })],
    ['requests: one key', page({ keyIds: [`key_${ACCOUNT}_5`] })],
    ['requests: one model', page({ models: ['org/model-1'] })],
    ['requests: not served', page({ outcomes: ['refused_rate'] })],
    ['requests: a code that never came', page({ codes: ['no_worker'] })],
    ['requests: a status that never came', page({ statuses: [504] })],
    ['requests: first token over 1.4 s', page({ minFirstTokenMs: 1_400 })],
    ['requests: first token over a minute (none)', page({ minFirstTokenMs: 60_000 })],
    ['requests: longer than a minute (none)', page({ minDurationMs: 60_000 })],
    ['requests: by id', page({ idPrefix: `req_${String(Math.floor(rows / 10) * 5).padStart(20, '0')}` })],
    ['requests: newer', () => requests.newer(ACCOUNT, nowMs - 60_000, 900_000, 1_000)],
    ['status page: 48 hours of all models', () => stats.modelHours(nowMs - 2 * DAY_MS)],
    ['fleet: a quarter of an hour by worker', () => stats.workers(nowMs - 900_000)],
  ];
  for (const [name, run] of screens) {
    const times: number[] = [];
    for (let i = 0; i < RUNS; i++) {
      const startedMs = performance.now();
      await run();
      times.push(performance.now() - startedMs);
    }
    times.sort((a, b) => a - b);
    const worst = times.at(-1)!;
    print(
      `${name.padEnd(46)} ${times[Math.floor(RUNS / 2)]!.toFixed(1).padStart(8)} ms   worst ${worst.toFixed(1)} ms${worst > 300 ? '   OVER 300' : ''}`,
    );
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
