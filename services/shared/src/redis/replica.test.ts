import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../testkit/eventually.ts';
import { BUCKETS, type MoneyFixture, moneyFixture, reqId } from '../testkit/money.ts';
import { startRedis, type TestRedis } from '../testkit/redis.ts';
import { MoneyScripts } from './money-scripts.ts';

let f: MoneyFixture;
let replica: TestRedis;
beforeAll(async () => {
  f = await moneyFixture({ redis: { args: ['--repl-diskless-sync-delay', '0'] } });
  replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(f.redis.port)] });
});
afterAll(async () => {
  await replica.stop();
  await f.redis.stop();
});

test('a replica admits, grants, settles and hands out nothing, and says what it is', async () => {
  await f.lease(100n);
  await f.admit('a', 10n);
  await f.settle('b', 1n);
  await eventually('copied', async () => (await replica.client.xlen(f.keys.outbox)) === 1);
  const money = new MoneyScripts(replica.client, BUCKETS);
  const place = { accountId: f.account, keyId: f.key, model: f.model };
  const read = await money.readLease(f.account);
  expect(read).toMatchObject({ role: 'replica', lease: { freeNusd: 90n } });
  const none = { requestsPerMinute: null, tokensPerMinute: null, concurrency: null };
  const admit = {
    ...place,
    requestId: reqId('c'),
    amountNusd: 1n,
    limits: { key: none, account: none, model: none },
    tokenCharge: { key: 0, account: 0, model: 0 },
    capDayNusd: null,
    capMonthNusd: null,
    outboxBound: 10,
    lowWaterNusd: 0n,
  };
  expect(await money.admit(admit)).toMatchObject({ kind: 'not_master' });
  expect((await money.drainRead(f.bucket, 10)).entries).toEqual([]);
  await expect(money.ensureEra(f.bucket, 'new')).rejects.toThrow('READONLY');
  await expect(money.voidHold({ ...place, requestId: reqId('a'), tokens: 0 })).rejects.toThrow('READONLY');
  const { lease, history } = read;
  const grant = { accountId: f.account, leaseId: lease!.leaseId, seq: 9n, history, era: read.era!, grantedNusd: 500n };
  const now = { expMs: read.nowMs + 1000, create: false, notAfterMs: read.nowMs + 60_000, caps: [] };
  expect(await money.grant({ ...grant, ...now })).toMatchObject({ how: 'not_master', lease: { grantedNusd: 100n } });
});

test('promoted, it is another history: what it copied cannot be spent', async () => {
  await replica.client.replicaof('NO', 'ONE');
  const money = new MoneyScripts(replica.client, BUCKETS);
  const [here, there] = [await money.readLease(f.account), await f.money.readLease(f.account)];
  expect(here.role).toBe('master');
  expect(here.lease).toEqual(there.lease);
  expect(here.history).not.toBe(there.history);
});
