/** Keeper and drain together on a real Redis and a real PostgreSQL. */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { parseVerdict } from '@tollgate/shared/contracts/money';
import { LeaseStore } from '@tollgate/shared/db/lease-store';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import type { AccountId, LeaseId } from '@tollgate/shared/domain/ids';
import { bucketKeys } from '@tollgate/shared/redis/keys';
import { type LeaseRead, type MoneyClient, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { createRegistry } from '@tollgate/shared/runtime/metrics';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { eventually } from '@tollgate/shared/testkit/eventually';
import type { Metering } from '../../services/metering/src/app.ts';
import { LeaseDesk } from '../../services/metering/src/keeper/lease-desk.ts';
import { createMetrics } from '../../services/metering/src/metrics.ts';
import {
  BUCKETS,
  bucketNumber,
  newRequest,
  priceOf,
  reachesBalance,
  recordOf,
  startWorld,
  type TestAccount,
  type World,
} from './metering-harness.ts';

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

const leasesOf = (who: TestAccount) =>
  world.db.selectFrom('leases').selectAll().where('account_id', '=', who.account).orderBy('seq').execute();

describe('the life of a lease', () => {
  test('a need is answered with a lease, what is settled is posted once, a stop gives the rest back', async () => {
    metering = await world.metering();
    const who = await world.account(10n * USD);
    const intent = await world.router.admit(who, priceOf(500));
    const during = await world.balance(who);
    expect(during.leased).toBeGreaterThanOrEqual(priceOf(500));
    expect(during.available + during.leased).toBe(10n * USD);
    // At most half of what is available.
    expect(during.leased).toBeLessThanOrEqual(5n * USD);

    await world.router.settle(recordOf(intent, 300));
    await reachesBalance(world, who, { posted: priceOf(300) });
    await metering.stop();
    await reachesBalance(world, who, {
      posted: priceOf(300),
      available: 10n * USD - priceOf(300),
      leased: 0n,
      quarantined: 0n,
    });
    expect(await world.redis.client.keys('*:lease:*')).toEqual([]);
    expect((await leasesOf(who)).map((lease) => lease.state)).toEqual(['closed']);
  });

  test('what is needed is given although it is more than half, and a small account leases all it has', async () => {
    metering = await world.metering();
    const large = await world.account(2n * USD);
    await world.router.admit(large, (19n * USD) / 10n);
    const small = await world.account(USD / 100n);
    await world.router.admit(small, USD / 100n);
    expect(await world.balance(small)).toMatchObject({ available: 0n, leased: USD / 100n });
  });

  test('a lease that nobody uses is given back', async () => {
    metering = await world.metering((o) => ({ ...o, keeper: { ...o.keeper, idleMs: 50 } }));
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(10));
    await world.router.settle(recordOf(intent, 10));
    await reachesBalance(world, who, {
      posted: priceOf(10),
      available: USD - priceOf(10),
      leased: 0n,
      quarantined: 0n,
    });
  });

  test('a busy lease is extended, in Postgres before Redis', async () => {
    metering = await world.metering((o) => ({ ...o, lease: { ...o.lease, leaseMs: 1_500 } }));
    const who = await world.account(USD);
    await world.router.admit(who, priceOf(10));
    const first = (await leasesOf(who))[0]!;
    await eventually('two extensions', async () => {
      const { lease } = await world.router.scripts.readLease(who.account);
      const [row] = await leasesOf(who);
      expect(lease!.expMs).toBeLessThanOrEqual(Number(row!.exp_ms));
      return lease!.expMs > Number(first.exp_ms) + 1_000;
    });
    expect(await leasesOf(who)).toHaveLength(1);
  });
});

describe('several keepers', () => {
  test('two instances answer the same needs with one lease and quarantine nothing', async () => {
    metering = await world.metering();
    const second = await world.metering((o) => ({ ...o, reclaimOnStop: false }));
    const accounts = await Promise.all(Array.from({ length: 8 }, () => world.account(10n * USD)));
    for (let round = 1; round <= 3; round++) {
      await Promise.all(accounts.map((who) => world.router.admit(who, priceOf(400) * BigInt(round))));
    }
    for (const who of accounts) {
      expect((await leasesOf(who)).map((lease) => lease.state)).toEqual(['open']);
      const [row] = await leasesOf(who);
      expect((await world.router.scripts.readLease(who.account)).lease?.grantedNusd).toBe(row!.granted);
    }
    await second.stop();
  });

  test('a lease at the largest amount that scripts count makes room for a new one', async () => {
    metering = await world.metering();
    const who = await world.account(400_000n * USD);
    const nearMax = 90_000n * USD;
    const first = await world.router.admit(who, nearMax);
    const next = await world.router.admit(who, nearMax);
    expect(next.leaseId).not.toBe(first.leaseId);
    expect((await leasesOf(who)).map((lease) => [lease.state, lease.quarantine_why])).toEqual([
      ['quarantined', 'replaced'],
      ['open', null],
    ]);
    // The first request ends after all: its record finds its lease.
    await world.router.settle(recordOf(first, 100));
    await world.router.settle(recordOf(next, 100));
    await reachesBalance(world, who, { posted: priceOf(200), uncollected: 0n });
  });
});

describe('a Postgres that crashes', () => {
  test('while it drains: every record is posted once, and needs are answered again', async () => {
    if (!world.real) return;
    metering = await world.metering((o) => ({ ...o, batchSize: 10 }));
    const who = await world.account(100n * USD);
    const intents = await Promise.all(Array.from({ length: 60 }, () => world.router.admit(who, priceOf(10))));
    await Promise.all([world.crashDatabase(), ...intents.map((intent) => world.router.settle(recordOf(intent, 7)))]);
    await reachesBalance(world, who, { posted: priceOf(7) * 60n });
    await world.router.admit(who, 60n * USD);
    expect(await metering.reconcile()).toEqual([]);
  }, 60_000);
});

describe('verdicts', () => {
  test('what comes back while a need is answered is counted once: credit and returned are of one moment', async () => {
    const who = await world.account(10n * USD);
    const leases = new LeaseStore(world.db);
    const redis = world.redis.connect();
    let between = async () => {};
    class Interrupted extends MoneyScripts {
      override async readLease(account: AccountId): Promise<LeaseRead> {
        const read = await super.readLease(account);
        await between();
        return read;
      }
    }
    const scripts = new Interrupted(redis as unknown as MoneyClient, BUCKETS);
    const desk = new LeaseDesk({
      db: world.db,
      redis,
      scripts,
      clock: systemClock,
      random: systemRandom,
      logger: createLogger({ service: 'test', level: 'silent' }),
      metrics: createMetrics(createRegistry('test', '0')),
      options: { leaseMs: 60_000, minLeaseNusd: USD, createWindowMs: 5_000, verdictTtlMs: 5_000, standalone: true },
    });
    expect(await desk.serve(who.account, 2n * USD)).toBe('covered');
    const [row] = await leasesOf(who);
    // Nothing more is granted to a frozen account: the answer is a verdict.
    await world.db.updateTable('accounts').set({ status: 'frozen' }).where('id', '=', who.account).execute();
    // Another keeper takes a part back after this one has read the row and the lease.
    between = async () => {
      between = async () => {};
      const { lease } = await scripts.reclaim({
        accountId: who.account,
        leaseId: row!.id as LeaseId,
        history: row!.history,
        returnedNusd: USD,
      });
      await leases.bookReturned(who.account, row!.id, lease!.returnedNusd);
    };
    expect(await desk.serve(who.account, 20n * USD)).toBe('short');
    const text = await world.redis.client.hget(bucketKeys(bucketNumber(who.account)).verdict(who.account), 'text');
    const verdict = parseVerdict(text!);
    expect(verdict.returnedNusd).toBe(USD);
    expect(verdict.availableNusd + verdict.grantedNusd - verdict.returnedNusd).toBe(10n * USD);
  });

  test('an account that cannot pay gets a verdict with its true credit; a credit clears it', async () => {
    metering = await world.metering();
    const who = await world.account(priceOf(10));
    const first = await world.router.admitOnce(who, newRequest(), priceOf(1_000));
    expect(first.kind).toBe('need_lease');
    const verdict = await eventually('a verdict that fits the lease', async () => {
      const answer = await world.router.admitOnce(who, newRequest(), priceOf(1_000));
      if (answer.kind !== 'need_lease' || !answer.verdict?.text) return null;
      const parsed = parseVerdict(answer.verdict.text);
      const fits = parsed.leaseId === (answer.lease?.leaseId ?? null);
      return fits && parsed.grantedNusd === (answer.lease?.grantedNusd ?? 0n) ? { parsed, lease: answer.lease } : null;
    });
    const { parsed, lease } = verdict;
    const credit =
      parsed.availableNusd +
      parsed.quarantinedNusd +
      parsed.grantedNusd -
      parsed.returnedNusd -
      (lease?.spentNusd ?? 0n);
    expect(credit).toBe(priceOf(10));

    const { balance } = await new LedgerStore(world.db).credit({
      accountId: who.account,
      amountNusd: USD,
      idemKey: 'topup-1',
      reason: 'test',
    });
    await world.router.scripts.clearVerdict(who.account, balance.version);
    const after = await world.router.admitOnce(who, newRequest(), priceOf(1_000));
    expect(after.kind === 'need_lease' ? (after.verdict?.text ?? '') : '').toBe('');
    await world.router.admit(who, priceOf(1_000));
  });

  test('nothing is granted to a frozen account nor to one that owes', async () => {
    metering = await world.metering();
    const frozen = await world.account(USD);
    await world.db.updateTable('accounts').set({ status: 'frozen' }).where('id', '=', frozen.account).execute();
    await world.router.admitOnce(frozen, newRequest(), priceOf(1));
    const debtor = await world.account(USD);
    const intent = await world.router.admit(debtor, USD);
    // A chargeback of everything while it is held.
    await new LedgerStore(world.db).debit({
      accountId: debtor.account,
      amountNusd: USD,
      idemKey: 'cb',
      reason: 'test',
    });
    expect(await world.balance(debtor)).toMatchObject({ receivable: USD, leased: USD, credited: 0n });
    await world.router.settle(recordOf(intent, 100));
    // The rest of the lease is recalled and pays the debt: what is left is what was really used.
    await reachesBalance(world, debtor, { receivable: priceOf(100), posted: priceOf(100), leased: 0n, available: 0n });
    await world.router.admitOnce(debtor, newRequest(), priceOf(1));
    await eventually('the needs were looked at', async () => (await world.redis.client.keys('*:need')).length === 0);
    expect(await world.balance(frozen)).toMatchObject({ available: USD, leased: 0n });
    expect(await world.balance(debtor)).toMatchObject({ leased: 0n });
  });
});

describe('a Redis that forgets', () => {
  test('after FLUSHALL the lease is quarantined, a new one opens at once, and the old rest comes back after exp and grace', async () => {
    metering = await world.metering((o) => ({
      ...o,
      lease: { ...o.lease, leaseMs: 2_000 },
      release: { skewMs: 200, graceMs: 300 },
    }));
    const who = await world.account(10n * USD);
    const running = await world.router.admit(who, priceOf(100));
    await world.redis.client.flushall();
    const fresh = await world.router.admit(who, priceOf(100));
    expect(fresh.leaseId).not.toBe(running.leaseId);
    const leases = await leasesOf(who);
    expect(leases.map((lease) => [lease.id, lease.state])).toEqual([
      [running.leaseId, 'quarantined'],
      [fresh.leaseId, 'open'],
    ]);
    const quarantined = await world.balance(who);
    expect(quarantined.quarantined).toBeGreaterThanOrEqual(priceOf(100));
    // The running request registers anew with its next heartbeat; what it may cost stays back.
    expect(await world.router.beat(running, 5)).toBe('recreated');
    await reachesBalance(world, who, { quarantined: priceOf(100) });
    const at = Number(leases[0]!.exp_ms) + 200;
    expect((await world.router.scripts.readLease(who.account)).nowMs).toBeGreaterThanOrEqual(at);
    // It ends: its record is posted to the lease it came from, and the rest is free.
    await world.router.settle(recordOf(running, 60));
    await reachesBalance(world, who, { quarantined: 0n, posted: priceOf(60), uncollected: 0n });
    const old = await new LeaseStore(world.db).get(running.leaseId);
    expect(old).toMatchObject({ state: 'closed', settledNusd: priceOf(60), overdrawnNusd: 0n });
  });

  test('a lease hash that somebody deleted is never made again', async () => {
    metering = await world.metering();
    const who = await world.account(USD);
    const before = await world.router.admit(who, priceOf(10));
    await world.redis.client.del(bucketKeys(bucketNumber(who.account)).lease(who.account));
    const after = await world.router.admit(who, priceOf(10));
    expect(after.leaseId).not.toBe(before.leaseId);
    expect((await leasesOf(who)).map((lease) => [lease.state, lease.quarantine_why])).toEqual([
      ['quarantined', 'missing'],
      ['open', null],
    ]);
  });

  test('a new process at the same address, known to stand alone, waives exp but not the grace', async () => {
    metering = await world.metering((o) => ({
      ...o,
      lease: { ...o.lease, standalone: true },
      release: { skewMs: 0, graceMs: 300 },
    }));
    const who = await world.account(USD);
    const intent = await world.router.admit(who, priceOf(10));
    await world.router.settle(recordOf(intent, 10));
    await reachesBalance(world, who, { posted: priceOf(10) });
    await world.redis.restart();
    await reachesBalance(world, who, {
      posted: priceOf(10),
      quarantined: 0n,
      leased: 0n,
      available: USD - priceOf(10),
    });
    expect((await leasesOf(who)).map((lease) => [lease.state, lease.quarantine_why])).toEqual([['closed', 'restart']]);
    await world.router.admit(who, priceOf(10));
  }, 30_000);

  test('without that knowledge a restart keeps the rest quarantined until exp', async () => {
    metering = await world.metering();
    const who = await world.account(USD);
    await world.router.admit(who, priceOf(10));
    await world.redis.restart();
    const fresh = await world.router.admit(who, priceOf(10));
    const leases = await leasesOf(who);
    expect(leases.map((lease) => [lease.state, lease.quarantine_why])).toEqual([
      ['quarantined', 'history'],
      ['open', null],
    ]);
    expect(leases[1]!.id).toBe(fresh.leaseId);
    await metering.releaser.round();
    await metering.releaser.round();
    expect((await leasesOf(who))[0]!.state).toBe('quarantined');
  }, 30_000);
});
