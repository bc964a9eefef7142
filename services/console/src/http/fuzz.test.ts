/** Whatever is sent to whatever route: an answer below 500, and an error in the catalogue's shape. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { globalKeys } from '@tollgate/shared/redis/keys';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { z } from 'zod';
import { ERROR_CODES } from '../errors/pages.ts';
import { allRoutes } from '../routes.ts';
import { type Browser, type Harness, startHarness } from '../testing/harness.ts';
import type { Route } from './route.ts';

/** An event stream has no end to wait for. */
const ENDLESS = new Set(['fleet.events']);
const routes = allRoutes({} as Parameters<typeof allRoutes>[0]).filter(({ operation }) => !ENDLESS.has(operation));
let console_: Harness;
/** Ids of things that exist, so that the fuzz gets past the 404s. */
let known: string[] = [];
/** By the name of the parameter. */
const named: Record<string, string> = {};
/** For routes that are for signed-in browsers. */
let browser: Browser;

beforeAll(async () => {
  console_ = await startHarness();
  const { body } = await console_.post('/api/keys', { name: 'known', creditUsd: 5 });
  await console_.post('/api/models', { id: 'org/known', maxModelLen: 100, price: { inputUsd: 1, outputUsd: 1 } });
  const worker = {
    url: 'http://a:1',
    engine: 'vllm',
    models: ['m'],
    maxModelLen: 1,
    state: 'ready',
    breakerOpen: false,
  };
  const counts_ = { running: 0, waiting: 0, pendingPrefillTokens: 0, kvUsage: null, maxConcurrency: null };
  const view = { atMs: Date.now() + 3_600_000, workers: [{ ...worker, ...counts_ }] };
  await console_.redis.client.hset(globalKeys.fleet, 'r1', JSON.stringify(view));
  known = [body.keyId, body.accountId, 'org/known'];
  browser = console_.browser();
  const { accountId, userId } = await browser.signUp('fuzz@example.com');
  const at = `/api/accounts/${accountId}`;
  named.userId = userId;
  named.projectId = (await browser.post(`${at}/projects`, { name: 'p' })).body.projectId;
  named.webhookId = (
    await browser.post(`${at}/webhooks`, { url: 'https://example.com/', events: ['test'] })
  ).body.webhookId;
  named.deliveryId = (await browser.post(`${at}/webhooks/${named.webhookId}/test`)).body.deliveryId;
  named.requestId = 'req_0';
  named.collectionId = 'vs_0';
  named.fileId = 'file_0';
  named.provider = 'sso';
  known[1] = accountId;
}, 60_000);
afterAll(() => console_?.stop());

const scalar = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    '',
    ' ',
    '0',
    '1',
    '-1',
    '0.1',
    '1e5',
    '9000000',
    '-9000000',
    '\u0000',
    '\ud800',
  ),
  fc.constantFrom<unknown>(0, 1, -1, 1.5, 0.1, 1e21, -1e-7, 2 ** 31, 2 ** 53, Number.MAX_VALUE),
  fc.constantFrom<unknown>(
    '2026-11-21T00:00:00Z',
    '2030-01-01T00:00:00+14:00',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
  ),
  fc.constantFrom<unknown>(
    'active',
    'frozen',
    'api',
    'service',
    'standard',
    'http://a:1',
    'org/new',
    'a@b.example',
    'x'.repeat(400),
  ),
  fc
    .constantFrom(
      () => known[0],
      () => known[1],
      () => known[2],
    )
    .map((pick) => pick()),
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.double(),
);
const value = fc.oneof(
  { weight: 5, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(scalar, { maxLength: 3 }) },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.oneof(fc.constantFrom('rpm', 'tpm', 'inputUsd', 'org/m', '__proto__'), fc.string()),
      scalar,
    ),
  },
  { weight: 1, arbitrary: fc.jsonValue() },
);

function fieldsOf(schema: z.ZodType | undefined): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function objectOf(fields: readonly string[]): fc.Arbitrary<Record<string, unknown>> {
  if (fields.length === 0) return fc.dictionary(fc.string(), value, { maxKeys: 2 });
  return fc.dictionary(
    fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...fields) }, { weight: 1, arbitrary: fc.string() }),
    value,
  );
}

/**
 * Where no request of this fuzz can succeed: what it is about was ended by an earlier one, or needs a second person, a
 * code, a provider, a router, or membership. Their good days are in test/e2e/console-*.test.ts and test/chaos/receipts.test.ts; here they must only not break.
 */
const ENDED =
  /^(keys\.(rotate|patch)|auth\.|me\.|members\.|invitations\.revoke|requests\.(get|newer)|payments\.get|topup\.(checkout|auto_recharge)|codes\.(redeem|disable)|stripe\.|playground\.|collections\.|(platform_)?webhooks\.|usage\.export|receipts\.invoice|body_retention\.set|bodies\.|password_resets\.|search\.|usage\.series)/;
/** Ends the session that the others need. */
const LAST = /^(auth\.logout|me\.(password|session))/;

/** Bodies that are accepted; the fuzz puts at most two other values into them, to get behind the schemas. */
const GOOD: Record<string, Record<string, unknown>> = {
  'accounts.create': { name: 'n', limits: { rpm: 1 }, modelLimits: { m: { tpm: 1 } } },
  'accounts.patch': { name: 'n', status: 'active' },
  'keys.create': { name: 'n', creditUsd: 1, models: ['m'], capDayUsd: 1 },
  'keys.patch': { rpm: 1, expiresAt: null },
  'keys.rotate': { overlapMs: 1 },
  'credits.change': { usd: '0.5', reason: 'r' },
  'models.create': { id: 'org/new', maxModelLen: 10, price: { inputUsd: 1, outputUsd: 1 } },
  'models.patch': { enabled: true },
  'prices.create': { inputUsd: 1, outputUsd: 1 },
  'workers.drain': { url: 'http://a:1' },
  'workers.undrain': { url: 'http://a:1' },
  'organisations.create': { name: 'n' },
  'organisations.patch': { name: 'n', alerts: { balanceLowUsd: 1, keyExpiringDays: 3 } },
  'invitations.create': { email: 'x@example.com', role: 'viewer' },
  'projects.create': { name: 'n' },
  'projects.patch': { name: 'n', archived: true },
  'codes.create': { usd: 1, uses: 2 },
  'webhooks.create': { url: 'https://example.com/hook', events: ['test'] },
  'webhooks.patch': { enabled: true },
  'platform_webhooks.create': { url: 'https://example.com/hook', events: ['worker.down'] },
  'plans.save': { planId: 'pro', name: 'Pro', limits: { rpm: 10 } },
  'accounts.set_plan': { planId: 'standard' },
  'settings.patch': { requestLogMonths: 3 },
  'auth.login': { email: 'fuzz@example.com', password: 'wrong' },
  'auth.register': { email: 'y@example.com', password: 'correct horse battery', name: 'y', organisation: 'o' },
  'me.patch': { name: 'n' },
  'me.password': { current: 'x', next: 'correct horse battery staple 2' },
};

function nearlyGood(route: Route): fc.Arbitrary<Record<string, unknown>> {
  const fields = fieldsOf(route.body);
  if (fields.length === 0) return fc.constant({});
  const changes = fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 2 });
  return changes.map((change) => ({ ...GOOD[route.operation], ...change }));
}

const textOf = (part: unknown) => (typeof part === 'string' ? part : (JSON.stringify(part) ?? ''));
const encode = (part: unknown) => encodeURIComponent(textOf(part).replace(/\p{Cs}/gu, '?'));
/** Mostly an id of the right kind that exists. */
function idFor(route: Route) {
  const right = route.path.startsWith('/api/keys') ? 0 : route.path.startsWith('/api/accounts') ? 1 : 2;
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(right).map((i) => () => known[i]!) },
    { weight: 1, arbitrary: fc.nat(2).map((i) => () => known[i]!) },
    { weight: 1, arbitrary: fc.string().map((text) => () => text) },
  );
}

function requestFor(route: Route) {
  return fc.record({
    id: idFor(route),
    other: fc.option(fc.string(), { freq: 4 }),
    body: fc.oneof(
      { weight: 6, arbitrary: nearlyGood(route) },
      { weight: 3, arbitrary: objectOf(fieldsOf(route.body)) },
      { weight: 1, arbitrary: fc.jsonValue() },
    ),
    query: objectOf(fieldsOf(route.query)),
    idempotencyKey: fc.option(fc.constantFrom('a', 'b', 'x'.repeat(256), 'é')),
  });
}

test.each(routes.map((route) => [`${route.method} ${route.path}`, route] as const))(
  '%s',
  async (_name, route) => {
    const numRuns = counts(20, 1_000);
    const seen = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(requestFor(route), async ({ id: pick, other, body, query, idempotencyKey }) => {
        const path = route.path
          .replace('{id}', encode(pick()) || '%20')
          .replace(/\{(\w+)\}/g, (_, name: string) =>
            other === null ? (named[name] ?? 'x_0') : encode(other) || '%20',
          );
        const search = route.query
          ? `?${Object.entries(query)
              .map(([name, part]) => `${encode(name)}=${encode(part)}`)
              .join('&')}`
          : '';
        const headers: Record<string, string> =
          idempotencyKey === null ? {} : { 'idempotency-key': encodeURI(idempotencyKey) };
        const client = route.audience === 'session' && !LAST.test(route.operation) ? browser : console_;
        const answer = await client.call(
          route.method.toUpperCase(),
          path + search,
          route.body || route.rawLimitBytes !== null ? body : undefined,
          headers,
        );
        expect(answer.status).toBeLessThan(500);
        seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
        if (answer.status >= 400) {
          expect(ERROR_CODES).toContain(answer.body.error.code);
          expect(typeof answer.body.error.message).toBe('string');
        }
      }),
      { numRuns, seed: testSeed() },
    );
    // A fuzz that is always refused at the door shows little.
    if (!ENDED.test(route.operation)) expect([...seen.keys()].some((status) => status < 300)).toBe(true);
    recordProof({
      name: `console ${route.operation}: no 500`,
      count: numRuns,
      seed: testSeed(),
      result: '0 answers of 500 or above',
    });
  },
  300_000,
);
