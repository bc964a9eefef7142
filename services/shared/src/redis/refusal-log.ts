/**
 * What routers refused, on its way to the request log: a bounded stream, written in batches beside the hot path. It is
 * for people only: nothing is billed by it, and when Redis or metering is away too long the oldest are lost.
 */
import type { RedisClient } from './client.ts';
import { globalKeys } from './keys.ts';
import type { CallGuard } from './money-context.ts';

/** Batches kept until metering takes them. */
const MAX_BATCHES = 20_000;

interface RefusalClient {
  xadd(...args: (string | number)[]): Promise<unknown>;
}

export class RefusalLog {
  readonly #redis: RedisClient;
  readonly #guard: CallGuard;

  constructor(redis: RedisClient, guard: CallGuard) {
    this.#redis = redis;
    this.#guard = guard;
  }

  /** `batch`: JSON lines as the router wrote them. */
  async append(batch: string): Promise<void> {
    const client = this.#redis as unknown as RefusalClient;
    await this.#guard(() => client.xadd(globalKeys.refusals, 'MAXLEN', '~', MAX_BATCHES, '*', 'b', batch));
  }

  /** Batches after an id, oldest first. */
  async read(afterId: string, count: number): Promise<{ id: string; batch: string }[]> {
    const rows = await this.#guard(() => this.#redis.xrange(globalKeys.refusals, `(${afterId}`, '+', 'COUNT', count));
    return rows.map(([id, fields]) => ({ id, batch: fields[1] ?? '' }));
  }

  /** Drops everything up to and including an id. */
  async trim(upToId: string): Promise<void> {
    const [ms, seq] = upToId.split('-');
    await this.#guard(() => this.#redis.xtrim(globalKeys.refusals, 'MINID', `${ms}-${BigInt(seq ?? '0') + 1n}`));
  }
}
