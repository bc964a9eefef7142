import type { LeaseId } from './ids.ts';
import { MAX_LEASE_NUSD, type Nusd } from './money.ts';

/** A clamp leaves at least so many tokens per choice, or as many as were asked for (MONEY.md 5.2). */
export const CLAMP_FLOOR_TOKENS = 256;

/** An account's credit as one `need_lease` answer shows it: the lease in Redis and the keeper's last word. */
export interface CreditView {
  why: 'missing' | 'expired' | 'history' | 'short';
  lease: {
    leaseId: LeaseId;
    grantedNusd: Nusd;
    freeNusd: Nusd;
    heldNusd: Nusd;
    spentNusd: Nusd;
    returnedNusd: Nusd;
  } | null;
  verdict: {
    /** The account's open lease in Postgres; null = none. */
    leaseId: LeaseId | null;
    grantedNusd: Nusd;
    returnedNusd: Nusd;
    availableNusd: Nusd;
    quarantinedNusd: Nusd;
    /** Redis clock when the keeper began to look. */
    atMs: number;
  } | null;
  /** Redis clock of the first answer that this request got. */
  askedAtMs: number;
}

/** What a request asks for. */
export interface CreditDemand {
  /** Output limit asked for, per choice, at least 1. */
  maxTokens: number;
  /** The client's `min_tokens`, 0 = none. */
  minTokens: number;
  /** A schema or a forced tool: half an answer is worthless, so the limit is never lowered. */
  wholeAnswerOnly: boolean;
  /** The hold that an output limit per choice costs, all choices and the prompt included; never falls as it grows. */
  holdNusd: (maxTokens: number) => Nusd;
}

export type CreditDecision =
  /** The keeper's answer is missing or older than what Redis shows, or it can and will grant: ask again. */
  | { kind: 'wait' }
  /** Admit with this output limit and hold instead, and tell the client. If that needs a lease again: as `wait`. */
  | { kind: 'clamp'; maxTokens: number; amountNusd: Nusd }
  /** 402: the account's whole credit does not pay the least that this request accepts. */
  | { kind: 'insufficient'; requiredNusd: Nusd; availableNusd: Nusd }
  /** 429 `credit_in_use`: it would, were the account's own holds not open. */
  | { kind: 'in_use' }
  /** 503: it would, were a part of the credit not quarantined; or it is dearer than the largest lease. */
  | { kind: 'unavailable' };

/**
 * What to answer when a lease did not cover a request (MONEY.md 5.1, 5.2). Pure: the caller asks again on `wait` until its
 * patience ends (then 503 `credit_unavailable`).
 *
 * True credit T = available + quarantined + granted - returned - spent, of which the first four are Postgres's and
 * `spent` is Redis's; it does not change when money moves between balance, lease and holds. 402 needs T below the least
 * acceptable hold: the one for min(asked, 256) or `min_tokens`; all that was asked for when only a whole answer counts.
 * T may come from an old verdict (a credit clears it). How T is shared out may not: quarantined money is released, free
 * money granted; so anything but 402 waits for a verdict that is younger than the request.
 */
export function decideCredit(view: CreditView, demand: CreditDemand): CreditDecision {
  const floorTokens = clampFloor(demand);
  const requiredNusd = demand.holdNusd(floorTokens);
  const credit = trueCredit(view);
  if (credit !== null && credit.totalNusd < requiredNusd) {
    return { kind: 'insufficient', requiredNusd, availableNusd: credit.totalNusd };
  }
  // No lease is ever larger than this, whatever the balance: what is dearer is lowered without asking.
  if (requiredNusd > MAX_LEASE_NUSD) return { kind: 'unavailable' };
  const tooDear = demand.holdNusd(demand.maxTokens) > MAX_LEASE_NUSD;
  const maxTokens = tooDear ? mostTokens(demand, floorTokens, MAX_LEASE_NUSD) : demand.maxTokens;
  const fullNusd = demand.holdNusd(maxTokens);
  const wait: CreditDecision = tooDear ? { kind: 'clamp', maxTokens, amountNusd: fullNusd } : { kind: 'wait' };
  if (credit === null) return wait;
  // The keeper has yet to extend the lease or to open another one.
  if (credit.dead) return wait;
  // The whole does not change when money moves between its parts, but the parts do: what follows needs a fresh look.
  if (view.verdict!.atMs < view.askedAtMs) return wait;

  const { spendableNusd, inTransitNusd, heldNusd } = credit;
  const short = credit.totalNusd < fullNusd;
  const wantedNusd = short ? requiredNusd : fullNusd;
  if (wantedNusd <= spendableNusd) {
    if (!short) return wait;
    const payable = mostTokens({ ...demand, maxTokens }, floorTokens, spendableNusd);
    return { kind: 'clamp', maxTokens: payable, amountNusd: demand.holdNusd(payable) };
  }
  // Taken back from the lease and not booked yet: it arrives by itself.
  if (wantedNusd <= spendableNusd + inTransitNusd) return wait;
  if (wantedNusd > spendableNusd + inTransitNusd + heldNusd) return { kind: 'unavailable' };
  // Holds are in its way, and so is a quarantine that alone would pay it: a lease that was replaced is released in a moment.
  return wantedNusd <= credit.totalNusd - heldNusd ? { kind: 'wait' } : { kind: 'in_use' };
}

/** The smallest output limit per choice that may stand in for the one asked for. */
export function clampFloor(demand: Pick<CreditDemand, 'maxTokens' | 'minTokens' | 'wholeAnswerOnly'>): number {
  if (demand.wholeAnswerOnly) return demand.maxTokens;
  return Math.max(Math.min(demand.maxTokens, CLAMP_FLOOR_TOKENS), Math.min(demand.minTokens, demand.maxTokens), 1);
}

interface Credit {
  totalNusd: Nusd;
  /** Free in the lease or grantable at once. */
  spendableNusd: Nusd;
  inTransitNusd: Nusd;
  heldNusd: Nusd;
  /** The lease in Redis cannot be spent: expired, or granted to another history. */
  dead: boolean;
}

/** Null when lease and verdict do not belong together: something is under way. */
function trueCredit({ why, lease, verdict }: CreditView): Credit | null {
  if (!verdict) return null;
  const unleasedNusd = verdict.availableNusd + verdict.quarantinedNusd;
  const dead = why === 'expired' || why === 'history';
  if (verdict.leaseId === null) {
    // Postgres has no open lease. One that is dead in Redis stands in its quarantine; a live one is news to the verdict.
    if (lease !== null && !dead) return null;
    const spendableNusd = verdict.availableNusd;
    return { totalNusd: unleasedNusd, spendableNusd, inTransitNusd: 0n, heldNusd: 0n, dead: false };
  }
  if (lease === null || lease.leaseId !== verdict.leaseId) return null;
  if (lease.grantedNusd !== verdict.grantedNusd) return null;
  const leasedNusd = verdict.grantedNusd - verdict.returnedNusd - lease.spentNusd;
  return {
    totalNusd: unleasedNusd + leasedNusd,
    spendableNusd: verdict.availableNusd + lease.freeNusd,
    inTransitNusd: lease.returnedNusd > verdict.returnedNusd ? lease.returnedNusd - verdict.returnedNusd : 0n,
    heldNusd: lease.heldNusd,
    dead,
  };
}

/** The largest limit between `floorTokens` and the one asked for whose hold `budgetNusd` pays: floor(rest / (n x price)). */
function mostTokens(demand: CreditDemand, floorTokens: number, budgetNusd: Nusd): number {
  let fits = floorTokens;
  let tooMany = demand.maxTokens + 1;
  while (tooMany - fits > 1) {
    const middle = fits + Math.floor((tooMany - fits) / 2);
    if (demand.holdNusd(middle) <= budgetNusd) fits = middle;
    else tooMany = middle;
  }
  return fits;
}
