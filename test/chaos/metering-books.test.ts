/** Reaper, books and ingest on a real Redis and a real PostgreSQL. */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { bucketKeys } from '@tollgate/shared/redis/keys';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { Registry } from '@tollgate/shared/runtime/metrics';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { fakeClock } from '@tollgate/shared/testkit/fake-clock';
import type { Metering } from '../../services/metering/src/app.ts';
import { createMetrics } from '../../services/metering/src/metrics.ts';
import { Reaper } from '../../services/metering/src/reaper/reaper.ts';
import { bucketNumber, priceOf, reachesBalance, recordOf, startWorld, type World } from './metering-harness.ts';

// Real processes on a shared machine: each wait has its own deadline.
jest.setTimeout(60_000);

const USD = 1_000_000_000n;

let world: World;
let metering: (Metering & { stop(): Promise<void> }) | undefined;

beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterEach(async () => {
  await metering?.stop();
  metering = undefined;
});
afterAll(() => world?.stop());

describe('routers that vanish', () => {
  test('a hold that was never heartbeaten is voided', async () => {
    metering = await world.metering((o) => ({ ...o, reaper: { ...o.reaper, unbeatenMs: 150 } }));
    const who = await world.account(USD);
    await world.router.admit(who, priceOf(100));
    await eventually(
      'nothing held',
      async () => (await world.router.scripts.readLease(who.account)).lease?.heldNusd === 0n,
    );
    expect(await world.balance(who)).toMatchObject({ posted: 0n });
  });

  test('a silent router is billed what its heartbeats show, and its own record replaces that once', async () => {
    metering = await world.metering((o) => ({ ...o, reaper: { ...o.reaper, silentMs: 300, marginMs: 100 } }));
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(100));
    expect(await world.router.beat(intent, 40)).toBe('held');
    await reachesBalance(world, who, { posted: priceOf(40) });
    expect(await world.settled(intent.requestId)).toMatchObject({ state: 'estimated', amountNusd: priceOf(40) });
    await world.router.settle(recordOf(intent, 70));
    await reachesBalance(world, who, { posted: priceOf(70), uncollected: 0n });
    expect(await world.settled(intent.requestId)).toMatchObject({ state: 'final', revision: 1 });
  });

  test('judged by its own monotonic clock: while heartbeats move a hold lives, whatever the wall clock does', async () => {
    metering = await world.metering((o) => ({ ...o, reaper: { ...o.reaper, everyMs: 600_000 } }));
    const clock = fakeClock();
    const logger = createLogger({ service: 'test', level: 'silent' });
    const reaper = new Reaper({
      redis: metering.redis,
      scripts: metering.scripts,
      clock,
      logger,
      metrics: createMetrics(new Registry()),
      options: { everyMs: 1, unbeatenMs: 30_000, silentMs: 600_000, marginMs: 60_000, auditEveryMs: 1e9 },
    });
    const held = async () => (await world.router.scripts.readLease(who.account)).lease?.heldNusd;
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(100));
    for (let beat = 1; beat <= 5; beat++) {
      expect(await world.router.beat(intent, beat)).toBe('held');
      await reaper.round();
      await clock.advance(650_000);
      clock.stepWall(86_400_000);
      await reaper.round();
      expect(await held()).toBe(priceOf(100));
    }
    // Another Redis history says nothing about the old counter; here the counter simply stops.
    await clock.advance(9_999);
    await reaper.round();
    expect(await held()).toBe(priceOf(100));
    await clock.advance(1);
    await reaper.round();
    expect(await held()).toBe(0n);
    await reachesBalance(world, who, { posted: priceOf(5) });

    const unbeaten = await world.router.admit(who, priceOf(100));
    await reaper.round();
    await clock.advance(29_999);
    await reaper.round();
    expect(await held()).toBe(priceOf(100));
    await clock.advance(1);
    await reaper.round();
    expect(await held()).toBe(0n);
    expect(await world.settled(unbeaten.requestId)).toBeNull();
  });

  test('a leaked entry of a concurrency set is taken off after it was seen twice', async () => {
    metering = await world.metering((o) => ({ ...o, reaper: { ...o.reaper, auditEveryMs: 50 } }));
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(1));
    const live = bucketKeys(bucketNumber(who.account)).live(who.key);
    await world.redis.client.sadd(live, 'req_leaked');
    await eventually(
      'only the true one is left',
      async () => (await world.redis.client.smembers(live)).join() === intent.requestId,
    );
  });
});

describe('books', () => {
  test('reconciliation finds nothing wrong after all this, and finds a planted drift', async () => {
    metering = await world.metering();
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(10));
    await world.router.settle(recordOf(intent, 5));
    await reachesBalance(world, who, { posted: priceOf(5) });
    expect(await metering.reconcile()).toEqual([]);
    await world.db
      .updateTable('balances')
      .set((e) => ({
        available: e('available', '+', 7n),
        credited: e('credited', '+', 7n),
        version: e('version', '+', 1n),
      }))
      .where('account_id', '=', who.account)
      .execute();
    const findings = await metering.reconcile();
    expect(findings.map(({ check, detail, differenceNusd }) => [check, detail, differenceNusd])).toEqual([
      ['entries', 'available', 7n],
      ['entries', 'credited', 7n],
    ]);
    expect(await metering.registry.getSingleMetricAsString('tollgate_ledger_drift_nusd')).toContain(
      'tollgate_ledger_drift_nusd 14',
    );
    await world.db
      .updateTable('balances')
      .set((e) => ({
        available: e('available', '-', 7n),
        credited: e('credited', '-', 7n),
        version: e('version', '+', 1n),
      }))
      .where('account_id', '=', who.account)
      .execute();
    expect(await metering.reconcile()).toEqual([]);
  });

  test('roll-ups repeat to the same figures and follow a later final', async () => {
    metering = await world.metering((o) => ({ ...o, reaper: { ...o.reaper, silentMs: 200, marginMs: 0 } }));
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(100));
    await world.router.beat(intent, 40);
    await reachesBalance(world, who, { posted: priceOf(40) });
    const { UsageStore } = await import('@tollgate/shared/db/usage-store');
    const usage = new UsageStore(world.db);
    const rows = () => usage.rollups({ accountId: who.account, by: 'day', limit: 10 });
    await metering.rollups.daily();
    expect(await rows()).toMatchObject([{ requests: 1n, completionTokens: 40n, amountNusd: priceOf(40) }]);
    await world.router.settle(recordOf(intent, 90));
    await reachesBalance(world, who, { posted: priceOf(90) });
    await metering.rollups.daily();
    await metering.rollups.daily();
    expect(await rows()).toMatchObject([{ requests: 1n, completionTokens: 90n, amountNusd: priceOf(90) }]);
    const page = await usage.page({ accountId: who.account, limit: 10 });
    expect(page.data).toMatchObject([{ requestId: intent.requestId, final: true, completionTokens: 90 }]);
  });
});

describe('scheduled work', () => {
  test('roll-ups and reconciliation run through BullMQ, also after a flush, and leave little behind', async () => {
    metering = await world.metering((o) => ({
      ...o,
      jobs: { reconcileEveryMs: 200, rollupEveryMs: 200, rescheduleMs: 100 },
    }));
    const reconciled = async () => {
      const row = await world.db
        .selectFrom('reconciliations')
        .select((e) => e.fn.countAll<bigint>().as('count'))
        .executeTakeFirstOrThrow();
      return Number(row.count);
    };
    const first = await reconciled();
    await eventually('two reconciliations', async () => (await reconciled()) >= first + 2);
    await world.redis.client.flushall();
    const second = await reconciled();
    await eventually('two more', async () => (await reconciled()) >= second + 2);
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(10));
    await world.router.settle(recordOf(intent, 5));
    const { UsageStore } = await import('@tollgate/shared/db/usage-store');
    const rollups = (by: 'hour' | 'day') => new UsageStore(world.db).rollups({ accountId: who.account, by, limit: 10 });
    await eventually(
      'the hour and the day',
      async () => (await rollups('hour')).length + (await rollups('day')).length === 2,
    );
    const keys = await world.redis.client.keys('tg-queue:*');
    expect(keys.length).toBeLessThan(150);
  });
});

describe('ingest', () => {
  test('posts records without Redis, once, and only for the service token', async () => {
    metering = await world.metering();
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(100));
    const { encodeUsageRecord } = await import('@tollgate/shared/contracts/money');
    const body = JSON.stringify({ records: [encodeUsageRecord(recordOf(intent, 30)), 'junk'] });
    const send = (token: string) =>
      fetch(`${metering!.url}/ingest`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body,
      });
    expect((await send('wrong')).status).toBe(401);
    expect(await world.balance(who)).toMatchObject({ posted: 0n });
    expect(await (await send('test-service-token')).json()).toMatchObject({ accepted: 2, posted: 1, deadLetters: 1 });
    expect(await (await send('test-service-token')).json()).toMatchObject({ accepted: 2, repeated: 1 });
    expect(await world.balance(who)).toMatchObject({ posted: priceOf(30) });
    // The router comes back after all: the same record through Redis changes nothing.
    await world.router.settle(recordOf(intent, 30));
    await eventually(
      'drained',
      async () => (await world.redis.client.xlen(bucketKeys(bucketNumber(who.account)).outbox)) === 0,
    );
    expect(await world.balance(who)).toMatchObject({ posted: priceOf(30) });
  });
});
