/** Connections to Redis as the product uses them, and the deadline and breaker around every command. */
import { Cluster, type Redis, type RedisOptions } from 'ioredis';
import type { Clock } from '../runtime/clock.ts';
import { redisAddress } from '../runtime/redis-address.ts';
import { BREAKER_CLOSED, BREAKER_DEFAULTS, type BreakerConfig, type BreakerState, breakerStep } from './breaker.ts';
import { CommandRedis } from './command-redis.ts';
import { Deadlines } from './deadlines.ts';

export type RedisClient = Redis | Cluster;

/** DESIGN section 5: nothing on the hot path waits longer for Redis. */
export const COMMAND_DEADLINE_MS = 50;

export interface RedisClientOptions {
  /** One server's, or a cluster's: `runtime/redis-address.ts`. */
  url: string;
  /** Shown by CLIENT LIST. */
  name: string;
  /** Connection errors; commands report their own. */
  onError?: (error: Error) => void;
}

/**
 * Nothing is queued and nothing is sent twice: a command either goes out now or fails now, and one whose connection
 * breaks fails at once, "it may have run".
 */
const COMMAND_OPTIONS = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  connectTimeout: 2_000,
  // A connection whose peer vanished without a word is given up long before TCP does it.
  socketTimeout: 5_000,
  keepAlive: 10_000,
  disableClientInfo: true,
  retryStrategy: (times: number) => Math.min(25 * 2 ** Math.min(times, 6), 1_000),
  // After a failover behind one address the old master answers READONLY until we connect anew.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions;

/** A client for commands. It connects by itself, for ever; until it has, commands fail (`waitUntilReady`). */
export function createRedis({ url, name, onError = () => {} }: RedisClientOptions): RedisClient {
  const { url: server, cluster } = redisAddress(url);
  const options = { ...COMMAND_OPTIONS, connectionName: name };
  const client = cluster
    ? new Cluster(cluster.nodes, {
        ...cluster.options,
        enableAutoPipelining: true,
        enableOfflineQueue: false,
        clusterRetryStrategy: COMMAND_OPTIONS.retryStrategy,
        redisOptions: { ...options, ...cluster.redisOptions },
      })
    : new CommandRedis(server, options);
  client.on('error', onError);
  return client;
}

/** Resolves when the client is connected and Redis has loaded its data. */
export function waitUntilReady(client: RedisClient, signal?: AbortSignal): Promise<void> {
  if (client.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const onReady = () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    };
    const onAbort = () => {
      client.off('ready', onReady);
      reject(signal?.reason);
    };
    signal?.throwIfAborted();
    client.once('ready', onReady);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

export type UnavailableReason = 'deadline' | 'breaker_open' | 'connection' | 'server';

/** Redis could not be asked, or did not answer in time. Unless `breaker_open`, the command may have run. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable';
  readonly reason: UnavailableReason;

  constructor(reason: UnavailableReason, cause?: unknown) {
    super(`Redis is not available (${reason})`, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

/** `call` as it is, or RedisUnavailable('deadline') when it takes longer; what it would answer is then dropped. */
export function withDeadline<T>(call: Promise<T>, deadlineMs: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(() => reject(new RedisUnavailable('deadline')), deadlineMs);
    call.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}

/** What the call gives; a throw is a rejection. */
function started<T>(call: () => Promise<T>): Promise<T> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}

export interface RedisGuardOptions {
  clock: Clock;
  deadlineMs?: number;
  breaker?: BreakerConfig;
}

/** Deadline and breaker for one Redis. Hand `guard` to `MoneyScripts` and the stores, or use it around any command. */
export class RedisGuard {
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #config: BreakerConfig;
  #state: BreakerState = BREAKER_CLOSED;

  constructor({ clock, deadlineMs = COMMAND_DEADLINE_MS, breaker = BREAKER_DEFAULTS }: RedisGuardOptions) {
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock, deadlineMs);
    this.#config = breaker;
  }

  get state(): BreakerState {
    return this.#state;
  }

  readonly guard = <T>(call: () => Promise<T>): Promise<T> => {
    if (!this.#step('ask')) return Promise.reject(new RedisUnavailable('breaker_open'));
    return new Promise<T>((resolve, reject) => {
      const deadline = this.#deadlines.begin(() => {
        this.#step('failed');
        reject(new RedisUnavailable('deadline'));
      });
      started(call).then(
        (value) => {
          if (deadline.passed === null) return;
          this.#deadlines.met(deadline);
          this.#step('ok');
          resolve(value);
        },
        (error: unknown) => {
          if (deadline.passed === null) return;
          this.#deadlines.met(deadline);
          const unavailable = asUnavailable(error);
          this.#step(unavailable ? 'failed' : 'ok');
          reject(unavailable ?? error);
        },
      );
    });
  };

  #step(event: 'ask' | 'ok' | 'failed'): boolean {
    // Nothing changes while all is well.
    if (this.#state === BREAKER_CLOSED && event !== 'failed') return true;
    const step = breakerStep(this.#state, event, this.#clock.monotonicMs(), this.#config);
    this.#state = step.state;
    return step.allowed;
  }
}

const SERVER_UNFIT = /^(LOADING|BUSY|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF)\b/;

/** The error as RedisUnavailable, or null when Redis did answer and the answer is about the command. */
export function asUnavailable(error: unknown): RedisUnavailable | null {
  if (error instanceof RedisUnavailable) return error;
  if (!(error instanceof Error)) return null;
  if (error.name === 'ReplyError')
    return SERVER_UNFIT.test(error.message) ? new RedisUnavailable('server', error) : null;
  if (error instanceof RangeError || error instanceof TypeError) return null;
  return new RedisUnavailable('connection', error);
}
