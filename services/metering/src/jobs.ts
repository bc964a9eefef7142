/**
 * Metering's scheduled work through BullMQ: roll-ups, reconciliation, partitions. A flush of Redis deletes the schedules,
 * so they are written again every minute; nothing that matters for money waits for a job.
 */
import { jobOptions, type MaintenanceTask, maintenanceQueue } from '@tollgate/shared/queue/queues';
import { QUEUE_PREFIX } from '@tollgate/shared/redis/keys';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
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

/** BullMQ waits on its connections itself: no command may give up on its own. */
export function connectQueue(url: string, name: string): Redis {
  const client = new Redis(url, {
    connectionName: name,
    maxRetriesPerRequest: null,
    disableClientInfo: true,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2_000),
  });
  // Each loss is told by the service's own client already.
  client.on('error', () => {});
  return client;
}

export function startJobs(deps: JobsDeps): { stop(): Promise<void> } {
  const { logger, metrics, clock, tasks } = deps;
  const connections = [
    connectQueue(deps.redisUrl, 'tollgate-jobs'),
    connectQueue(deps.redisUrl, 'tollgate-job-worker'),
  ];
  const [queueConnection, workerConnection] = connections as [Redis, Redis];
  const queue = new Queue<{ task: MaintenanceTask }>(maintenanceQueue.name, {
    connection: queueConnection,
    prefix: QUEUE_PREFIX,
    defaultJobOptions: jobOptions(maintenanceQueue),
  });
  const worker = new Worker<{ task: MaintenanceTask }>(
    maintenanceQueue.name,
    async (job) => {
      const task = tasks[job.data.task];
      // A task of another version of this service, left in the queue.
      if (!task) return;
      await task.run();
    },
    { connection: workerConnection, prefix: QUEUE_PREFIX, concurrency: 1 },
  );
  const onError = (error: unknown) => logger.debug({ err: error }, 'queue connection');
  queue.on('error', onError);
  worker.on('error', onError);
  worker.on('failed', (job, error) => {
    metrics.loopErrorsTotal.inc({ loop: 'jobs' });
    logger.error({ err: error, task: job?.data.task }, 'job failed');
  });

  async function schedule(): Promise<void> {
    // While Redis is away BullMQ would keep the call waiting; the next round tries again.
    if (queueConnection.status !== 'ready') return;
    for (const [task, { everyMs }] of Object.entries(tasks) as [MaintenanceTask, { everyMs: number }][]) {
      await queue.upsertJobScheduler(
        task,
        { every: everyMs },
        { name: task, data: { task }, opts: jobOptions(maintenanceQueue) },
      );
    }
  }
  const loop: Loop = startLoop({ clock, everyMs: deps.rescheduleMs, round: schedule, onError });
  queueConnection.once('ready', () => loop.wake());

  return {
    async stop() {
      // With Redis gone, calls that wait for it would never end: cut them.
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
