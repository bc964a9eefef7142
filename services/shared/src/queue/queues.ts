/**
 * BullMQ queues: name, payload, retry policy, bounds. BullMQ delivers at least once and may lose everything with a flush:
 * no money depends on it, every job may run twice or not at all, and schedules are written again and again.
 */
import type { JobsOptions } from 'bullmq';

export interface QueueDefinition<Payload> {
  name: string;
  /** Only carries the payload's type. */
  readonly payload?: Payload;
  attempts: number;
  /** First wait before a retry; doubles each time. */
  backoffMs: number;
  /** Finished and failed jobs that are kept for a look, at most. */
  keepCompleted: number;
  keepFailed: number;
}

const MAINTENANCE_TASKS = [
  'rollup_hourly',
  'rollup_daily',
  'reconcile',
  'partitions',
  'alerts',
  'files',
  'repeats',
] as const;
export type MaintenanceTask = (typeof MAINTENANCE_TASKS)[number];

export const maintenanceQueue: QueueDefinition<{ task: MaintenanceTask }> = {
  name: 'maintenance',
  attempts: 3,
  backoffMs: 5_000,
  keepCompleted: 50,
  keepFailed: 50,
};

/** One file of a collection to be read; `ref` names it, its bytes stay in the file store. */
export const ingestQueue: QueueDefinition<{ storeId: string; fileId: string; ingestId: string }> = {
  name: 'ingest',
  attempts: 8,
  backoffMs: 2_000,
  keepCompleted: 0,
  keepFailed: 0,
};

/** One attempt of one delivery. When and how often is decided in Postgres, so that a flush of Redis loses nothing. */
export const webhookQueue: QueueDefinition<{ deliveryId: string }> = {
  name: 'webhooks',
  attempts: 1,
  backoffMs: 1_000,
  keepCompleted: 100,
  keepFailed: 100,
};

/** One batch, from whatever state it is in to its end; Postgres knows how far it is. */
export const batchQueue: QueueDefinition<{ batchId: string }> = {
  name: 'batches',
  attempts: 1,
  backoffMs: 1_000,
  keepCompleted: 0,
  keepFailed: 0,
};

const KEEP_SECONDS = 7 * 86_400;
const STACK_LINES = 5;

/** Bounds what a job leaves in Redis: few finished jobs, short stack traces. */
export function jobOptions(definition: QueueDefinition<unknown>): JobsOptions {
  return {
    attempts: definition.attempts,
    backoff: { type: 'exponential', delay: definition.backoffMs },
    removeOnComplete: { count: definition.keepCompleted, age: KEEP_SECONDS },
    removeOnFail: { count: definition.keepFailed, age: KEEP_SECONDS },
    stackTraceLimit: STACK_LINES,
  };
}
