/** What the console's bench measures: the first paint of two pages over HTTP, and the query of each filter and screen. */
import { sql } from 'kysely';
import type { Db } from '../../services/shared/src/db/client.ts';
import { type RequestFilter, RequestStore } from '../../services/shared/src/db/request-store.ts';
import { StatsStore } from '../../services/shared/src/db/stats-store.ts';
import { DAY_MS, requestIdOf } from './console-fill.ts';
import { treeCpuUs } from './procfs.ts';

/** Reads one address as the signed-in browser. */
export type Get = (path: string) => Promise<unknown>;

export interface Screen {
  name: string;
  /** The bar of issue 6 is for these. */
  isPaint: boolean;
  run: () => Promise<unknown>;
}

export interface ScreenParts {
  get: Get;
  db: Db;
  accountId: string;
  keyIds: readonly string[];
  models: readonly string[];
  rows: number;
  nowMs: number;
}

/** Everything that a page asks for when it opens, at once, until the last answer is read. */
function paints({ get, accountId, keyIds, nowMs }: ScreenParts): Screen[] {
  const at = `/api/accounts/${accountId}`;
  const lists = ['/api/me', '/api/models?limit=1000', `/api/keys?accountId=${accountId}&limit=1000`];
  const page = (name: string, ...paths: string[]): Screen => ({
    name: `first paint of ${name}`,
    isPaint: true,
    run: () => Promise.all([...lists, ...paths].map(get)),
  });
  const series = (days: number, by: string, group: string, more = '') => {
    const toMs = Math.ceil(nowMs / 3_600_000) * 3_600_000;
    const from = new Date(toMs - days * DAY_MS).toISOString();
    return `${at}/usage/series?from=${from}&to=${new Date(toMs).toISOString()}&by=${by}&group=${group}${more}`;
  };
  const since = new Date(nowMs - 60_000).toISOString();
  return [
    page('Usage (7 days by day and model)', series(7, 'day', 'model')),
    page('Usage (30 days by day and key)', series(30, 'day', 'key')),
    page('Usage (30 days by hour and status, not served)', series(30, 'hour', 'status', '&outcome=refused_rate')),
    page('Requests', `${at}/requests?limit=50`, `${at}/requests/newer?since=${since}`),
    page('Requests (one key, not served)', `${at}/requests?limit=50&outcome=refused_rate&keyId=${keyIds[5]}`),
    page('Home', `${at}/overview`),
  ];
}

function logPages({ db, accountId, keyIds, models, rows, nowMs }: ScreenParts): Screen[] {
  const store = new RequestStore(db);
  const page = (name: string, filter: Partial<RequestFilter>): Screen => ({
    name: `requests: ${name}`,
    isPaint: false,
    run: () => store.page({ accountId, limit: 50, ...filter }),
  });
  const deep = { atMs: nowMs - 29 * DAY_MS, id: 'req_0' };
  return [
    page('first page', {}),
    page('a page 29 days back', { after: deep }),
    page('one key', { keyIds: [keyIds[5]!] }),
    page('three keys', { keyIds: keyIds.slice(0, 3) }),
    page('one model', { models: [models[1]!] }),
    page('one key and model, 29 days back', { keyIds: [keyIds[5]!], models: [models[1]!], after: deep }),
    page('not served', { outcomes: ['refused_rate'] }),
    page('an outcome that never came', { outcomes: ['worker_lost'] }),
    page('a code that never came', { codes: ['no_worker'] }),
    page('a status that never came', { statuses: [504] }),
    page('first token over 1.4 s', { minFirstTokenMs: 1_400 }),
    page('first token over 1.51 s (a few)', { minFirstTokenMs: 1_519 }),
    page('first token over a minute (none)', { minFirstTokenMs: 60_000 }),
    page('first token over 100 ms (most)', { minFirstTokenMs: 100 }),
    page('longer than 9 s', { minDurationMs: 9_000 }),
    page('longer than a minute (none)', { minDurationMs: 60_000 }),
    page('one conversation', { chatId: 'chat-7' }),
    page('one end user', { endUser: 'user-7' }),
    page('an end user that never came', { endUser: 'nobody' }),
    page('a project that never came', { projectId: 'proj_none' }),
    page('by id', { idPrefix: requestIdOf(Math.floor(rows / 10) * 5) }),
    page('by the start of an id that never came', { idPrefix: 'req_zz' }),
    page('a day three weeks ago', { fromMs: nowMs - 21 * DAY_MS, toMs: nowMs - 20 * DAY_MS }),
    { name: 'requests: newer', isPaint: false, run: () => store.newer(accountId, nowMs - 60_000, 900_000, 1_000) },
    { name: 'requests: one in full', isPaint: false, run: () => store.get(requestIdOf(5_000), accountId) },
    { name: 'guide: first served', isPaint: false, run: () => store.firstServed(accountId) },
    { name: 'guide: last failure', isPaint: false, run: () => store.lastFailure(accountId) },
  ];
}

function rollUps({ db, accountId, nowMs }: ScreenParts): Screen[] {
  const stats = new StatsStore(db);
  const series = (name: string, by: 'hour' | 'day', group: 'model' | 'key' | 'status', days: number): Screen => ({
    name: `usage: ${name}`,
    isPaint: false,
    run: () => stats.series({ accountId, by, group, fromMs: nowMs - days * DAY_MS, toMs: nowMs, groups: 49 }),
  });
  const screen = (name: string, run: () => Promise<unknown>): Screen => ({ name, isPaint: false, run });
  return [
    series('30 days by day and model', 'day', 'model', 30),
    series('30 days by hour and key', 'hour', 'key', 30),
    series('7 days by hour and status', 'hour', 'status', 7),
    screen('home: 24 hours', () => stats.totals(accountId, nowMs - DAY_MS)),
    screen('home: times to first token', () => stats.firstTokens({ accountId }, nowMs - DAY_MS)),
    screen('credits: spend by key', () => stats.spendByKey(accountId, nowMs - 7 * DAY_MS)),
    screen('status page: 48 hours of all models', () => stats.modelHours(nowMs - 2 * DAY_MS)),
    screen('status page: times to first token', () => stats.firstTokens(null, nowMs - 2 * DAY_MS)),
    screen('fleet: a quarter of an hour by worker', () => stats.workers(nowMs - 900_000)),
  ];
}

export const screensOf = (parts: ScreenParts): Screen[] => [...paints(parts), ...logPages(parts), ...rollUps(parts)];

export interface Measured {
  name: string;
  isPaint: boolean;
  /** The first run, before anything of it was in memory again. */
  firstMs: number;
  medianMs: number;
  worstMs: number;
  /** Of console, PostgreSQL and Redis together, mean of the runs: what other work on the machine cannot stretch much. */
  cpuMs: number;
}

/** One after the other; the first run of each is told by itself and is part of the worst. */
export async function measure(screens: readonly Screen[], runs: number): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const { name, isPaint, run } of screens) {
    const times: number[] = [];
    const cpuBefore = treeCpuUs(process.pid);
    for (let i = 0; i < runs; i++) {
      const startedMs = performance.now();
      await run();
      times.push(performance.now() - startedMs);
    }
    const cpuMs = (treeCpuUs(process.pid) - cpuBefore) / 1000 / runs;
    const firstMs = times[0]!;
    times.sort((a, b) => a - b);
    measured.push({ name, isPaint, firstMs, medianMs: times[Math.floor(runs / 2)]!, worstMs: times.at(-1)!, cpuMs });
  }
  return measured;
}

/** Bytes of the log with its indexes. */
export async function logBytes(db: Db): Promise<number> {
  const { rows } = await sql<{ bytes: bigint }>`
    SELECT sum(pg_total_relation_size(inhrelid)) AS bytes FROM pg_inherits
    WHERE inhparent = 'request_log'::regclass`.execute(db);
  return Number(rows[0]!.bytes);
}
