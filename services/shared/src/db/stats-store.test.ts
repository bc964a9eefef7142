/** Roll-ups of outcomes, the request log as people filter it, and its partitions; on PGlite. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { sql } from 'kysely';
import type { Refusal } from '../domain/refusal.ts';
import { startPglite, type TestDatabase } from '../testkit/postgres.ts';
import { AccountStore } from './account-store.ts';
import { type Db, openDatabase } from './client.ts';
import { migrate } from './migrate.ts';
import { dropRequestLogBefore, RequestStore } from './request-store.ts';
import { quantileMs, StatsStore } from './stats-store.ts';
import { tx } from './tx.ts';
import { UsageStore } from './usage-store.ts';

jest.setTimeout(60_000);

const HOUR_MS = 3_600_000;
const NOON_MS = Date.UTC(2026, 10, 21, 12);
const ACCOUNT = 'acct_1';

let server: TestDatabase;
let db: Db;

beforeAll(async () => {
  server = await startPglite();
  db = openDatabase({ url: server.url, poolMax: 1, applicationName: 'test' });
  await migrate(db);
  await new AccountStore(db).create({ id: ACCOUNT, name: 'a', createdAtMs: NOON_MS });
  await new UsageStore(db).ensurePartitions(NOON_MS);
});
afterAll(async () => {
  await db?.destroy();
  await server?.stop();
});

let number = 0;
/** One billed request. */
async function log(
  atMs: number,
  more: { key?: string; model?: string; outcome?: string; firstMs?: number | null } = {},
) {
  const at = new Date(atMs).toISOString();
  const { key = 'key_1', model = 'm', outcome = 'served', firstMs = 100 } = more;
  const id = `req_${String(++number).padStart(4, '0')}`;
  await sql`INSERT INTO request_log (request_id, admitted_at, account_id, key_id, model, endpoint, stream, final, outcome,
      status, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, count_source, amount_nusd, held_nusd,
      price_id, clipped, router_id, finished_at, first_token_ms, duration_ms)
    VALUES (${id}, ${at}, ${ACCOUNT}, ${key}, ${model}, '/chat/completions', true, true, ${outcome}, 200, 10, 4, 20, 0,
      'engine', 1000, 2000, 'price_1', false, 'r1', ${at}, ${firstMs}, 1100)`.execute(db);
  return id;
}

const refusal = (id: string, atMs: number): Refusal => ({
  requestId: id,
  atMs,
  accountId: ACCOUNT,
  keyId: 'key_1',
  projectId: null,
  userId: null,
  model: 'm',
  endpoint: '/chat/completions',
  stream: false,
  outcome: 'refused_credit',
  status: 402,
  code: 'insufficient_credits',
  queueMs: null,
  durationMs: 3,
  workerUrl: null,
  routerId: 'r1',
  clientRequestId: 'with\0a zero and half a \ud800pair',
});

describe('roll-ups of outcomes', () => {
  test('hours and days are recomputed whole; repeating changes nothing; a changed outcome leaves no ghost', async () => {
    const stats = new StatsStore(db);
    const lost = await log(NOON_MS, { outcome: 'router_lost' });
    await log(NOON_MS + 1);
    await log(NOON_MS + 2, { key: 'key_2', model: 'n' });
    await log(NOON_MS - HOUR_MS);
    await tx(db, (trx) =>
      RequestStore.addRefusals(trx, [refusal('req_r1', NOON_MS + 5), refusal('req_r1', NOON_MS + 5)]),
    );
    expect(await stats.recompute(0)).toBe(2);
    const range = { accountId: ACCOUNT, fromMs: NOON_MS - HOUR_MS, toMs: NOON_MS + HOUR_MS, groups: 10 };
    const by = async (group: 'status' | 'model' | 'key' | 'none') =>
      (await stats.series({ ...range, by: 'hour', group })).map((point) => [
        point.startMs,
        point.group,
        Number(point.requests),
      ]);
    expect(await by('status')).toEqual([
      [NOON_MS - HOUR_MS, 'served', 1],
      [NOON_MS, 'refused_credit', 1],
      [NOON_MS, 'router_lost', 1],
      [NOON_MS, 'served', 2],
    ]);
    await sql`UPDATE request_log SET outcome = 'served', logged_at = now() WHERE request_id = ${lost}`.execute(db);
    await stats.recompute(0);
    await stats.recompute(0);
    expect((await by('status')).filter(([, group]) => group === 'router_lost')).toEqual([]);
    expect(await by('key')).toContainEqual([NOON_MS, 'key_2', 1]);
    const [day] = await stats.series({ ...range, by: 'day', group: 'none' });
    expect(day).toMatchObject({ startMs: Date.UTC(2026, 10, 21), requests: 5n, amountNusd: 4_000n, promptTokens: 40n });
  });

  test('what was refused is no usage: it is in no bill and no usage roll-up', async () => {
    const usage = new UsageStore(db);
    await usage.recomputeHourly(0);
    const total = (await usage.rollups({ accountId: ACCOUNT, by: 'hour', limit: 100 })).reduce(
      (sum, row) => sum + row.requests,
      0n,
    );
    expect(total).toBe(4n);
    expect((await usage.page({ accountId: ACCOUNT, limit: 100 })).data.map(({ requestId }) => requestId)).not.toContain(
      'req_r1',
    );
  });

  test('the smallest groups become one', async () => {
    for (let i = 0; i < 5; i++) await log(NOON_MS + 3 * HOUR_MS, { key: `key_small${i}` });
    const stats = new StatsStore(db);
    await stats.recompute(0);
    const range = { accountId: ACCOUNT, fromMs: NOON_MS + 3 * HOUR_MS, toMs: NOON_MS + 4 * HOUR_MS };
    const points = await stats.series({ ...range, by: 'hour', group: 'key', groups: 2 });
    expect(points.map((point) => [point.group, Number(point.requests)])).toEqual([
      ['key_small0', 1],
      ['key_small1', 1],
      ['other', 3],
    ]);
  });

  test('times to first token: quantiles from buckets are within 5 percent', async () => {
    const atMs = NOON_MS + 5 * HOUR_MS;
    for (let ms = 1; ms <= 200; ms++) await log(atMs, { model: 'fast', firstMs: ms * 10 });
    const stats = new StatsStore(db);
    await stats.recompute(0);
    const counts = await stats.firstTokens({ model: 'fast' }, atMs);
    expect(Math.abs(quantileMs(counts, 0.5)! / 1_000 - 1)).toBeLessThan(0.05);
    expect(Math.abs(quantileMs(counts, 0.95)! / 1_900 - 1)).toBeLessThan(0.05);
    expect(quantileMs([], 0.5)).toBeNull();
  });
});

describe('the request log', () => {
  test('filters, and walks through all rows once whatever is added meanwhile', async () => {
    const store = new RequestStore(db);
    const seen: string[] = [];
    let after = null;
    for (;;) {
      const { rows, next } = await store.page({ accountId: ACCOUNT, toMs: NOON_MS + HOUR_MS, after, limit: 2 });
      seen.push(...rows.map((row) => row.request_id));
      if (next === null) break;
      const [at, id] = Buffer.from(next, 'base64url').toString().split('|');
      after = { atMs: Number(at), id: id! };
      await log(NOON_MS + 2 * HOUR_MS);
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toHaveLength(5);
    const ids = async (more: object) =>
      (await store.page({ accountId: ACCOUNT, limit: 100, ...more })).rows.map((row) => row.request_id);
    expect(await ids({ codes: ['insufficient_credits'] })).toEqual(['req_r1']);
    expect(await ids({ idPrefix: 'req_r' })).toEqual(['req_r1']);
    expect(await ids({ idPrefix: 'req_%' })).toEqual([]);
    expect(await ids({ statuses: [402] })).toEqual(['req_r1']);
    expect(await ids({ models: ['n'], keyIds: ['key_2', 'key_3'] })).toHaveLength(1);
    expect(await ids({ minFirstTokenMs: 2_000 })).toHaveLength(1);
    expect(await ids({ accountId: 'acct_2' })).toEqual([]);
  });

  test('whole months are dropped, and nothing that is still kept', async () => {
    const old = Date.UTC(2024, 2, 3);
    await new UsageStore(db).ensurePartitions(old, 0);
    await log(old);
    await log(Date.UTC(2023, 0, 1));
    expect(await dropRequestLogBefore(db, Date.UTC(2024, 2, 15))).toEqual([]);
    expect(await dropRequestLogBefore(db, Date.UTC(2024, 3, 1))).toEqual(['request_log_2024_03']);
    const { rows } = await new RequestStore(db).page({ accountId: ACCOUNT, toMs: Date.UTC(2025, 0, 1), limit: 10 });
    expect(rows).toEqual([]);
    expect((await new RequestStore(db).page({ accountId: ACCOUNT, limit: 1 })).rows).toHaveLength(1);
  });
});
