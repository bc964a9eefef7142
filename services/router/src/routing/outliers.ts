/**
 * Workers that answer, and badly: many errors among successes (a breaker sees only failures in a row), or first tokens
 * that come far later than those of the others. They are left out for a while, longer each time; never more than half
 * of a pool, and when so many are away that half of it is gone anyway, nobody is left out for this (panic floor).
 */
export interface OutlierOptions {
  /** Answers that must have been seen. */
  leastSamples: number;
  /** Share of failures above which a worker is one. */
  errorShare: number;
  /** Peak of (time to first token, seen / expected) above which it is one, if the median of the pool is below half. */
  slowness: number;
  firstEjectionMs: number;
  maxEjectionMs: number;
}

export const OUTLIER_DEFAULTS: OutlierOptions = {
  leastSamples: 8,
  errorShare: 0.5,
  slowness: 3,
  firstEjectionMs: 10_000,
  maxEjectionMs: 300_000,
};

const TAU_MS = 30_000;

/** What one worker's answers have been lately. */
export class Conduct {
  private good = 0;
  private bad = 0;
  private atMs = 0;
  private untilMs = Number.NEGATIVE_INFINITY;
  private ejections = 0;

  note(isGood: boolean, nowMs: number): void {
    this.decay(nowMs);
    if (isGood) this.good++;
    else this.bad++;
  }

  isOut(nowMs: number): boolean {
    return nowMs < this.untilMs;
  }

  /** Share of failures, null when too little is known. */
  errors(nowMs: number, leastSamples: number): number | null {
    this.decay(nowMs);
    const seen = this.good + this.bad;
    return seen < leastSamples ? null : this.bad / seen;
  }

  samples(nowMs: number): number {
    this.decay(nowMs);
    return this.good + this.bad;
  }

  /** Leaves it out, twice as long as the last time; what was seen of it is forgotten. */
  eject(nowMs: number, { firstEjectionMs, maxEjectionMs }: OutlierOptions): void {
    this.untilMs = nowMs + Math.min(maxEjectionMs, firstEjectionMs * 2 ** this.ejections);
    this.ejections++;
    this.good = 0;
    this.bad = 0;
  }

  /** Another process answers at its address: what the one before did is forgotten. */
  reset(): void {
    this.good = 0;
    this.bad = 0;
    this.ejections = 0;
    this.untilMs = Number.NEGATIVE_INFINITY;
  }

  /** It has behaved since it came back. */
  forgive(): void {
    this.ejections = 0;
  }

  private decay(nowMs: number): void {
    const weight = Math.exp(-Math.max(0, nowMs - this.atMs) / TAU_MS);
    this.good *= weight;
    this.bad *= weight;
    this.atMs = nowMs;
  }
}

/** One worker of a pool as the sweep sees it. */
export interface Member {
  readonly conduct: Conduct;
  /** It may be chosen, but for what is decided here. */
  readonly isAvailable: boolean;
  /** Seen / expected time to the first token, 1 = as expected. */
  readonly slowness: number;
}

/** Leaves out the worst of a pool; answers which. To be called some times a minute. */
export function sweep<M extends Member>(pool: readonly M[], nowMs: number, options: OutlierOptions): M[] {
  const usable = pool.filter(({ conduct, isAvailable }) => isAvailable && !conduct.isOut(nowMs));
  let mayGo = Math.floor(pool.length / 2) - (pool.length - usable.length);
  const ejected: M[] = [];
  const suspects = usable
    .map((member) => ({ member, badness: badness(member, usable, nowMs, options) }))
    .filter(({ badness: value }) => value > 0)
    .sort((a, b) => b.badness - a.badness);
  for (const { member } of suspects) {
    if (mayGo-- <= 0) break;
    member.conduct.eject(nowMs, options);
    ejected.push(member);
  }
  for (const { conduct } of usable) {
    const errors = conduct.errors(nowMs, options.leastSamples);
    if (errors !== null && errors < options.errorShare / 10 && !conduct.isOut(nowMs)) conduct.forgive();
  }
  return ejected;
}

/** How far beyond its bounds a worker is; 0: within them. */
function badness(member: Member, usable: readonly Member[], nowMs: number, options: OutlierOptions): number {
  const errors = member.conduct.errors(nowMs, options.leastSamples);
  if (errors !== null && errors > options.errorShare) return 10 + errors;
  if (member.conduct.samples(nowMs) < options.leastSamples || member.slowness <= options.slowness) return 0;
  const others = usable.filter((other) => other !== member).map(({ slowness }) => slowness);
  return others.length > 0 && median(others) < member.slowness / 2 ? member.slowness : 0;
}

/** The lower one of an even count. Sorts `values`. */
export function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)]!;
}

/** Those that take part in a choice: without the ejected ones, unless that left less than half of the pool. */
export function withoutOutliers<W extends { readonly conduct: Conduct }>(
  available: readonly W[],
  poolSize: number,
  nowMs: number,
): readonly W[] {
  let out = 0;
  for (const { conduct } of available) if (conduct.isOut(nowMs)) out++;
  if (out === 0 || (available.length - out) * 2 < poolSize) return available;
  return available.filter(({ conduct }) => !conduct.isOut(nowMs));
}
