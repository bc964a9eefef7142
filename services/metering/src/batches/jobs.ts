/**
 * Batches through BullMQ. The queue spreads the work and Postgres knows what is to be done: a sweep puts back what a flushed
 * Redis has forgotten, and a job that runs twice does nothing twice.
 */
import type { BatchStore } from '@tollgate/shared/db/batch-store';
import { openJobLine } from '@tollgate/shared/queue/job-line';
import { batchQueue } from '@tollgate/shared/queue/queues';
import { QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type Loop, startLoop } from '../loop.ts';

export interface BatchJobsParts {
  redisUrl: string;
  store: Pick<BatchStore, 'unfinished'>;
  run: (id: string, signal: AbortSignal) => Promise<void>;
  clock: Clock;
  logger: Logger;
  /** Batches at the same time in this process. */
  concurrency: number;
  /** A job whose process is silent for so long is given to another. */
  lockMs: number;
  sweepMs: number;
}

export interface BatchJobs {
  /** When Redis is away the sweep asks later. */
  enqueue(id: string): Promise<void>;
  stop(): Promise<void>;
}

const SWEEP_BATCHES = 1_000;
/** A process that is killed now and then is no reason to give a batch up. */
const MAX_STALLS = 1_000;

/** One job per batch however often it is asked for; it leaves nothing behind, so it can be asked for again. */
const jobOf = (batchId: string) => ({
  name: 'batch',
  data: { batchId },
  options: { jobId: batchId, removeOnComplete: true, removeOnFail: true },
});

export function startBatchJobs(parts: BatchJobsParts): BatchJobs {
  const { logger, clock } = parts;
  const stopping = new AbortController();
  const line = openJobLine<{ batchId: string }>({
    definition: batchQueue,
    redisUrl: parts.redisUrl,
    keyPrefix: QUEUE_PREFIX,
    connectionName: 'tollgate-batches',
    run: async ({ data }) => {
      try {
        await parts.run(data.batchId, stopping.signal);
      } catch (error) {
        // It stays unfinished, and the sweep asks for it again.
        logger.warn({ err: error, batchId: data.batchId }, 'a batch waits for its next round');
      }
    },
    concurrency: parts.concurrency,
    lockMs: parts.lockMs,
    maxStalls: MAX_STALLS,
    clock,
    onReady: () => sweep.wake(),
    onError: (error) => logger.debug({ err: error }, 'queue connection'),
  });
  const sweep: Loop = startLoop({
    clock,
    everyMs: parts.sweepMs,
    onError: (error) => logger.warn({ err: error }, 'batches wait for the next sweep'),
    round: async () => void (await line.add((await parts.store.unfinished(SWEEP_BATCHES)).map(jobOf))),
  });
  return {
    enqueue: async (id) => void (await line.add([jobOf(id)])),
    async stop() {
      stopping.abort(new Error('stopping'));
      await sweep.stop();
      await line.stop();
    },
  };
}
