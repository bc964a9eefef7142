/**
 * A BullMQ queue with its worker, opened and ended in one way by every service that has one.
 *
 * While Redis is away nothing waits for it: `add` answers false (BullMQ itself would keep the call until Redis is back), jobs
 * that run go on, and `stop` ends in its time. Whoever knows what is due (a table, a schedule) asks again: on a timer, and
 * each time `onReady` says that Redis is there.
 */
import { type Job, type JobsOptions, Queue, Worker } from 'bullmq';
import { Cluster, Redis } from 'ioredis';
import type { Clock } from '../runtime/clock.ts';
import { redisAddress } from '../runtime/redis-address.ts';
import { jobOptions, type QueueDefinition } from './queues.ts';

/** Redis may be lost in the middle of a call. */
const ADD_LIMIT_MS = 2_000;
/** What runs may end in this time; then its connections are cut. */
const STOP_LIMIT_MS = 3_000;
const LONGEST_RECONNECT_MS = 2_000;

export interface JobLineOptions<Payload> {
  definition: QueueDefinition<Payload>;
  redisUrl: string;
  /** Begins every key of the queue: `QUEUE_PREFIX`. */
  keyPrefix: string;
  /** What Redis shows as the name of the connections. */
  connectionName: string;
  /** One job; at least once, perhaps twice. A throw is a failed attempt. */
  run: (job: Job<Payload>) => Promise<void>;
  /** Jobs at the same time in this process. */
  concurrency: number;
  /** A job whose process is silent for so long is given to another; BullMQ's 30 s unless given. */
  lockMs?: number;
  /** How often that may happen to one job; 1 unless given. */
  maxStalls?: number;
  clock: Clock;
  /** Redis is there, at first and again after each loss. */
  onReady: () => void;
  /** Trouble with the connections: a service's own client tells it too. */
  onError: (error: unknown) => void;
  /** A job's attempt failed. */
  onFailed?: (job: Job<Payload> | undefined, error: Error) => void;
}

export interface NewJob<Payload> {
  name: string;
  data: Payload;
  /** Beside the definition's own. */
  options?: JobsOptions;
}

export interface JobLine<Payload> {
  /** Jobs with the definition's options. False: Redis is away, none or not all were added. Never throws, never hangs. */
  add(jobs: readonly NewJob<Payload>[]): Promise<boolean>;
  /** Writes schedules: one job per entry and period, however often it is called. False: Redis is away. */
  schedule(entries: readonly { id: string; everyMs: number; data: Payload }[]): Promise<boolean>;
  /** Takes no further jobs and waits for what runs, for 3 s at most; at once when Redis is away. */
  stop(): Promise<void>;
}

export function openJobLine<Payload>(options: JobLineOptions<Payload>): JobLine<Payload> {
  const { definition, redisUrl, keyPrefix, connectionName, clock, onError } = options;
  const defaults = jobOptions(definition);
  // BullMQ's scripts touch several keys of a queue: in a cluster they must lie together.
  const prefix = redisAddress(redisUrl).cluster ? `{${keyPrefix}}` : keyPrefix;
  const adding = connect(redisUrl, connectionName);
  const taking = connect(redisUrl, `${connectionName}-worker`);
  const cut = (): void => {
    for (const connection of [adding, taking]) connection.disconnect();
  };
  // BullMQ's own types would ask for the payload's name in each call; jobs are typed by `JobLine`.
  const queue: Queue = new Queue(definition.name, { connection: adding, prefix });
  const worker = new Worker<Payload>(definition.name, options.run, {
    connection: taking,
    prefix,
    concurrency: options.concurrency,
    ...(options.lockMs === undefined ? {} : { lockDuration: options.lockMs, stalledInterval: options.lockMs }),
    ...(options.maxStalls === undefined ? {} : { maxStalledCount: options.maxStalls }),
  });
  queue.on('error', onError);
  worker.on('error', onError);
  if (options.onFailed) worker.on('failed', options.onFailed);
  let stopping = false;
  adding.on('ready', () => {
    if (!stopping) options.onReady();
  });

  async function bounded(call: () => Promise<unknown>): Promise<boolean> {
    if (stopping || adding.status !== 'ready') return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = clock.setTimeout(() => resolve(false), ADD_LIMIT_MS);
    call().then(
      () => resolve(true),
      (error: unknown) => {
        onError(error);
        resolve(false);
      },
    );
    const done = await promise;
    timer.cancel();
    return done;
  }

  return {
    async add(jobs) {
      if (jobs.length === 0) return true;
      return bounded(() =>
        queue.addBulk(jobs.map(({ name, data, options: own }) => ({ name, data, opts: { ...defaults, ...own } }))),
      );
    },

    async schedule(entries) {
      for (const { id, everyMs, data } of entries) {
        const template = { name: id, data, opts: defaults };
        if (!(await bounded(() => queue.upsertJobScheduler(id, { every: everyMs }, template)))) return false;
      }
      return true;
    },

    async stop() {
      stopping = true;
      // Calls that wait for a Redis that is gone would never end.
      const isAway = adding.status !== 'ready' || taking.status !== 'ready';
      if (isAway) cut();
      const { promise: timeIsUp, resolve } = Promise.withResolvers<void>();
      const timer = clock.setTimeout(resolve, STOP_LIMIT_MS);
      // A job that hangs would keep `close` for ever: its lock runs out, and another process takes it.
      await Promise.race([worker.close(isAway).catch(onError), timeIsUp]);
      await Promise.race([queue.close().catch(onError), timeIsUp]);
      timer.cancel();
      cut();
    },
  };
}

/** BullMQ waits on its connections itself: no command may give up on its own. */
function connect(url: string, name: string): Cluster | Redis {
  const { url: server, cluster } = redisAddress(url);
  const options = { connectionName: name, maxRetriesPerRequest: null, disableClientInfo: true };
  const again = (times: number) => Math.min(50 * 2 ** Math.min(times, 6), LONGEST_RECONNECT_MS);
  const client = cluster
    ? new Cluster(cluster.nodes, {
        ...cluster.options,
        clusterRetryStrategy: again,
        redisOptions: { ...options, ...cluster.redisOptions },
      })
    : new Redis(server, { ...options, retryStrategy: again });
  // Each loss is told by the service's own client already.
  client.on('error', () => {});
  return client;
}
