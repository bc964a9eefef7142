/** How much an account's lease gets. Pure. */
import { MAX_LEASE_NUSD, NUSD_PER_USD } from '@tollgate/shared/domain/money';

export interface SizingInput {
  availableNusd: bigint;
  /** Free in Redis now. */
  freeNusd: bigint;
  /** Granted to the present lease so far; 0 without one. */
  grantedNusd: bigint;
  /** Largest amount that an admission asked for; 0 = only running low. */
  neededNusd: bigint;
  /** Recent use, nano-USD per minute. */
  burnPerMinuteNusd: bigint;
  /** A lease is filled up to at least this. */
  minLeaseNusd: bigint;
}

/**
 * Below this an account's whole credit may be leased: halving it again and again would only make refusals
 * (MONEY.md 1.6).
 */
const SMALL_ACCOUNT_NUSD = NUSD_PER_USD;
/** Needs are told one at a time, the largest of those that wait: the others are probably about as large. */
const NEEDS_AT_ONCE = 8n;

const byAmount = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);
const max = (...values: bigint[]) => values.sort(byAmount).at(-1)!;
const min = (...values: bigint[]) => values.sort(byAmount)[0]!;

/**
 * The amount to add: enough for a minute of recent use and for the need, at most half of what is available (all of it
 * for a small account); but what is needed is always given when available covers it.
 */
export function grantSize(input: SizingInput): bigint {
  const { availableNusd, freeNusd, grantedNusd, neededNusd, burnPerMinuteNusd, minLeaseNusd } = input;
  const lacking = max(neededNusd - freeNusd, 0n);
  // Running low without a figure: what is free is doubled, which ends above any low-water mark after a few rounds.
  const level = neededNusd > 0n ? neededNusd * NEEDS_AT_ONCE : freeNusd * 2n;
  const wanted = max(lacking, max(level, burnPerMinuteNusd, minLeaseNusd) - freeNusd);
  const share = availableNusd < SMALL_ACCOUNT_NUSD ? availableNusd : availableNusd / 2n;
  const allowed = lacking <= availableNusd ? max(share, lacking) : share;
  return max(min(wanted, allowed, MAX_LEASE_NUSD - grantedNusd), 0n);
}

/** Use over time: an exponential mean of an account's spending, from the totals that are read now and then. */
export class BurnMeter {
  readonly #accounts = new Map<string, { leaseId: string; usedNusd: bigint; atMs: number; perMs: number }>();
  readonly #memoryMs: number;

  constructor(memoryMs = 30_000) {
    this.#memoryMs = memoryMs;
  }

  /** `usedNusd` = held + spent of the lease so far, cumulative; `atMs` monotonic. */
  see(accountId: string, leaseId: string, usedNusd: bigint, atMs: number): void {
    const known = this.#accounts.get(accountId);
    if (known?.leaseId !== leaseId) {
      // A new lease goes on at the old speed.
      this.#accounts.set(accountId, { leaseId, usedNusd, atMs, perMs: known?.perMs ?? 0 });
      return;
    }
    const passedMs = atMs - known.atMs;
    if (passedMs <= 0) return;
    const speed = Math.max(Number(usedNusd - known.usedNusd), 0) / passedMs;
    const weight = 1 - Math.exp(-passedMs / this.#memoryMs);
    const perMs = known.perMs + (speed - known.perMs) * weight;
    this.#accounts.set(accountId, { leaseId, usedNusd, atMs, perMs });
  }

  perMinuteNusd(accountId: string): bigint {
    return BigInt(Math.round((this.#accounts.get(accountId)?.perMs ?? 0) * 60_000));
  }

  forget(accountId: string): void {
    this.#accounts.delete(accountId);
  }
}
