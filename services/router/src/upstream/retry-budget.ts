/**
 * Second tries as a share of requests: a fleet that fails must not be sent twice the work. A token bucket: every request
 * adds a tenth, a second try takes one. A router with little traffic has a small reserve that comes back with time.
 */
export interface RetryBudgetOptions {
  share: number;
  /** Never so empty that a few requests in a quiet hour cannot be tried again. */
  reserve: number;
  reservePerSecond: number;
  most: number;
}

export const RETRY_BUDGET_DEFAULTS: RetryBudgetOptions = { share: 0.1, reserve: 10, reservePerSecond: 1, most: 500 };

export class RetryBudget {
  private readonly options: RetryBudgetOptions;
  private readonly nowMs: () => number;
  private tokens: number;
  private atMs: number;

  /** `nowMs` is monotonic. */
  constructor(options: RetryBudgetOptions, nowMs: () => number) {
    this.options = options;
    this.nowMs = nowMs;
    this.tokens = options.reserve;
    this.atMs = nowMs();
  }

  /** A request came. */
  deposit(): void {
    this.tokens = Math.min(this.options.most, this.tokens + this.options.share);
  }

  /** False when there have been too many second tries. */
  withdraw(): boolean {
    const { reserve, reservePerSecond } = this.options;
    const nowMs = this.nowMs();
    if (this.tokens < reserve) {
      this.tokens = Math.min(reserve, this.tokens + ((nowMs - this.atMs) / 1_000) * reservePerSecond);
    }
    this.atMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
