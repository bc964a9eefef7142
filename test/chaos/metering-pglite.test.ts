/** The local start's database: one session, reached by several connections of several processes' pools. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { priceOf, recordOf, startWorld, type World } from './metering-harness.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld(false);
}, 60_000);
afterAll(() => world?.stop());

test('metering with a pool of connections on PGlite: leases, drain, jobs and a stop that gives all back', async () => {
  const metering = await world.metering((o) => ({
    ...o,
    poolMax: 6,
    jobs: { reconcileEveryMs: 100, rollupEveryMs: 100, rescheduleMs: 1_000 },
  }));
  const credit = 10_000_000_000n;
  const accounts = await Promise.all(Array.from({ length: 10 }, () => world.account(credit)));
  await Promise.all(
    accounts.flatMap((who) =>
      Array.from({ length: 8 }, async () => {
        const intent = await world.router.admit(who, priceOf(20), 60_000);
        await world.router.settle(recordOf(intent, 15));
      }),
    ),
  );
  await eventually('all posted', async () => {
    const balances = await Promise.all(accounts.map((who) => world.balance(who)));
    return balances.every((balance) => balance.posted === priceOf(15) * 8n);
  });
  await metering.stop();
  for (const who of accounts) {
    expect(await world.balance(who)).toMatchObject({
      leased: 0n,
      quarantined: 0n,
      available: credit - priceOf(15) * 8n,
    });
  }
  expect((await new ReconcileStore(world.db).auditLedger(100)).findings).toEqual([]);
}, 120_000);
