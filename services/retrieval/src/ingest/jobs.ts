/**
 * Ingestion through BullMQ. The queue is a way to spread and repeat the work, Postgres knows what is to be done: a sweep puts
 * back what a flushed Redis has forgotten, and every job may run twice.
 */
import type { CollectionFileStore, IngestRef } from '@tollgate/shared/db/retrieval/collection-files';
import { AppError } from '@tollgate/shared/domain/errors';
import { openJobLine } from '@tollgate/shared/queue/job-line';
import { ingestQueue } from '@tollgate/shared/queue/queues';
import { QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Job } from 'bullmq';
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
/** A machine that is killed now and then is no reason to give a file up. */
const MAX_STALLS = 50;

/** One job per ingestion however often it is asked for; it leaves nothing behind, so it can be asked for again. */
const jobOf = (data: IngestRef) => ({
  name: 'ingest',
  data,
  options: { jobId: data.ingestId, removeOnComplete: true, removeOnFail: true },
});

export function startJobs(deps: JobsDeps): Jobs {
  const { logger, clock } = deps;
  const stopping = new AbortController();
  const line = openJobLine<IngestRef>({
    definition: ingestQueue,
    redisUrl: deps.redisUrl,
    keyPrefix: QUEUE_PREFIX,
    connectionName: 'tollgate-ingest',
    run: read,
    concurrency: deps.concurrency,
    lockMs: deps.lockMs,
    maxStalls: MAX_STALLS,
    clock,
    onReady: sweep,
    onError: (error) => logger.debug({ err: error }, 'queue connection'),
  });

  async function read(job: Job<IngestRef>): Promise<void> {
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

  let sweeping: Promise<unknown> | null = null;
  function sweep(): void {
    sweeping ??= deps.files
      .unfinished(SWEEP_FILES)
      .then((refs) => line.add(refs.map(jobOf)))
      .catch((error: unknown) => logger.warn({ err: error }, 'unfinished files wait for the next sweep'))
      .finally(() => {
        sweeping = null;
      });
  }
  const timer = clock.setInterval(sweep, deps.sweepMs);

  return {
    enqueue: async (refs) => void (await line.add(refs.map(jobOf))),
    async stop() {
      timer.cancel();
      stopping.abort(new Error('stopping'));
      await sweeping;
      await line.stop();
    },
  };
}
