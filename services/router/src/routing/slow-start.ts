/**
 * A worker that is new or has come back: its cache is empty, its kernels are cold, and to a policy it looks like the best
 * place in the fleet. For half a minute its cost is told higher than it is, less and less.
 */
const RAMP_MS = 30_000;
const FIRST_FACTOR = 4;

export class SlowStart {
  private sinceMs = Number.NEGATIVE_INFINITY;

  begin(nowMs: number): void {
    this.sinceMs = nowMs;
  }

  /** By how much its cost is multiplied: 1 when it is warm. */
  factor(nowMs: number): number {
    const left = 1 - (nowMs - this.sinceMs) / RAMP_MS;
    return left > 0 ? 1 + (FIRST_FACTOR - 1) * Math.min(1, left) : 1;
  }
}
