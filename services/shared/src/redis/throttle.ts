/** Counting attempts per name and window, for everything that must not be tried without end. */
import type { Clock } from '../runtime/clock.ts';
import type { RedisClient } from './client.ts';
import { globalKeys } from './keys.ts';
import type { CallGuard } from './money-context.ts';

export interface ThrottleRule {
  /** Attempts per window. */
  limit: number;
  windowMs: number;
}

/** While Redis is away each process counts for itself, in at most this many names. */
const LOCAL_NAMES = 10_000;

export class Throttle {
  readonly #redis: RedisClient;
  readonly #guard: CallGuard;
  readonly #clock: Clock;
  readonly #local = new Map<string, { count: number; endsMs: number }>();

  constructor(redis: RedisClient, guard: CallGuard, clock: Clock) {
    this.#redis = redis;
    this.#guard = guard;
    this.#clock = clock;
  }

  /** Null when one more attempt is allowed (it is not counted by this), else the wait in ms. */
  async blocked(name: string, rule: ThrottleRule): Promise<number | null> {
    const key = globalKeys.throttle(name);
    try {
      const [count, ttlMs] = await this.#guard(() => Promise.all([this.#redis.get(key), this.#redis.pttl(key)]));
      return Number(count ?? 0) >= rule.limit ? Math.max(ttlMs, 1_000) : null;
    } catch {
      const local = this.#local.get(name);
      if (!local || local.endsMs <= this.#clock.nowMs() || local.count < rule.limit) return null;
      return local.endsMs - this.#clock.nowMs();
    }
  }

  /** Counts one attempt. The window begins with its first. */
  async count(name: string, rule: ThrottleRule): Promise<void> {
    const key = globalKeys.throttle(name);
    try {
      await this.#guard(
        () => this.#redis.multi().set(key, '0', 'PX', rule.windowMs, 'NX').incr(key).exec() as Promise<unknown>,
      );
    } catch {
      const nowMs = this.#clock.nowMs();
      const local = this.#local.get(name);
      if (this.#local.size >= LOCAL_NAMES && !local) this.#local.clear();
      if (local && local.endsMs > nowMs) local.count += 1;
      else this.#local.set(name, { count: 1, endsMs: nowMs + rule.windowMs });
    }
  }

  async forget(name: string): Promise<void> {
    this.#local.delete(name);
    await this.#guard(() => this.#redis.del(globalKeys.throttle(name))).catch(() => {});
  }
}
