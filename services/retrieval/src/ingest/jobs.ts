/**
 * Ingestion through BullMQ. The queue is a way to spread and repeat the work, Postgres knows what is to be done: a sweep puts
 * back what a flushed Redis has forgotten, and every job may run twice.
 */
import type { CollectionFileStore, IngestRef } from '@tollgate/shared/db/retrieval/collection-files';
import { AppError } from '@tollgate/shared/domain/errors';
import { ingestQueue, jobOptions } from '@tollgate/shared/queue/queues';
import { QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type Job, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { IngestEnd } from './ingest.ts';

export interface JobsDeps {
  redisUrl: string;
  files: CollectionFileStore;
  /** Reads one file. Throws what may succeed later. */
  run: (
    ref: IngestRef,
    progress: (done: number, total: number) => Promise<void>,
    signal: AbortSignal,
  ) => Promise<IngestEnd>;
  /** Writes a bad end onto the file. */
  fail: (ref: IngestRef, error: { code: string; message: string }) => Promise<void>;
  clock: Clock;
  logger: Logger;
  onEnd: (end: IngestEnd['kind']) => void;
  concurrency: number;
  /** A job whose reader is silent for so long is given to another. */
  lockMs: number;
  sweepMs: number;
}

export interface Jobs {
  /** Asks for files to be read; when Redis is away the sweep asks later. */
  enqueue(refs: readonly IngestRef[]): Promise<void>;
  stop(): Promise<void>;
}

const SWEEP_FILES = 1_000;

/** BullMQ waits on its connections itself: no command may give up on its own. */
function connect(url: string, name: string): Redis {
  const client = new Redis(url, { connectionName: name, maxRetriesPerRequest: null, disableClientInfo: true });
  client.on('error', () => {});
  return client;
}

export function startJobs(deps: JobsDeps): Jobs {
  const { logger, clock } = deps;
  const queueConnection = connect(deps.redisUrl, 'tollgate-ingest');
  const workerConnection = connect(deps.redisUrl, 'tollgate-ingest-worker');
  const stopping = new AbortController();
  const options = jobOptions(ingestQueue);
  const queue = new Queue<IngestRef>(ingestQueue.name, { connection: queueConnection, prefix: QUEUE_PREFIX });
  const worker = new Worker<IngestRef>(ingestQueue.name, process, {
    connection: workerConnection,
    prefix: QUEUE_PREFIX,
    concurrency: deps.concurrency,
    lockDuration: deps.lockMs,
    stalledInterval: deps.lockMs,
    // A machine that is killed now and then is no reason to give a file up.
    maxStalledCount: 50,
  });
  const onError = (error: unknown) => logger.debug({ err: error }, 'queue connection');
  queue.on('error', onError);
  worker.on('error', onError);

  async function process(job: Job<IngestRef>): Promise<void> {
    const ref = job.data;
    try {
      const end = await deps.run(ref, (done, total) => job.updateProgress({ done, total }), stopping.signal);
      if (end.kind === 'failed') await deps.fail(ref, end);
      deps.onEnd(end.kind);
    } catch (error) {
      const last = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
      logger.warn({ err: error, storeId: ref.storeId, fileId: ref.fileId, last }, 'ingestion failed');
      if (last && !stopping.signal.aborted) {
        const why = error instanceof AppError ? error : new AppError('internal_error');
        await deps.fail(ref, { code: why.code, message: why.message });
        deps.onEnd('failed');
        return;
      }
      throw error;
    }
  }

  async function add(refs: readonly IngestRef[]): Promise<void> {
    await queue.addBulk(
      refs.map((data) => ({
        name: 'ingest',
        data,
        // One job per ingestion however often it is asked for; it leaves nothing behind, so it can be asked for again.
        opts: { ...options, jobId: data.ingestId, removeOnComplete: true, removeOnFail: true },
      })),
    );
  }

  let sweeping: Promise<void> | null = null;
  const sweep = (): void => {
    // While Redis is away BullMQ would keep the call waiting.
    if (queueConnection.status !== 'ready') return;
    sweeping ??= deps.files
      .unfinished(SWEEP_FILES)
      .then((refs) => (refs.length > 0 ? add(refs) : undefined))
      .catch((error: unknown) => logger.warn({ err: error }, 'unfinished files wait for the next sweep'))
      .finally(() => {
        sweeping = null;
      });
  };
  const timer = clock.setInterval(sweep, deps.sweepMs);
  queueConnection.once('ready', sweep);

  return {
    async enqueue(refs) {
      if (queueConnection.status !== 'ready') return;
      await add(refs).catch((error: unknown) => logger.warn({ err: error }, 'files wait for the next sweep'));
    },
    async stop() {
      timer.cancel();
      stopping.abort(new Error('stopping'));
      const connections = [queueConnection, workerConnection];
      const cut = clock.setTimeout(() => {
        for (const connection of connections) connection.disconnect();
      }, 3_000);
      await sweeping;
      await worker.close(queueConnection.status !== 'ready').catch(onError);
      await queue.close().catch(onError);
      cut.cancel();
      for (const connection of connections) connection.disconnect();
    },
  };
}
