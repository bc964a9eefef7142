/**
 * Batches through BullMQ. The queue spreads the work and Postgres knows what is to be done: a sweep puts back what a flushed
 * Redis has forgotten, and a job that runs twice does nothing twice.
 */
import type { BatchStore } from '@tollgate/shared/db/batch-store';
import { batchQueue, jobOptions } from '@tollgate/shared/queue/queues';
import { QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { Queue, Worker } from 'bullmq';
import { connectQueue } from '../jobs.ts';
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
  enqueue(id: string): Promise<void>;
  stop(): Promise<void>;
}

const SWEEP_BATCHES = 1_000;

export function startBatchJobs(parts: BatchJobsParts): BatchJobs {
  const { logger, clock, lockMs } = parts;
  const queueConnection = connectQueue(parts.redisUrl, 'tollgate-batches');
  const workerConnection = connectQueue(parts.redisUrl, 'tollgate-batch-worker');
  const stopping = new AbortController();
  const queue = new Queue<{ batchId: string }>(batchQueue.name, { connection: queueConnection, prefix: QUEUE_PREFIX });
  const worker = new Worker<{ batchId: string }>(
    batchQueue.name,
    async ({ data }) => {
      try {
        await parts.run(data.batchId, stopping.signal);
      } catch (error) {
        // It stays unfinished, and the sweep asks for it again.
        logger.warn({ err: error, batchId: data.batchId }, 'a batch waits for its next round');
      }
    },
    {
      connection: workerConnection,
      prefix: QUEUE_PREFIX,
      concurrency: parts.concurrency,
      lockDuration: lockMs,
      stalledInterval: lockMs,
      // A process that is killed now and then is no reason to give a batch up.
      maxStalledCount: 1_000,
    },
  );
  const onError = (error: unknown) => logger.debug({ err: error }, 'queue connection');
  queue.on('error', onError);
  worker.on('error', onError);

  async function enqueue(id: string): Promise<void> {
    // While Redis is away BullMQ would keep the call waiting; the sweep asks later.
    if (queueConnection.status !== 'ready') return;
    // One job per batch however often it is asked for; it leaves nothing behind, so it can be asked for again.
    const options = { ...jobOptions(batchQueue), jobId: id, removeOnComplete: true, removeOnFail: true };
    await queue.add('batch', { batchId: id }, options).catch(onError);
  }

  const sweep: Loop = startLoop({
    clock,
    everyMs: parts.sweepMs,
    onError: (error) => logger.warn({ err: error }, 'batches wait for the next sweep'),
    async round() {
      for (const id of await parts.store.unfinished(SWEEP_BATCHES)) await enqueue(id);
    },
  });
  queueConnection.once('ready', () => sweep.wake());

  return {
    enqueue,
    async stop() {
      stopping.abort(new Error('stopping'));
      const connections = [queueConnection, workerConnection];
      const cut = clock.setTimeout(() => {
        for (const connection of connections) connection.disconnect();
      }, 3_000);
      await sweep.stop();
      await worker.close(queueConnection.status !== 'ready').catch(onError);
      await queue.close().catch(onError);
      cut.cancel();
      for (const connection of connections) connection.disconnect();
    },
  };
}
