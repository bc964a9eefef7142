/**
 * Who asks for a lease, and in which order they are answered. A need arrives by pub/sub (fast, may be lost) and stands in
 * the bucket's need hash (looked through every second). One account is served by one task at a time; needs that come
 * meanwhile are answered together afterwards.
 */
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { RedisClient } from '@tollgate/shared/redis/client';
import { bucketOf } from '@tollgate/shared/redis/keys';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { waitingNeeds } from '../buckets.ts';
import { eachLimited } from '../loop.ts';
import type { MeteringMetrics } from '../metrics.ts';
import type { LeaseDesk } from './lease-desk.ts';

export interface NeedsDeps {
  desk: LeaseDesk;
  redis: RedisClient;
  scripts: MoneyScripts;
  clock: Clock;
  logger: Logger;
  metrics: MeteringMetrics;
  /** Accounts served at a time. */
  width: number;
  /** An account that could be given nothing is looked at again after this: clients of an empty account are many. */
  shortPauseMs: number;
}

interface Waiting {
  neededNusd: bigint;
  sinceMs: number;
}

export class Needs {
  readonly #deps: NeedsDeps;
  /** Accounts to be served, in order of arrival. */
  readonly #queue = new Map<AccountId, Waiting>();
  readonly #busy = new Set<AccountId>();
  readonly #taking = new Map<number, { again: boolean; done: Promise<void> }>();
  #running = 0;
  #stopped = false;
  readonly #idle: (() => void)[] = [];

  constructor(deps: NeedsDeps) {
    this.#deps = deps;
  }

  /** A hint that this account asked. */
  hint(accountId: string): void {
    void this.#take(bucketOf(accountId, this.#deps.scripts.bucketCount));
  }

  /** Looks through all buckets. */
  async sweep(): Promise<void> {
    const { redis, scripts } = this.#deps;
    const waiting = await waitingNeeds(redis, scripts.bucketCount);
    await eachLimited(
      waiting,
      16,
      ({ bucket }) => this.#take(bucket),
      () => {},
    );
  }

  /** No more work is begun; resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.clear();
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** One taker per bucket: many hints of one burst make one call, and one more for those that came during it. */
  #take(bucket: number): Promise<void> {
    const underWay = this.#taking.get(bucket);
    if (underWay) {
      underWay.again = true;
      return underWay.done;
    }
    const taker = { again: false, done: Promise.resolve() };
    taker.done = (async () => {
      do {
        taker.again = false;
        await this.#takeOnce(bucket);
      } while (taker.again);
      this.#taking.delete(bucket);
    })();
    this.#taking.set(bucket, taker);
    return taker.done;
  }

  async #takeOnce(bucket: number): Promise<void> {
    const { scripts, logger, clock } = this.#deps;
    if (this.#stopped) return;
    try {
      for (const [accountId, neededNusd] of await scripts.takeNeeds(bucket)) {
        this.#enqueue(accountId, { neededNusd, sinceMs: clock.monotonicMs() });
      }
    } catch (error) {
      logger.debug({ err: error, bucket }, 'needs not read');
    }
  }

  #enqueue(accountId: AccountId, waiting: Waiting): void {
    const known = this.#queue.get(accountId);
    if (!known) this.#queue.set(accountId, waiting);
    else if (waiting.neededNusd > known.neededNusd) known.neededNusd = waiting.neededNusd;
    this.#pump();
  }

  #pump(): void {
    for (const [accountId, waiting] of this.#queue) {
      if (this.#stopped || this.#running >= this.#deps.width) return;
      if (this.#busy.has(accountId)) continue;
      this.#queue.delete(accountId);
      this.#busy.add(accountId);
      this.#running++;
      void this.#serve(accountId, waiting);
    }
  }

  async #serve(accountId: AccountId, waiting: Waiting): Promise<void> {
    const { desk, clock, logger, metrics, shortPauseMs } = this.#deps;
    let pauseMs = 0;
    try {
      const answer = await desk.serve(accountId, waiting.neededNusd);
      metrics.needsTotal.inc({ answer });
      if (answer !== 'covered') pauseMs = shortPauseMs;
      // What was asked while this was answered is answered too; whoever is still short after hearing that asks again.
      else if ((this.#queue.get(accountId)?.neededNusd ?? 0n) <= waiting.neededNusd) this.#queue.delete(accountId);
    } catch (error) {
      // The router asks again, or the sweep finds the need that a client repeats.
      metrics.needsTotal.inc({ answer: 'failed' });
      logger.warn({ err: error, accountId }, 'need not answered');
    }
    metrics.needSeconds.observe((clock.monotonicMs() - waiting.sinceMs) / 1000);
    this.#running--;
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    if (pauseMs > 0 && !this.#stopped) clock.setTimeout(() => this.#free(accountId), pauseMs).unref();
    else this.#free(accountId);
    this.#pump();
  }

  #free(accountId: AccountId): void {
    this.#busy.delete(accountId);
    this.#pump();
  }
}
