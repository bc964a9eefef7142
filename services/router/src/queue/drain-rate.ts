/** How fast a line moves: requests per second, over the last half minute or so. */
const TAU_MS = 15_000;
/** Two tell nothing, three of just now do. */
const LEAST_SEEN = 2.5;

export class DrainRate {
  private weight = 0;
  private atMs: number | null = null;
  private firstMs: number | null = null;

  note(nowMs: number): void {
    this.weight = this.decayed(nowMs) + 1;
    this.atMs = nowMs;
    this.firstMs ??= nowMs;
  }

  /** Per millisecond; null when too little was seen lately. */
  read(nowMs: number): number | null {
    const weight = this.decayed(nowMs);
    if (weight < LEAST_SEEN || this.firstMs === null) return null;
    // Since the beginning, where that is shorter than the memory.
    const spanMs = TAU_MS * (1 - Math.exp(-(nowMs - this.firstMs) / TAU_MS));
    return spanMs <= 0 ? null : weight / spanMs;
  }

  /** Until `count` more have gone; null when nobody knows. */
  waitMs(count: number, nowMs: number): number | null {
    const rate = this.read(nowMs);
    return rate === null ? null : count / rate;
  }

  private decayed(nowMs: number): number {
    return this.atMs === null ? 0 : this.weight * Math.exp(-(nowMs - this.atMs) / TAU_MS);
  }
}
