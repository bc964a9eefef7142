import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { testSeed } from '../testkit/counts.ts';
import {
  applyEntries,
  BalanceError,
  credit,
  debit,
  EMPTY_BALANCE,
  entriesBetween,
  giveBack,
  leaseOut,
  type Money,
  postSpend,
  quarantine,
  refund,
} from './balance.ts';
import { type LeaseMoney, leaseRest, releaseLease, restColumn, returnOnLease, settleOnLease } from './lease-money.ts';
import { MONEY_BUCKETS } from './schema.ts';

const { version: _, ...EMPTY } = EMPTY_BALANCE;

function isSound(money: Money): boolean {
  const { available, leased, quarantined, posted, credited, receivable, uncollected } = money;
  return (
    MONEY_BUCKETS.every((bucket) => money[bucket] >= 0n) &&
    available + leased + quarantined + posted === credited + receivable + uncollected &&
    (available === 0n || receivable + uncollected === 0n)
  );
}

const FRESH_LEASE: LeaseMoney = {
  granted: 0n,
  returned: 0n,
  released: 0n,
  settled: 0n,
  overdrawn: 0n,
  state: 'open',
};

describe('balances', () => {
  test('any sequence of moves keeps the identity, no column below zero, debts before credit; entries sum to 0', () => {
    const amount = fc.bigInt({ min: 1n, max: 1_000n });
    const move = fc.oneof(
      fc.record({ kind: fc.constantFrom('credit', 'debit', 'refund', 'lease', 'quarantine', 'release'), amount }),
      fc.record({ kind: fc.constantFrom('settle', 'return'), amount }),
      fc.record({ kind: fc.constant('settle'), amount: fc.bigInt({ min: -500n, max: 500n }) }),
    );
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        let money: Money = EMPTY;
        let lease = null as LeaseMoney | null;
        let spent = 0n;
        for (const { kind, amount } of moves) {
          const before = money;
          try {
            if (kind === 'credit') money = credit(money, amount);
            else if (kind === 'debit') money = debit(money, amount);
            else if (kind === 'refund') money = refund(money, amount);
            else if (kind === 'lease' && (!lease || lease.state === 'closed')) {
              money = leaseOut(money, amount);
              lease = { ...FRESH_LEASE, granted: amount };
              spent = 0n;
            } else if (kind === 'quarantine' && lease?.state === 'open') {
              money = quarantine(money, leaseRest(lease));
              lease = { ...lease, state: 'quarantined' };
            } else if (kind === 'release' && lease?.state === 'quarantined') {
              const keep = amount % 3n === 0n ? amount : 0n;
              const { lease: after, freed }: { lease: LeaseMoney; freed: bigint } = releaseLease(lease, keep);
              money = giveBack(money, freed, 'quarantined');
              lease = { ...after, state: keep === 0n ? 'closed' : 'quarantined' };
            } else if (kind === 'return' && lease?.state === 'open') {
              const { lease: after, freed }: { lease: LeaseMoney; freed: bigint } = returnOnLease(lease, amount);
              money = giveBack(money, freed, 'leased');
              lease = after;
            } else if (kind === 'settle' && lease) {
              // A final takes back no more than estimates have posted.
              const delta: bigint = amount < -spent ? -spent : amount;
              if (money.posted + delta < 0n) continue;
              spent += delta;
              const { lease: after, fromLease }: { lease: LeaseMoney; fromLease: bigint } = settleOnLease(lease, delta);
              money = postSpend(money, delta, fromLease, restColumn(lease));
              lease = after;
            }
          } catch (error) {
            if (!(error instanceof BalanceError)) throw error;
          }
          expect(isSound(money)).toBe(true);
          const entries = entriesBetween(before, money);
          expect(entries.reduce((sum, entry) => sum + entry.amountNusd, 0n)).toBe(0n);
          expect(applyEntries(before, entries)).toEqual(money);
          if (lease) {
            expect(leaseRest(lease)).toBeGreaterThanOrEqual(0n);
            if (lease.state === 'closed') expect(leaseRest(lease)).toBe(0n);
            else expect(money[restColumn(lease)]).toBe(leaseRest(lease));
          }
        }
      }),
      { numRuns: 1_000, seed: testSeed() },
    );
  });

  test('a top-up repays receivable first, then uncollected, then is available', () => {
    const owing: Money = { ...EMPTY, posted: 30n, receivable: 10n, uncollected: 20n };
    expect(credit(owing, 5n)).toMatchObject({ receivable: 5n, uncollected: 20n, available: 0n });
    expect(credit(owing, 25n)).toMatchObject({ receivable: 0n, uncollected: 5n, available: 0n });
    expect(credit(owing, 40n)).toMatchObject({ receivable: 0n, uncollected: 0n, available: 10n });
  });

  test('more cannot be taken back than was credited, refunded than was posted, leased than is available', () => {
    const money = credit(EMPTY, 10n);
    expect(() => debit(money, 11n)).toThrow(BalanceError);
    expect(() => refund(money, 1n)).toThrow(BalanceError);
    expect(() => leaseOut(money, 11n)).toThrow(BalanceError);
  });
});

describe('a lease', () => {
  test('its figures do not depend on the order of settlements and returns', () => {
    const deltas = fc.array(fc.bigInt({ min: 0n, max: 60n }), { minLength: 1, maxLength: 8 });
    const orders = deltas.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }), fc.nat({ max: list.length })),
    );
    fc.assert(
      fc.property(orders, fc.bigInt({ min: 0n, max: 100n }), ([list, other, at], returned) => {
        const run = (amounts: readonly bigint[], returnAt: number) => {
          let lease: LeaseMoney = { ...FRESH_LEASE, granted: 100n };
          for (let index = 0; index <= amounts.length; index++) {
            if (index === returnAt) lease = returnOnLease(lease, returned).lease;
            if (index < amounts.length) lease = settleOnLease(lease, amounts[index]!).lease;
          }
          return lease;
        };
        expect(run(other, at)).toEqual(run(list, 0));
      }),
      { numRuns: 500, seed: testSeed() },
    );
  });

  test('totals booked twice, or older ones after newer ones, change nothing', () => {
    const lease: LeaseMoney = { ...FRESH_LEASE, granted: 100n };
    const { lease: once, freed } = returnOnLease(lease, 40n);
    expect(freed).toBe(40n);
    expect(returnOnLease(once, 40n)).toEqual({ lease: once, freed: 0n });
    expect(returnOnLease(once, 10n)).toEqual({ lease: once, freed: 0n });
  });
});
