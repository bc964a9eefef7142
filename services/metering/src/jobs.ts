/**
 * Metering's scheduled work through BullMQ: roll-ups, reconciliation, partitions. A flush of Redis deletes the schedules,
 * so they are written again every minute; nothing that matters for money waits for a job.
 */
import { openJobLine } from '@tollgate/shared/queue/job-line';
import { type MaintenanceTask, maintenanceQueue } from '@tollgate/shared/queue/queues';
import { QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type Loop, startLoop } from './loop.ts';
import type { MeteringMetrics } from './metrics.ts';

export interface JobsDeps {
  redisUrl: string;
  tasks: Record<MaintenanceTask, { everyMs: number; run: () => Promise<unknown> }>;
  clock: Clock;
  logger: Logger;
  metrics: MeteringMetrics;
  rescheduleMs: number;
}

export function startJobs(deps: JobsDeps): { stop(): Promise<void> } {
  const { redisUrl, logger, metrics, clock, tasks } = deps;
  const onError = (error: unknown) => logger.debug({ err: error }, 'queue connection');
  const line = openJobLine<{ task: MaintenanceTask }>({
    definition: maintenanceQueue,
    redisUrl,
    keyPrefix: QUEUE_PREFIX,
    connectionName: 'tollgate-jobs',
    // A task of another version of this service, left in the queue, has nothing to run here.
    run: async ({ data }) => void (await tasks[data.task]?.run()),
    concurrency: 1,
    clock,
    onReady: () => schedules.wake(),
    onError,
    onFailed: (job, error) => {
      metrics.loopErrorsTotal.inc({ loop: 'jobs' });
      logger.error({ err: error, task: job?.data.task }, 'job failed');
    },
  });
  const entries = (Object.entries(tasks) as [MaintenanceTask, { everyMs: number }][]).map(([task, { everyMs }]) => ({
    id: task,
    everyMs,
    data: { task },
  }));
  const schedules: Loop = startLoop({
    clock,
    everyMs: deps.rescheduleMs,
    round: async () => void (await line.schedule(entries)),
    onError,
  });
  return {
    async stop() {
      await schedules.stop();
      await line.stop();
    },
  };
}
