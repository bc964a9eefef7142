import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isWellFormedKey, type KeyRecord } from '@tollgate/shared/domain/key';
import { channels, globalKeys } from '@tollgate/shared/redis/keys';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { type Harness, PEPPER, startHarness } from '../testing/harness.ts';

let console_: Harness;
beforeAll(async () => {
  console_ = await startHarness();
});
afterAll(() => console_?.stop());

const digestOf = (key: string) => createHmac('sha256', PEPPER).update(key).digest('hex');
async function recordOf(key: string): Promise<KeyRecord | null> {
  const text = await console_.redis.client.get(globalKeys.key(digestOf(key)));
  return text === null ? null : JSON.parse(text);
}
const creditsOf = async (accountId: string) => (await console_.get(`/api/accounts/${accountId}/credits`)).body;

describe('creating a key', () => {
  test('makes an account, a key that routers know, and credit, all when it returns', async () => {
    const { status, body } = await console_.post('/api/keys', {
      name: 'first',
      creditUsd: '2.50',
      rpm: 60,
      concurrency: 4,
    });
    expect(status).toBe(201);
    expect(Object.keys(body).sort()).toEqual(['accountId', 'key', 'keyId']);
    expect(isWellFormedKey(body.key)).toBe(true);
    expect(await recordOf(body.key)).toMatchObject({
      keyId: body.keyId,
      accountId: body.accountId,
      limits: { requestsPerMinute: 60, tokensPerMinute: null, concurrency: 4 },
      accountFrozen: false,
      revokedAtMs: null,
    });
    expect(await creditsOf(body.accountId)).toMatchObject({ creditedNusd: '2500000000', availableNusd: '2500000000' });
  });

  test('shows the text once: neither lists, nor the database, nor Redis hold it', async () => {
    const { body } = await console_.post('/api/keys', {});
    const secret = body.key.slice(21);
    const lists = [await console_.get('/api/keys?limit=1000'), await console_.get(`/api/keys/${body.keyId}`)];
    for (const list of lists) expect(list.text).not.toContain(secret);
    const rows = await console_.db.selectFrom('api_keys').selectAll().where('id', '=', body.keyId).execute();
    expect(JSON.stringify(rows, (_k, v) => (typeof v === 'bigint' ? String(v) : v))).not.toContain(secret);
    for (const name of await console_.redis.client.keys('*')) {
      expect(name).not.toContain(secret);
      if ((await console_.redis.client.type(name)) === 'string') {
        expect(await console_.redis.client.get(name)).not.toContain(secret);
      }
    }
  });

  test('a repeat with the same Idempotency-Key gets the same key and credits once', async () => {
    const request = { name: 'again', creditUsd: 3 };
    const header = { 'idempotency-key': 'create-1' };
    const all = await Promise.all([1, 2, 3].map(() => console_.post('/api/keys', request, header)));
    expect(all.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(new Set(all.map(({ body }) => body.key)).size).toBe(1);
    expect((await console_.post('/api/keys', request, header)).body).toEqual(all[0]!.body);
    expect(await creditsOf(all[0]!.body.accountId)).toMatchObject({ creditedNusd: '3000000000' });
    const other = await console_.post('/api/keys', { ...request, creditUsd: 4 }, header);
    expect([other.status, other.body.error.code]).toEqual([409, 'conflict']);
  });

  test('for an account that does not exist is 404 and leaves nothing', async () => {
    const count = async () => (await console_.get('/api/keys?limit=1000')).body.data.length;
    const before = await count();
    const answer = await console_.post('/api/keys', { accountId: 'acct_00000000000000000000', creditUsd: '1' });
    expect(answer.status).toBe(404);
    expect(await count()).toBe(before);
  });

  test('keeps caps, models, scopes, expiry and kind', async () => {
    const { body } = await console_.post('/api/keys', {
      capDayUsd: '0.5',
      capMonthUsd: 10,
      models: ['org/model'],
      scopes: ['chat'],
      kind: 'service',
      projectId: 'p1',
      expiresAt: '2030-01-01T00:00:00Z',
      allowGrammars: true,
    });
    expect((await console_.get(`/api/keys/${body.keyId}`)).body).toMatchObject({
      capDayNusd: '500000000',
      capMonthNusd: '10000000000',
      models: ['org/model'],
      scopes: ['chat'],
      kind: 'service',
      projectId: 'p1',
      expiresAt: '2030-01-01T00:00:00.000Z',
      allowGrammars: true,
    });
    expect(await recordOf(body.key)).toMatchObject({ capDayNusd: '500000000', expiresAtMs: Date.UTC(2030, 0, 1) });
  });
});

describe('changing a key', () => {
  test('reaches Redis and tells routers before it returns; absent fields stay, null lifts', async () => {
    const { body } = await console_.post('/api/keys', { rpm: 10, tpm: 100, capDayUsd: '1' });
    const heard: string[] = [];
    const listener = console_.redis.connect();
    await listener.subscribe(channels.keyChanged);
    listener.on('message', (_channel, payload) => heard.push(payload));
    const changed = await console_.patch(`/api/keys/${body.keyId}`, { rpm: null, name: 'renamed', models: ['m'] });
    expect(changed.body).toMatchObject({
      name: 'renamed',
      limits: { rpm: null, tpm: 100, concurrency: null },
      capDayNusd: '1000000000',
      models: ['m'],
    });
    expect(await recordOf(body.key)).toMatchObject({ models: ['m'], limits: { requestsPerMinute: null } });
    await eventually('the push arrives', async () => heard.includes(digestOf(body.key)));
  });

  test('a key that does not exist is 404, a revoked one 409', async () => {
    expect((await console_.patch('/api/keys/key_00000000000000000000', { name: 'x' })).status).toBe(404);
    const { body } = await console_.post('/api/keys', {});
    await console_.post(`/api/keys/${body.keyId}/revoke`);
    expect((await console_.patch(`/api/keys/${body.keyId}`, { name: 'x' })).status).toBe(409);
  });
});

describe('rotating a key', () => {
  test('gives a second live key with the same settings; the old one ends after the overlap', async () => {
    const { body: first } = await console_.post('/api/keys', { name: 'r', rpm: 7, models: ['m'], creditUsd: 1 });
    const before = Date.now();
    const rotated = await console_.post(`/api/keys/${first.keyId}/rotate`, { overlapMs: 60_000 });
    expect(rotated.status).toBe(200);
    const [oldRecord, newRecord] = [await recordOf(first.key), await recordOf(rotated.body.key)];
    expect(newRecord).toMatchObject({
      accountId: first.accountId,
      models: ['m'],
      limits: oldRecord!.limits,
      expiresAtMs: null,
    });
    expect(oldRecord!.expiresAtMs).toBeGreaterThanOrEqual(before + 60_000);
    expect(oldRecord!.expiresAtMs).toBeLessThanOrEqual(Date.now() + 60_000);
    expect((await console_.get(`/api/keys/${rotated.body.keyId}`)).body.rotatedFrom).toBe(first.keyId);
  });

  test('never prolongs a key that would have ended sooner', async () => {
    const { body } = await console_.post('/api/keys', { expiresAt: new Date(Date.now() + 30_000).toISOString() });
    const rotated = await console_.post(`/api/keys/${body.keyId}/rotate`, { overlapMs: 3_600_000 });
    expect(Date.parse(rotated.body.oldExpiresAt)).toBeLessThanOrEqual(Date.now() + 30_000);
    expect((await recordOf(rotated.body.key))!.expiresAtMs).toBe((await recordOf(body.key))!.expiresAtMs);
  });

  test('a repeat with the same Idempotency-Key makes no third key', async () => {
    const { body: first } = await console_.post('/api/keys', {});
    const path = `/api/keys/${first.keyId}/rotate`;
    const header = { 'idempotency-key': 'rotate-1' };
    const all = await Promise.all([1, 2, 3].map(() => console_.post(path, { overlapMs: 1_000 }, header)));
    expect(all.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(all.map(({ body }) => `${body.key} ${body.keyId}`)).size).toBe(1);
    const { body } = await console_.get(`/api/keys?accountId=${first.accountId}`);
    expect(body.data).toHaveLength(2);
  });

  test('without it a second rotation is refused and names the successor', async () => {
    const { body: first } = await console_.post('/api/keys', {});
    const { body: second } = await console_.post(`/api/keys/${first.keyId}/rotate`, {});
    const again = await console_.post(`/api/keys/${first.keyId}/rotate`, {});
    expect([again.status, again.body.error.metadata]).toEqual([409, { successorKeyId: second.keyId }]);
  });

  test('what a repeat needs is forgotten after a day', async () => {
    const { body: first } = await console_.post('/api/keys', {}, { 'idempotency-key': 'old' });
    const { sql } = await import('kysely');
    await sql`UPDATE console_operations SET created_at = now() - interval '25 hours' WHERE idem_key = 'old'`.execute(
      console_.db,
    );
    const { body: later } = await console_.post('/api/keys', {}, { 'idempotency-key': 'old' });
    expect(later.keyId).not.toBe(first.keyId);
    expect(later.key).not.toBe(first.key);
  });
});

describe('revoking and expiring', () => {
  test('a revoked key leaves Redis before the answer, for good; a repeat tells the first time', async () => {
    const { body } = await console_.post('/api/keys', {});
    const first = await console_.post(`/api/keys/${body.keyId}/revoke`);
    expect(first.status).toBe(200);
    expect(await recordOf(body.key)).toBeNull();
    expect((await console_.post(`/api/keys/${body.keyId}/revoke`)).body).toEqual(first.body);
    expect((await console_.post('/api/keys/key_00000000000000000000/revoke')).status).toBe(404);
    expect((await console_.post(`/api/keys/${body.keyId}/rotate`, {})).status).toBe(409);
  });

  test('an expiry in the past stops a key at once', async () => {
    const { body } = await console_.post('/api/keys', {});
    await console_.patch(`/api/keys/${body.keyId}`, { expiresAt: '2020-01-01T00:00:00Z' });
    expect((await recordOf(body.key))!.expiresAtMs).toBe(Date.UTC(2020, 0, 1));
    const expired = await console_.get(`/api/keys?accountId=${body.accountId}&state=expired`);
    expect(expired.body.data.map((key: { keyId: string }) => key.keyId)).toEqual([body.keyId]);
    expect((await console_.post(`/api/keys/${body.keyId}/rotate`, {})).status).toBe(409);
  });

  test('freezing an account marks all its keys, thawing frees them', async () => {
    const { body: a } = await console_.post('/api/keys', {});
    const { body: b } = await console_.post('/api/keys', { accountId: a.accountId });
    await console_.patch(`/api/accounts/${a.accountId}`, { status: 'frozen', limits: { rpm: 5 } });
    for (const { key } of [a, b]) {
      expect(await recordOf(key)).toMatchObject({ accountFrozen: true, accountLimits: { requestsPerMinute: 5 } });
    }
    await console_.patch(`/api/accounts/${a.accountId}`, { status: 'active', modelLimits: { m: { tpm: 9 } } });
    expect(await recordOf(a.key)).toMatchObject({ accountFrozen: false, modelLimits: { m: { tokensPerMinute: 9 } } });
  });
});

test("a plan's weight and limits are in the records of the account's keys, where routers read them", async () => {
  const { body } = await console_.post('/api/keys', {});
  await console_.post('/api/plans', { planId: 'heavy', name: 'Heavy', weight: 3, limits: { rpm: 30 } });
  expect((await console_.post(`/api/accounts/${body.accountId}/plan`, { planId: 'heavy' })).status).toBe(200);
  expect(await recordOf(body.key)).toMatchObject({ weight: 3, accountLimits: { requestsPerMinute: 30 } });
  await console_.patch(`/api/accounts/${body.accountId}`, { weight: 7 });
  expect(await recordOf(body.key)).toMatchObject({ weight: 7 });
});

describe('a Redis that lost everything', () => {
  test('is filled again: all keys but revoked ones, the catalogue, the mark', async () => {
    const { body: live } = await console_.post('/api/keys', {});
    const { body: dead } = await console_.post('/api/keys', {});
    await console_.post(`/api/keys/${dead.keyId}/revoke`);
    const before = await recordOf(live.key);
    await console_.redis.client.flushall();
    await eventually(
      'everything is back',
      async () => (await console_.redis.client.exists(globalKeys.keysReady)) === 1,
    );
    expect(await recordOf(live.key)).toEqual(before);
    expect(await recordOf(dead.key)).toBeNull();
    expect(await console_.redis.client.exists(globalKeys.catalog)).toBe(1);
    expect(await console_.redis.client.ttl(globalKeys.keysReady)).toBe(-1);
  });

  test('one that was restarted or promoted without its last writes is told of a revocation again', async () => {
    const { body: live } = await console_.post('/api/keys', {});
    const { body: dead } = await console_.post('/api/keys', {});
    const text = JSON.stringify(await recordOf(dead.key));
    await console_.post(`/api/keys/${dead.keyId}/revoke`);
    await console_.redis.client.set(globalKeys.key(digestOf(dead.key)), text);
    await console_.redis.client.del(globalKeys.key(digestOf(live.key)));
    const history = await console_.redis.client.getset(globalKeys.keysReady, 'history of the server before');
    await eventually(
      'its own history',
      async () => (await console_.redis.client.get(globalKeys.keysReady)) === history,
    );
    expect(await recordOf(dead.key)).toBeNull();
    expect(await recordOf(live.key)).toMatchObject({ keyId: live.keyId });
  });

  test('a revocation while Redis is away is 503, and done as soon as it is back', async () => {
    const { body } = await console_.post('/api/keys', {});
    await console_.redis.kill9();
    const answer = await console_.post(`/api/keys/${body.keyId}/revoke`);
    expect([answer.status, answer.body.error.code]).toEqual([503, 'store_unavailable']);
    const made = await console_.post('/api/keys', { name: 'not made' });
    expect([made.status, made.body.error.code]).toEqual([503, 'store_unavailable']);
    expect((await console_.get('/api/keys?search=not%20made')).body.data).toEqual([]);
    expect((await console_.get('/api/workers')).status).toBe(503);
    expect((await fetch(`${console_.url}/readyz`)).status).toBe(503);
    await console_.redis.start();
    await eventually('the revocation arrives', async () => (await recordOf(body.key)) === null);
    await eventually('ready again', async () => (await fetch(`${console_.url}/readyz`)).status === 200);
  });
});
