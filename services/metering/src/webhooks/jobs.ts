/** Deliveries through BullMQ: Postgres says what is due, a job is one attempt. A job's payload is an id and nothing else. */
import type { Db } from '@tollgate/shared/db/client';
import { WebhookStore } from '@tollgate/shared/db/webhook-store';
import { openJobLine } from '@tollgate/shared/queue/job-line';
import { webhookQueue } from '@tollgate/shared/queue/queues';
import { QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type Loop, startLoop } from '../loop.ts';
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
  const { db, redisUrl, clock, logger, metrics, deliverer } = deps;
  const onError = (error: unknown) => logger.debug({ err: error }, 'webhook queue connection');
  const line = openJobLine<{ deliveryId: string }>({
    definition: webhookQueue,
    redisUrl,
    keyPrefix: QUEUE_PREFIX,
    connectionName: 'tollgate-webhooks',
    run: ({ data }) => deliverer.attempt(data.deliveryId),
    concurrency: WIDTH,
    clock,
    onReady: () => rounds.wake(),
    onError,
    onFailed: (job, error) => {
      metrics.loopErrorsTotal.inc({ loop: 'webhooks' });
      logger.error({ err: error, deliveryId: job?.data.deliveryId }, 'a delivery could not be attempted');
    },
  });
  const rounds: Loop = startLoop({
    clock,
    everyMs: deps.everyMs,
    onError,
    round: async () => {
      const nowMs = clock.nowMs();
      const turn = Math.floor(nowMs / SAME_JOB_MS);
      const ids = await new WebhookStore(db).due(nowMs, BATCH);
      await line.add(
        ids.map((deliveryId) => ({
          name: 'deliver',
          data: { deliveryId },
          options: { jobId: `${deliveryId}-${turn}` },
        })),
      );
    },
  });
  return {
    async stop() {
      await rounds.stop();
      await line.stop();
    },
  };
}
