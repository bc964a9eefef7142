/**
 * Outbox to ledger. A plain timer loop, so that it works whatever happened to BullMQ's keys (MONEY.md 4.1). Per batch:
 *
 *   read (Redis) -> BEGIN, advisory lock, fold, COMMIT (Postgres) -> acknowledge + confirm (Redis)
 *
 * A process may die between any two of these:
 *  - after the read: nothing has happened; the records are still in the stream.
 *  - inside the transaction: Postgres rolls back; as above.
 *  - after COMMIT, answer lost: we do not know; the records are read again, the fold calls them repeats, they are
 *    acknowledged. What keeps postings exactly once is `settlements` and UNIQUE (kind, idem_key), nothing in Redis.
 *  - after COMMIT, before the acknowledgement: the same.
 *  - inside the acknowledgement: one script; it ran (done) or it did not (as above).
 * A confirmation is only ever written after the commit, so a router drops no record that Postgres might not have. When
 * the Redis history changes between read and acknowledgement the script refuses: the records may be gone there
 * (Postgres has them) or be there again (repeats), and routers send theirs again to the new outbox.
 */
import type { Db } from '@tollgate/shared/db/client';
import { tryLock, tx } from '@tollgate/shared/db/tx';
import type { RedisClient } from '@tollgate/shared/redis/client';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { waitingOutboxes } from '../buckets.ts';
import { eachLimited, type Loop, startLoop } from '../loop.ts';
import type { MeteringMetrics } from '../metrics.ts';
import type { Recorded, Recorder } from './recorder.ts';

export interface DrainDeps {
  db: Db;
  redis: RedisClient;
  scripts: MoneyScripts;
  recorder: Pick<Recorder, 'record'>;
  clock: Clock;
  logger: Logger;
  metrics: MeteringMetrics;
  /** Records per transaction. */
  batchSize: number;
  /** Pause between looks at the buckets when nothing was waiting. */
  everyMs: number;
  /** Buckets worked on at a time: no more than database connections to spare. */
  width: number;
}

/** Where a test lets the process "die": called before each step of a batch. */
export type DrainStep = 'read' | 'transaction' | 'acknowledge';

export class Drain {
  readonly #deps: DrainDeps;
  #loop: Loop | undefined;
  /** Test seam: throws to break off at a step. */
  onStep: (step: DrainStep, bucket: number) => void = () => {};

  constructor(deps: DrainDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { clock, everyMs, logger, metrics } = this.#deps;
    this.#loop = startLoop({
      clock,
      everyMs,
      round: async () => {
        if ((await this.drainAll()) > 0) this.wake();
      },
      onError: (error) => {
        metrics.loopErrorsTotal.inc({ loop: 'drain' });
        logger.warn({ err: error }, 'drain round failed');
      },
    });
  }

  /** A hint that something is waiting. */
  wake(): void {
    this.#loop?.wake();
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  /** One batch of every bucket that has records. Returns how many records went through. */
  async drainAll(): Promise<number> {
    const { redis, scripts, metrics, logger, width } = this.#deps;
    const waiting = await waitingOutboxes(redis, scripts.bucketCount);
    metrics.outboxLength.set(waiting.reduce((sum, { size }) => sum + size, 0));
    let drained = 0;
    await eachLimited(
      waiting,
      width,
      async ({ bucket }) => {
        const batch = await this.drainBatch(bucket);
        drained += batch.drained;
      },
      (error, { bucket }) => {
        metrics.drainErrorsTotal.inc();
        logger.warn({ err: error, bucket }, 'batch put back');
      },
    );
    return drained;
  }

  /**
   * Drains until everything that was in the bucket's outbox at the beginning is in Postgres. False when another worker
   * has the bucket at present.
   */
  async drainThrough(bucket: number): Promise<boolean> {
    let left = Number.POSITIVE_INFINITY;
    for (;;) {
      const { drained, length, busy } = await this.drainBatch(bucket);
      if (busy) return false;
      // The first read tells how many were there; those added meanwhile do not prolong the wait.
      left = Math.min(left, length) - drained;
      if (drained === 0 || left <= 0) return true;
    }
  }

  /** One batch of one bucket. */
  async drainBatch(bucket: number): Promise<{ drained: number; length: number; busy: boolean }> {
    const { db, scripts, recorder, metrics, batchSize, clock } = this.#deps;
    this.onStep('read', bucket);
    const { history, entries, length } = await scripts.drainRead(bucket, batchSize);
    if (entries.length === 0) return { drained: 0, length, busy: false };
    const startedMs = clock.monotonicMs();
    const texts = entries.map(({ id, text }) => ({ source: `${bucket}|${history}|${id}`, text, streamId: id }));
    this.onStep('transaction', bucket);
    const recorded = await tx(db, async (trx): Promise<Recorded | null> => {
      // Two workers on one bucket would not harm the ledger, only do the work twice.
      if (!(await tryLock(trx, 'drain', bucket))) return null;
      return recorder.record(trx, texts);
    });
    if (!recorded) return { drained: 0, length, busy: true };
    recorded.report();
    metrics.drainSeconds.observe((clock.monotonicMs() - startedMs) / 1000);
    this.onStep('acknowledge', bucket);
    await scripts.drainAck(bucket, history, entries);
    await this.forgetVerdicts(recorded.freed);
    return { drained: entries.length, length, busy: false };
  }

  /** A final below its estimate makes credit available: a cached "exhausted" must not outlive that (MONEY.md 5.1). */
  async forgetVerdicts(freed: Recorded['freed']): Promise<void> {
    for (const { accountId, version } of freed) {
      await this.#deps.scripts.clearVerdict(accountId, version);
    }
  }
}
