/** Builds batches from metering's configuration. */

import { actingKeyFor } from '@tollgate/shared/db/acting-keys';
import { type Batch, BatchStore, batchPercent } from '@tollgate/shared/db/batch-store';
import type { Db } from '@tollgate/shared/db/client';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { MeteringMetrics } from '../metrics.ts';
import { type BatchApi, createBatchApi } from './api.ts';
import { createBatchFiles } from './files.ts';
import { startBatchJobs } from './jobs.ts';
import { runBatch } from './runner.ts';

export interface BatchSettings {
  redisUrl: string;
  routerUrl: string;
  consoleUrl: string;
  serviceToken: string;
  /** Lines of one batch under way at a time. */
  parallel: number;
  /** Batches under way at a time in this process. */
  concurrency: number;
  maxLines: number;
  maxLineBytes: number;
  maxFileBytes: number;
  maxOpen: number;
  sweepMs: number;
  lockMs: number;
}

export interface BatchParts {
  db: Db;
  lifecycle: Lifecycle;
  logger: Logger;
  clock: Clock;
  random: Random;
  metrics: Pick<MeteringMetrics, 'batchLinesTotal'>;
}

/** A line may wait long behind interactive work; a try that hears nothing is made again and finds the request. */
const TRY_MS = 240_000;
const RETRY_MS = 1_000;
const FILE_FACTS_MS = 5_000;

export function startBatches(settings: BatchSettings, parts: BatchParts): BatchApi {
  const { db, clock, random, logger, metrics } = parts;
  const { serviceToken, maxLines, maxLineBytes, maxFileBytes, maxOpen } = settings;
  const store = new BatchStore(db);
  const files = createBatchFiles({ consoleUrl: settings.consoleUrl, serviceToken, timeoutMs: FILE_FACTS_MS });
  const actFor = async (batch: Batch): Promise<string> =>
    actingKeyFor(
      db,
      {
        keyId: batch.keyId,
        projectId: batch.projectId === '' ? null : batch.projectId,
        userId: batch.userId,
        scopes: ['chat', 'completions', 'embeddings', 'responses'],
        pricePercent: await batchPercent(db, batch.accountId),
      },
      serviceToken,
      clock.nowMs(),
    );
  const line = {
    routerUrl: settings.routerUrl.replace(/\/+$/, ''),
    actFor,
    clock,
    fetch,
    retryMs: RETRY_MS,
    tryMs: TRY_MS,
  };
  const jobs = startBatchJobs({
    redisUrl: settings.redisUrl,
    store,
    clock,
    logger,
    concurrency: settings.concurrency,
    lockMs: settings.lockMs,
    sweepMs: settings.sweepMs,
    run: (id, signal) =>
      runBatch(
        id,
        {
          store,
          files,
          line,
          limits: { maxLines, maxLineBytes },
          parallel: settings.parallel,
          clock,
          logger,
          onLine: (state) => metrics.batchLinesTotal.inc({ state }),
        },
        signal,
      ),
  });
  parts.lifecycle.defer('batches', () => jobs.stop());
  return createBatchApi({ db, store, files, clock, random, enqueue: (id) => jobs.enqueue(id), maxOpen, maxFileBytes });
}
