/**
 * An account's money as a value, and the few moves it can make. Pure. Each move keeps the identity
 * available + leased + quarantined + posted = credited + receivable + uncollected, so the entries between two balances
 * always sum to zero.
 *
 * Debts come first: whatever becomes spendable repays `receivable`, then `uncollected`, and only the rest is available.
 * So `available - receivable - uncollected` is credited - leased - quarantined - posted whatever the order of
 * events: balances are a function of the set of records (MONEY.md 7).
 */
import { MONEY_BUCKETS, type MoneyBucket } from './schema.ts';

export type Money = Readonly<Record<MoneyBucket, bigint>>;

export interface Balance extends Money {
  readonly version: bigint;
}

export const EMPTY_BALANCE: Balance = {
  version: 0n,
  available: 0n,
  leased: 0n,
  quarantined: 0n,
  posted: 0n,
  credited: 0n,
  receivable: 0n,
  uncollected: 0n,
};

/** A double entry that cannot be made: the caller asked for more than there is. */
export class BalanceError extends Error {
  override readonly name = 'BalanceError';
}

const min = (a: bigint, b: bigint) => (a < b ? a : b);

/** `amount` >= 0 comes free: repays receivable, then uncollected, the rest becomes available. */
function free<B extends Money>(balance: B, amount: bigint): B {
  const receivable = min(balance.receivable, amount);
  const uncollected = min(balance.uncollected, amount - receivable);
  return {
    ...balance,
    receivable: balance.receivable - receivable,
    uncollected: balance.uncollected - uncollected,
    available: balance.available + amount - receivable - uncollected,
  };
}

/** `amount` >= 0 is taken from available; what is not there becomes debt of the given kind. */
function take<B extends Money>(balance: B, amount: bigint, debt: 'receivable' | 'uncollected'): B {
  const paid = min(balance.available, amount);
  return { ...balance, available: balance.available - paid, [debt]: balance[debt] + amount - paid };
}

/** Credit of `amount` > 0 from outside: a payment or a gift. */
export function credit<B extends Money>(balance: B, amount: bigint): B {
  return free({ ...balance, credited: balance.credited + amount }, amount);
}

/**
 * Takes back `amount` > 0 of what was credited (negative adjustment, chargeback; MONEY.md 3.4). What was leased or
 * spent meanwhile becomes receivable.
 * @throws {BalanceError} when more is taken back than was ever credited.
 */
export function debit<B extends Money>(balance: B, amount: bigint): B {
  if (amount > balance.credited) throw new BalanceError('more is taken back than was credited');
  return take({ ...balance, credited: balance.credited - amount }, amount, 'receivable');
}

/**
 * Gives `amount` > 0 of posted money back to the customer.
 * @throws {BalanceError} when more is refunded than was posted.
 */
export function refund<B extends Money>(balance: B, amount: bigint): B {
  if (amount > balance.posted) throw new BalanceError('more is refunded than was posted');
  return free({ ...balance, posted: balance.posted - amount }, amount);
}

/**
 * Sets `amount` > 0 of available money aside for a lease.
 * @throws {BalanceError} when it is not available. (Debts imply that nothing is.)
 */
export function leaseOut<B extends Money>(balance: B, amount: bigint): B {
  if (amount > balance.available) throw new BalanceError('more is leased than is available');
  return { ...balance, available: balance.available - amount, leased: balance.leased + amount };
}

/** Gives back `amount` >= 0 of a lease's rest, which is in `from`. */
export function giveBack<B extends Money>(balance: B, amount: bigint, from: 'leased' | 'quarantined'): B {
  return free({ ...balance, [from]: balance[from] - amount }, amount);
}

/** The rest of a lease whose Redis history is gone. */
export function quarantine<B extends Money>(balance: B, amount: bigint): B {
  return { ...balance, leased: balance.leased - amount, quarantined: balance.quarantined + amount };
}

/**
 * Posts `delta` (negative when a final amount is below the estimate) of which `fromLease` (same meaning of the sign)
 * changes the lease's rest in `from`; what the lease does not cover is taken from available, then uncollected.
 */
export function postSpend<B extends Money>(
  balance: B,
  delta: bigint,
  fromLease: bigint,
  from: 'leased' | 'quarantined',
): B {
  const posted = { ...balance, posted: balance.posted + delta, [from]: balance[from] - fromLease };
  const over = delta - fromLease;
  if (over >= 0n) return take(posted, over, 'uncollected');
  // What comes back undoes what records took, in reverse order: uncollected before receivable. With the order of `free`,
  // an estimate and its final would lead elsewhere than the final alone.
  const undone = min(posted.uncollected, -over);
  return free({ ...posted, uncollected: posted.uncollected - undone }, -over - undone);
}

export interface Entry {
  bucket: MoneyBucket;
  /** Signed as in `entries`: growth of credited, receivable and uncollected is negative. */
  amountNusd: bigint;
}

const CREDIT_SIDE: ReadonlySet<MoneyBucket> = new Set(['credited', 'receivable', 'uncollected']);

/** The entries that turn one balance into the other; empty when they are equal. */
export function entriesBetween(before: Money, after: Money): Entry[] {
  const entries: Entry[] = [];
  for (const bucket of MONEY_BUCKETS) {
    const change = after[bucket] - before[bucket];
    if (change !== 0n) entries.push({ bucket, amountNusd: CREDIT_SIDE.has(bucket) ? -change : change });
  }
  return entries;
}

/** The balance that a list of entries leads to. */
export function applyEntries(balance: Money, entries: readonly Entry[]): Money {
  const after: Record<MoneyBucket, bigint> = { ...balance };
  for (const { bucket, amountNusd } of entries) after[bucket] += CREDIT_SIDE.has(bucket) ? -amountNusd : amountNusd;
  return after;
}
