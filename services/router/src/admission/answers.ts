/** The keeper's answers, by account: who waits for a lease is woken, and finds an answer that came a moment before. */
import type { Clock } from '@tollgate/shared/runtime/clock';

const REMEMBER_MS = 2_000;

export class Answers {
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly recent = new Map<string, number>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A message of the answer channel. */
  arrived(accountId: string): void {
    const nowMs = this.clock.monotonicMs();
    this.recent.delete(accountId);
    this.recent.set(accountId, nowMs);
    this.forgetOld(nowMs);
    const waiters = this.waiting.get(accountId);
    this.waiting.delete(accountId);
    for (const wake of waiters ?? []) wake();
  }

  /** Resolves when an answer comes, has come since `sinceMs`, or after `timeoutMs`. */
  wait(accountId: string, sinceMs: number, timeoutMs: number): Promise<void> {
    const last = this.recent.get(accountId);
    if (last !== undefined && last >= sinceMs) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.waiting.get(accountId) ?? new Set();
      const wake = () => {
        timer.cancel();
        waiters.delete(wake);
        if (waiters.size === 0 && this.waiting.get(accountId) === waiters) this.waiting.delete(accountId);
        resolve();
      };
      const timer = this.clock.setTimeout(wake, timeoutMs);
      waiters.add(wake);
      this.waiting.set(accountId, waiters);
    });
  }

  private forgetOld(nowMs: number): void {
    for (const [accountId, atMs] of this.recent) {
      if (nowMs - atMs < REMEMBER_MS) return;
      this.recent.delete(accountId);
    }
  }
}
