/** Deliveries through BullMQ: Postgres says what is due, a job is one attempt. A job's payload is an id and nothing else. */
import type { Db } from '@tollgate/shared/db/client';
import { WebhookStore } from '@tollgate/shared/db/webhook-store';
import { jobOptions, webhookQueue } from '@tollgate/shared/queue/queues';
import { QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { Queue, Worker } from 'bullmq';
import { connectQueue } from '../jobs.ts';
import { startLoop } from '../loop.ts';
import type { MeteringMetrics } from '../metrics.ts';
import type { Deliverer } from './deliver.ts';

const BATCH = 100;
const WIDTH = 8;
/** A delivery is queued at most once in so long; the attempt itself asks whether it is due. */
const SAME_JOB_MS = 10_000;

export interface WebhookJobsDeps {
  db: Db;
  redisUrl: string;
  deliverer: Deliverer;
  clock: Clock;
  logger: Logger;
  metrics: MeteringMetrics;
  everyMs: number;
}

export function startWebhookJobs(deps: WebhookJobsDeps): { stop(): Promise<void> } {
  const { db, clock, logger, metrics, deliverer } = deps;
  const queueConnection = connectQueue(deps.redisUrl, 'tollgate-webhooks');
  const workerConnection = connectQueue(deps.redisUrl, 'tollgate-webhook-worker');
  const queue = new Queue<{ deliveryId: string }>(webhookQueue.name, {
    connection: queueConnection,
    prefix: QUEUE_PREFIX,
    defaultJobOptions: jobOptions(webhookQueue),
  });
  const worker = new Worker<{ deliveryId: string }>(
    webhookQueue.name,
    (job) => deliverer.attempt(job.data.deliveryId),
    { connection: workerConnection, prefix: QUEUE_PREFIX, concurrency: WIDTH },
  );
  const onError = (error: unknown) => logger.debug({ err: error }, 'webhook queue connection');
  queue.on('error', onError);
  worker.on('error', onError);
  worker.on('failed', (job, error) => {
    metrics.loopErrorsTotal.inc({ loop: 'webhooks' });
    logger.error({ err: error, deliveryId: job?.data.deliveryId }, 'a delivery could not be attempted');
  });
  const loop = startLoop({
    clock,
    everyMs: deps.everyMs,
    onError,
    round: async () => {
      if (queueConnection.status !== 'ready') return;
      const nowMs = clock.nowMs();
      const ids = await new WebhookStore(db).due(nowMs, BATCH);
      const turn = Math.floor(nowMs / SAME_JOB_MS);
      await queue.addBulk(
        ids.map((deliveryId) => ({ name: 'deliver', data: { deliveryId }, opts: { jobId: `${deliveryId}-${turn}` } })),
      );
    },
  });
  return {
    async stop() {
      const connections = [queueConnection, workerConnection];
      const cut = clock.setTimeout(() => {
        for (const connection of connections) connection.disconnect();
      }, 2_000);
      if (queueConnection.status !== 'ready') for (const connection of connections) connection.disconnect();
      await loop.stop();
      await worker.close(queueConnection.status !== 'ready').catch(onError);
      await queue.close().catch(onError);
      cut.cancel();
      for (const connection of connections) connection.disconnect();
    },
  };
}
