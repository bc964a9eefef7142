/** Redis Cluster refuses a script whose keys lie in several slots, and a client that asks the wrong node. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '../runtime/clock.ts';
import { eventually } from '../testkit/eventually.ts';
import { reqId } from '../testkit/money.ts';
import { startRedisCluster, type TestCluster } from '../testkit/redis-cluster.ts';
import { createRedis, type RedisClient, waitUntilReady } from './client.ts';
import { ConsoleDirectory } from './console-directory.ts';
import { FleetStore } from './fleet-store.ts';
import { KeyStore } from './key-store.ts';
import { bucketOf, channels, globalKeys } from './keys.ts';
import { type MoneyClient, MoneyScripts } from './money-scripts.ts';
import { Subscriber } from './subscriber.ts';

const BUCKETS = 16;
const NONE = { requestsPerMinute: null, tokensPerMinute: null, concurrency: null };

let cluster: TestCluster;
let client: RedisClient;
beforeAll(async () => {
  cluster = await startRedisCluster(2, { password: 'p@ss of all nodes' });
  client = createRedis({ url: cluster.url, name: 'test' });
  await waitUntilReady(client);
}, 90_000);
afterAll(async () => {
  client?.disconnect();
  await cluster?.stop();
});

test('every money call works for accounts on every node: its keys are declared and lie together', async () => {
  const money = new MoneyScripts(client as unknown as MoneyClient, BUCKETS);
  const buckets = new Set<number>();
  for (let i = 0; i < 40; i++) {
    const accountId = `acct_c${i}` as const;
    const bucket = bucketOf(accountId, BUCKETS);
    buckets.add(bucket);
    const place = { accountId, keyId: 'key_c' as const, model: 'm' };
    const admit = (name: string) =>
      money.admit({
        ...place,
        requestId: reqId(`${i}${name}`),
        amountNusd: 10n,
        limits: { key: { requestsPerMinute: 60, tokensPerMinute: 6000, concurrency: 5 }, account: NONE, model: NONE },
        tokenCharge: { key: 1, account: 0, model: 0 },
        capDayNusd: 1_000n,
        capMonthNusd: null,
        outboxBound: 1_000,
        lowWaterNusd: 1_000n,
      });
    expect(await admit('a')).toMatchObject({ kind: 'need_lease' });
    const { era, history, nowMs } = await money.ensureEra(bucket, `era${i}`);
    const lease = { accountId, leaseId: `lease_c${i}` as const, history };
    const times = { expMs: nowMs + 60_000, notAfterMs: nowMs + 60_000 };
    const grant = { ...lease, ...times, seq: 1n, era, grantedNusd: 100n, create: true, caps: [] };
    expect(await money.grant(grant)).toMatchObject({ how: 'created' });
    for (const name of ['b', 'c', 'd']) expect(await admit(name)).toMatchObject({ kind: 'ok' });
    const beat = {
      ...place,
      requestId: reqId(`${i}b`),
      leaseId: lease.leaseId,
      history,
      admittedAtMs: 1,
      amountNusd: 10n,
    };
    expect(await money.heartbeat(bucket, [{ ...beat, intent: '{}', progress: '{}' }])).toEqual(['held']);
    const settle = { ...place, requestId: reqId(`${i}b`), routerId: 'r', leaseId: lease.leaseId, amountNusd: 4n };
    expect(await money.settle({ ...settle, tokens: 3, record: '{}' })).toMatchObject({ how: 'settled' });
    expect(await money.voidHold({ ...place, requestId: reqId(`${i}c`), tokens: 0 })).toBe('voided');
    const held = (await money.readHolds(bucket)).holds.find((hold) => hold.requestId === reqId(`${i}d`))!;
    const reap = { ...place, requestId: held.requestId, leaseId: held.leaseId, expectedBeats: 0, tokens: 0 };
    expect(await money.reap({ ...reap, history, routerId: 'r', amountNusd: 1n, record: '{}' })).toBe('reaped');
    expect(await money.extend({ ...lease, expMs: nowMs + 90_000 })).toBe('extended');
    expect(await money.reclaim({ ...lease, returnedNusd: 100n })).toMatchObject({
      lease: { freeNusd: 0n, heldNusd: 0n, spentNusd: 5n, returnedNusd: 95n },
    });
    await money.setVerdict({ accountId, version: 1n, text: '{}', ttlMs: 1_000 });
    await money.clearVerdict(accountId, 2n);
    await money.takeNeeds(bucket);
    await money.setFull(bucket, false);
    const read = await money.drainRead(bucket, 100);
    expect(read.entries.length).toBeGreaterThanOrEqual(2);
    expect(await money.drainAck(bucket, read.history, read.entries)).toBe('acked');
    expect((await money.readConfirmations('r', [bucket])).get(bucket)?.history).toBe(read.history);
    expect(await money.closeLease(lease)).toMatchObject({ how: 'closed' });
    expect(await money.discardLease(lease)).toBe('absent');
    expect((await money.readLease(accountId)).lease).toBeNull();
    await money.dropOrphans(bucket, [reqId('x')]);
    const record = { ...place, limits: NONE, accountLimits: NONE, modelLimits: {} };
    expect((await money.peekLimits(record as never, 'm')).live).toEqual({ key: 0, account: 0, model: 0 });
  }
  expect(buckets.size).toBeGreaterThan(8);
  const counts = await Promise.all(cluster.nodes.map((node) => node.client.dbsize()));
  expect(Math.min(...counts)).toBeGreaterThan(0);
});

test('parallel calls for accounts on both nodes are all answered', async () => {
  const money = new MoneyScripts(client as unknown as MoneyClient, BUCKETS);
  const reads = await Promise.all(Array.from({ length: 200 }, (_, i) => money.readLease(`acct_p${i}`)));
  expect(new Set(reads.map((read) => read.history)).size).toBe(2);
});

test('what the console publishes lies with its mark on one node; routers read it, and hear of changes at any node', async () => {
  const directory = new ConsoleDirectory(client);
  await directory.beginPublishing('n');
  await directory.publishCatalog({ version: 1, models: [] });
  await directory.publishDraining(['http://w1:8000']);
  expect(await directory.finishPublishing('n')).toBe(true);
  expect(await directory.isReady()).toBe(true);
  // The union of ioredis's two classes has no overload that both share.
  const plain = client as unknown as ConstructorParameters<typeof KeyStore>[0] &
    ConstructorParameters<typeof FleetStore>[0];
  expect(await new KeyStore(plain).read('d')).toEqual({ kind: 'unknown' });
  expect(await new FleetStore(plain).draining()).toEqual(new Set(['http://w1:8000']));
  const places = [globalKeys.key('d'), globalKeys.keysReady, globalKeys.catalog, globalKeys.draining];
  expect(new Set(await Promise.all(places.map(cluster.nodeOf))).size).toBe(1);

  const heard: string[] = [];
  const subscriber = new Subscriber({
    url: cluster.url,
    name: 'test-push',
    clock: systemClock,
    handlers: { [channels.keyChanged]: (digest) => heard.push(digest) },
  });
  try {
    await eventually('it listens', () => subscriber.up);
    for (const [i, node] of cluster.nodes.entries()) await node.client.publish(channels.keyChanged, `from ${i}`);
    await eventually('both were heard', () => heard.length === 2);
    expect(heard.sort()).toEqual(['from 0', 'from 1']);
  } finally {
    subscriber.close();
  }
});
