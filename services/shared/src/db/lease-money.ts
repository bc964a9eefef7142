/**
 * The arithmetic of one lease row. Pure. Two figures decide: its cap (what of the grant was not given back) and the sum
 * of the amounts settled against it. `settled` is the part of that sum that the cap covers, `overdrawn` the rest; so a
 * lease's figures do not depend on the order in which records come.
 */
import type { Selectable } from 'kysely';
import type { Schema } from './schema.ts';

export type LeaseRow = Selectable<Schema['leases']>;
export type LeaseMoney = Pick<LeaseRow, 'granted' | 'returned' | 'released' | 'settled' | 'overdrawn' | 'state'>;

const min = (a: bigint, b: bigint) => (a < b ? a : b);

/** What the lease still holds back of its account's money. */
export function leaseRest(lease: LeaseMoney): bigint {
  return lease.granted - lease.returned - lease.released - lease.settled;
}

/** The balance column that a lease's rest is in. A closed lease has none. */
export function restColumn(lease: LeaseMoney): 'leased' | 'quarantined' {
  return lease.state === 'open' ? 'leased' : 'quarantined';
}

function rebalance<L extends LeaseMoney>(lease: L, sum: bigint): L {
  const cap = lease.granted - lease.returned - lease.released;
  const settled = min(sum, cap);
  return { ...lease, settled, overdrawn: sum - settled };
}

/**
 * Adds `delta` to what was settled against the lease (negative when a final amount is below its estimate).
 * `fromLease` is the change that the lease's rest pays for. A closed lease keeps nothing: what it gets back it gives on.
 */
export function settleOnLease<L extends LeaseMoney>(lease: L, delta: bigint): { lease: L; fromLease: bigint } {
  const after = rebalance(lease, lease.settled + lease.overdrawn + delta);
  if (lease.state === 'closed') {
    return { lease: { ...after, released: after.released + leaseRest(after) }, fromLease: 0n };
  }
  return { lease: after, fromLease: after.settled - lease.settled };
}

/**
 * Redis's cumulative `returned` as of now (MONEY.md 1.4). `freed` is what becomes spendable: the difference, less what
 * finals above their estimates have used of the lease's rest meanwhile.
 */
export function returnOnLease<L extends LeaseMoney>(lease: L, returnedTotal: bigint): { lease: L; freed: bigint } {
  const returned = min(returnedTotal > lease.returned ? returnedTotal : lease.returned, lease.granted - lease.released);
  const after = rebalance({ ...lease, returned }, lease.settled + lease.overdrawn);
  return { lease: after, freed: leaseRest(lease) - leaseRest(after) };
}

/** Releases all of the rest but `keep`. */
export function releaseLease<L extends LeaseMoney>(lease: L, keep: bigint): { lease: L; freed: bigint } {
  const rest = leaseRest(lease);
  const freed = rest > keep ? rest - keep : 0n;
  return { lease: { ...lease, released: lease.released + freed }, freed };
}
