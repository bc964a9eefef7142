/** Lines that promise something to people: a real console, metering and router on one Redis and one database. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { type RunningRouter, startRouter } from '@tollgate/router/app';
import { routerShape } from '@tollgate/router/config';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { createLifecycle, type Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { eventually } from '@tollgate/shared/testkit/eventually';
import {
  type Browser,
  BUCKETS,
  type Harness,
  PEPPER,
  startHarness,
} from '../../../services/console/src/testing/harness.ts';
import { optionsOf, startMetering } from '../../../services/metering/src/app.ts';
import { meteringShape } from '../../../services/metering/src/config.ts';
import { chat, hello, MODEL } from '../../e2e/router-kit.ts';
import { realVllmUrl } from '../../vllm/config.ts';

// Real processes on a busy machine: a test's own limit is no statement about time.
jest.setTimeout(120_000);

const logger = createLogger({ service: 'test', level: 'silent' });
let h: Harness;
let lifecycle: Lifecycle;
let router: RunningRouter;
const workers: Devworker[] = [];
const spool = mkdtempSync(join(tmpdir(), 'tollgate-router-'));
let ada: Browser;
let accountId: string;

beforeAll(async () => {
  h = await startHarness();
  workers.push(await startDevworker({ speed: 50 }), await startDevworker({ speed: 50, dialect: 'sglang' }));
  lifecycle = createLifecycle({ logger, graceMs: 5_000 });
  const common = { REDIS_URL: h.redis.url, TOLLGATE_BUCKETS: String(BUCKETS), TOLLGATE_KEY_PEPPER: PEPPER };
  const metering = parseConfig(meteringShape, {
    ...common,
    DATABASE_URL: h.databaseUrl,
    TOLLGATE_METERING_LISTEN: '127.0.0.1:0',
    TOLLGATE_METERING_METRICS_LISTEN: '127.0.0.1:0',
    TOLLGATE_SERVICE_TOKEN: 'the-service-token-of-these-tests',
    TOLLGATE_METERING_DB_CONNECTIONS: '1',
    TOLLGATE_METERING_DRAIN_MS: '50',
    TOLLGATE_METERING_JOBS: 'false',
  });
  await startMetering({ ...optionsOf(metering), lifecycle, logger });
  const price = { inputUsd: 0.1, cachedInputUsd: 0.01, outputUsd: 0.4 };
  const model = await h.post('/api/models', { id: MODEL, maxModelLen: 4_096, price });
  expect([model.status, model.text]).toEqual([201, expect.any(String)]);
  const urls = realVllmUrl === undefined ? [workers[0]!.url, `sglang=${workers[1]!.url}`] : [realVllmUrl];
  const config = parseConfig(routerShape, {
    ...common,
    TOLLGATE_ROUTER_LISTEN: '127.0.0.1:0',
    TOLLGATE_WORKERS: urls.join(','),
    TOLLGATE_SPOOL_DIR: spool,
    TOLLGATE_PROBE_MS: '100',
    TOLLGATE_REDIS_DEADLINE_MS: '2000',
  });
  router = await startRouter({ config, logger });
  await eventually('the router is ready', () => router.readiness().ready);
  ada = h.browser();
  accountId = (await ada.signUp('ada@example.com')).accountId;
  expect((await h.post(`/api/accounts/${accountId}/credits`, { usd: 5, reason: 'test' })).status).toBeLessThan(300);
});
afterAll(async () => {
  await router?.stop();
  await lifecycle?.stop('test over');
  for (const worker of workers) await worker.close();
  await h?.stop();
  rmSync(spool, { recursive: true, force: true });
});

const newKey = async (more: object = {}) => {
  const { status, body } = await ada.post('/api/keys', { accountId, ...more });
  expect(status).toBe(201);
  return body as { key: string; keyId: string };
};
const ask = async (key: string, headers: Record<string, string> = {}, more: Record<string, unknown> = {}) =>
  (await chat(router, key, hello({ max_tokens: 4, ...more }), headers)).status;
const keyOf = async (keyId: string) => (await ada.get(`/api/keys/${keyId}`)).body;

test('0.21 whoever signs in creates keys, sees them and manages them', async () => {
  const { key, keyId } = await newKey({ name: 'laptop' });
  // On a busy machine the account's first lease may take longer than a request waits for it.
  await eventually('the key works', async () => (await ask(key)) === 200);
  expect((await ada.call('PATCH', `/api/keys/${keyId}`, { name: 'desk' })).status).toBe(200);
  const { body } = await ada.get(`/api/keys?accountId=${accountId}`);
  expect(body.data).toEqual([expect.objectContaining({ keyId, name: 'desk', revokedAt: null })]);
  expect((await h.browser().get(`/api/keys?accountId=${accountId}`)).status).toBe(401);
});

test('1.23 nothing paid is 402 until topped up; a stream holds its estimate first and settles what it was given, also when it is left', async () => {
  const made = (await h.post('/api/keys', { name: 'unpaid' })).body as { key: string; accountId: `acct_${string}` };
  const asked = (more: Record<string, unknown>) => ask(made.key, {}, more);
  await eventually('402', async () => (await asked({})) === 402);
  const credit = { usd: 1, reason: 'topped up' };
  expect((await h.post(`/api/accounts/${made.accountId}/credits`, credit)).status).toBeLessThan(300);
  await eventually('the key works', async () => (await asked({})) === 200);

  const leaving = new AbortController();
  const response = await fetch(`${router.url}/dos-ai/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${made.key}` },
    body: JSON.stringify(hello({ stream: true, max_tokens: 3_000, ignore_eos: true })),
    signal: leaving.signal,
  });
  await response.body!.getReader().read();
  const { lease } = await h.money.readLease(made.accountId);
  expect(lease!.heldNusd).toBeGreaterThanOrEqual(3_000n * 400n);
  const spentBefore = lease!.spentNusd;
  leaving.abort();
  const after = await eventually('it is settled', async () => {
    const { lease: now } = await h.money.readLease(made.accountId);
    return now?.heldNusd === 0n && now;
  });
  expect(after.spentNusd).toBeGreaterThan(spentBefore);
  expect(after.spentNusd - spentBefore).toBeLessThan(lease!.heldNusd);
});

test('1.24 keys: named, shown once, as many as wanted, stored as digests, last use told, gone at once; money, limits, alerts, models', async () => {
  const { key, keyId } = await newKey({ name: 'server', capMonthUsd: '3' });
  for (let i = 0; i < 12; i++) await newKey({ name: `more ${i}` });
  const list = await ada.get(`/api/keys?accountId=${accountId}&limit=100`);
  expect(list.body.data.length).toBeGreaterThan(12);
  expect(list.text).not.toContain(key.slice(21));
  const rows = await h.db.selectFrom('api_keys').selectAll().where('id', '=', keyId).execute();
  expect(JSON.stringify(rows, (_name, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
    key.slice(21),
  );

  const usedBefore = Date.now() - 1_000;
  expect(await ask(key)).toBe(200);
  await eventually('the last use is told', async () => Date.parse((await keyOf(keyId)).lastUsedAt) > usedBefore);
  const credits = (await ada.get(`/api/accounts/${accountId}/credits`)).body;
  expect([BigInt(credits.postedNusd) > 0n, BigInt(credits.availableNusd) < 5_000_000_000n]).toEqual([true, true]);
  expect((await ada.get(`/api/accounts/${accountId}/overview`)).status).toBe(200);

  expect(await ask((await newKey({ capMonthUsd: '0.000000001' })).key)).toBe(402);
  const alerts = { balanceLowUsd: 1, keyExpiringDays: 3 };
  expect((await ada.call('PATCH', `/api/accounts/${accountId}/organisation`, { alerts })).status).toBe(200);
  expect((await ada.get('/api/models')).body.data).toEqual([expect.objectContaining({ id: MODEL })]);

  expect((await ada.post(`/api/keys/${keyId}/revoke`)).status).toBe(200);
  expect(await eventually('the router knows', async () => (await ask(key)) === 401)).toBe(true);
});

test('2.16 recent requests with time, status and user agent, refused ones too, for whoever has signed in', async () => {
  const { key, keyId } = await newKey({ name: 'portal' });
  const before = Date.now();
  expect(await ask(key, { 'user-agent': 'acme-app/1.0' })).toBe(200);
  expect(await ask(key, { 'user-agent': 'acme-app/2.0' }, { temperature: 9 })).toBe(400);
  const path = `/api/accounts/${accountId}/requests?keyId=${keyId}`;
  const lines = await eventually('both are listed', async () => {
    const { data } = (await ada.get(path)).body;
    return data.length === 2 && data;
  });
  const seen = (lines as { status: number; userAgent: string; admittedAt: string }[]).map((line) => {
    expect(Math.abs(Date.parse(line.admittedAt) - before)).toBeLessThan(600_000);
    return [line.status, line.userAgent];
  });
  expect(seen.toSorted()).toEqual([
    [200, 'acme-app/1.0'],
    [400, 'acme-app/2.0'],
  ]);
  expect((await h.browser().get(path)).status).toBe(401);
});
