/** Composition root of metering: build everything, start it, stop it in reverse. */
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { KeyStore } from '@tollgate/shared/db/key-store';
import { MetaStore } from '@tollgate/shared/db/meta-store';
import { pendingMigrations } from '@tollgate/shared/db/migrate';
import { forgetPosts } from '@tollgate/shared/db/post-repeats';
import { SettlementStore } from '@tollgate/shared/db/settlement-store';
import { UsageStore } from '@tollgate/shared/db/usage-store';
import { createRedis, type RedisClient, waitUntilReady, withDeadline } from '@tollgate/shared/redis/client';
import { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { channels } from '@tollgate/shared/redis/keys';
import { type MoneyClient, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { RefusalLog } from '@tollgate/shared/redis/refusal-log';
import { Subscriber } from '@tollgate/shared/redis/subscriber';
import { type Clock, systemClock } from '@tollgate/shared/runtime/clock';
import type { ListenAddress } from '@tollgate/shared/runtime/config';
import type { Lifecycle } from '@tollgate/shared/runtime/lifecycle';
import type { Logger } from '@tollgate/shared/runtime/logger';
import {
  createRegistry,
  type MetricsServer,
  type Registry,
  startMetricsServer,
} from '@tollgate/shared/runtime/metrics';
import { type Random, systemRandom } from '@tollgate/shared/runtime/random';
import { createSealer } from '@tollgate/shared/runtime/seal';
import { createBatchFiles } from './batches/files.ts';
import { type BatchSettings, startBatches } from './batches/start.ts';
import { BodyDesk } from './bodies/keep.ts';
import type { MeteringConfig } from './config.ts';
import { Drain } from './drain/drain.ts';
import { KeyUses } from './drain/key-uses.ts';
import { Recorder } from './drain/recorder.ts';
import { startEngineWatch } from './engines/watch.ts';
import { expireFiles } from './files/expire.ts';
import { startHttpServer } from './http/server.ts';
import { startJobs } from './jobs.ts';
import { Keeper, type KeeperOptions } from './keeper/keeper.ts';
import { LeaseDesk, type LeaseDeskOptions } from './keeper/lease-desk.ts';
import { Needs } from './keeper/needs.ts';
import { Releaser } from './keeper/release.ts';
import { startLoop } from './loop.ts';
import { createMetrics } from './metrics.ts';
import { keepPartitions } from './partitions/partitions.ts';
import { Reaper, type ReaperOptions } from './reaper/reaper.ts';
import { startIssuer } from './receipts/issuer.ts';
import { reconcile } from './reconcile/reconcile.ts';
import { Refusals } from './refusals/refusals.ts';
import { Rollups } from './rollups/rollups.ts';
import { Alerts } from './webhooks/alerts.ts';
import { Deliverer } from './webhooks/deliver.ts';
import { startWebhookJobs } from './webhooks/jobs.ts';

export const VERSION = '0.1.0';

/** Redis is not on a hot path here, but no loop may hang on it. */
const REDIS_DEADLINE_MS = 2_000;
const REDIS_CONNECT_MS = 5_000;
const PARTITIONS_EVERY_MS = 6 * 3_600_000;
const ALERTS_EVERY_MS = 15_000;
const WEBHOOKS_EVERY_MS = 1_000;
const REFUSALS_EVERY_MS = 1_000;
const USES_EVERY_MS = 2_000;
const RESCHEDULE_MS = 60_000;
const FILES_EVERY_MS = 300_000;
const REPEATS_EVERY_MS = 3_600_000;
/** A file in many collections takes its chunks along. */
const FILE_DELETE_MS = 60_000;
const RECEIPTS_EVERY_MS = 1_000;
const ENGINES_EVERY_MS = 10_000;
const BODIES_EVERY_MS = 60_000;
/** Stopping: how long the last records may take to reach Postgres. */
const LAST_DRAIN_MS = 5_000;

export interface MeteringOptions {
  listen: ListenAddress;
  metricsListen: ListenAddress | null;
  databaseUrl: string;
  redisUrl: string;
  serviceToken: string;
  bucketCount: number;
  poolMax: number;
  batchSize: number;
  drainEveryMs: number;
  lease: LeaseDeskOptions;
  keeper: KeeperOptions;
  release: { skewMs: number; graceMs: number };
  reaper: ReaperOptions;
  /** null = no BullMQ. */
  jobs: { reconcileEveryMs: number; rollupEveryMs: number; rescheduleMs: number } | null;
  /** null = this process runs no batches. */
  batches: Omit<BatchSettings, 'redisUrl' | 'serviceToken'> | null;
  /** null = webhook secrets cannot be read here: nothing is delivered. */
  webhooks?: { sealKey: string; allowInside: boolean; everyMs: number } | null;
  /** Sealed bodies of one account that are kept at most; none are kept when absent. */
  keptAccountBytes?: number;
  reclaimOnStop: boolean;
}

export interface MeteringDeps extends MeteringOptions {
  lifecycle: Lifecycle;
  logger: Logger;
  clock?: Clock;
  random?: Random;
}

export interface Metering {
  url: string;
  metricsUrl: string | null;
  registry: Registry;
  db: Db;
  redis: RedisClient;
  scripts: MoneyScripts;
  drain: Drain;
  desk: LeaseDesk;
  keeper: Keeper;
  releaser: Releaser;
  reaper: Reaper;
  rollups: Rollups;
  reconcile: () => ReturnType<typeof reconcile>;
}

export function optionsOf(config: MeteringConfig): MeteringOptions {
  return {
    listen: config.TOLLGATE_METERING_LISTEN,
    metricsListen: config.TOLLGATE_METERING_METRICS_LISTEN,
    databaseUrl: config.DATABASE_URL,
    redisUrl: config.REDIS_URL,
    serviceToken: config.TOLLGATE_SERVICE_TOKEN,
    bucketCount: config.TOLLGATE_BUCKETS,
    poolMax: config.TOLLGATE_METERING_DB_CONNECTIONS,
    batchSize: config.TOLLGATE_METERING_BATCH,
    drainEveryMs: config.TOLLGATE_METERING_DRAIN_MS,
    lease: {
      leaseMs: config.TOLLGATE_METERING_LEASE_MS,
      minLeaseNusd: config.TOLLGATE_METERING_MIN_LEASE_NUSD,
      createWindowMs: 5_000,
      verdictTtlMs: 5_000,
      standalone: config.TOLLGATE_REDIS_STANDALONE,
    },
    keeper: {
      needSweepMs: config.TOLLGATE_METERING_NEED_SWEEP_MS,
      leaseSweepMs: config.TOLLGATE_METERING_LEASE_SWEEP_MS,
      idleMs: config.TOLLGATE_METERING_LEASE_IDLE_MS,
      fullShare: 0.9,
      freeShare: 0.8,
    },
    release: { skewMs: config.TOLLGATE_METERING_SKEW_MS, graceMs: config.TOLLGATE_METERING_GRACE_MS },
    reaper: {
      everyMs: config.TOLLGATE_METERING_REAP_EVERY_MS,
      unbeatenMs: config.TOLLGATE_METERING_UNBEATEN_MS,
      silentMs: config.TOLLGATE_METERING_SILENT_MS,
      marginMs: config.TOLLGATE_METERING_REAP_MARGIN_MS,
      auditEveryMs: 300_000,
    },
    jobs: config.TOLLGATE_METERING_JOBS
      ? {
          reconcileEveryMs: config.TOLLGATE_METERING_RECONCILE_MS,
          rollupEveryMs: config.TOLLGATE_METERING_ROLLUP_MS,
          rescheduleMs: RESCHEDULE_MS,
        }
      : null,
    batches: batchOptions(config),
    webhooks: webhookOptions(config),
    keptAccountBytes: config.TOLLGATE_KEPT_ACCOUNT_BYTES,
    reclaimOnStop: config.TOLLGATE_METERING_RECLAIM_ON_STOP,
  };
}

/** The console seals with the same key: its own, or the pepper. */
function webhookOptions(config: MeteringConfig): NonNullable<MeteringOptions['webhooks']> | null {
  const sealKey = config.TOLLGATE_SEAL_KEY ?? config.TOLLGATE_KEY_PEPPER;
  return sealKey === undefined
    ? null
    : { sealKey, allowInside: config.TOLLGATE_WEBHOOKS_PRIVATE, everyMs: WEBHOOKS_EVERY_MS };
}

function batchOptions(config: MeteringConfig): MeteringOptions['batches'] {
  const { TOLLGATE_ROUTER_URL: routerUrl, TOLLGATE_CONSOLE_URL: consoleUrl } = config;
  if (!routerUrl || !consoleUrl || !config.TOLLGATE_METERING_JOBS) return null;
  return {
    routerUrl,
    consoleUrl,
    parallel: config.TOLLGATE_BATCH_PARALLEL,
    concurrency: config.TOLLGATE_BATCH_CONCURRENCY,
    maxLines: config.TOLLGATE_BATCH_MAX_LINES,
    maxLineBytes: config.TOLLGATE_BATCH_MAX_LINE_BYTES,
    maxFileBytes: config.TOLLGATE_BATCH_MAX_FILE_BYTES,
    maxOpen: config.TOLLGATE_BATCH_MAX_OPEN,
    sweepMs: config.TOLLGATE_BATCH_SWEEP_MS,
    lockMs: config.TOLLGATE_BATCH_LOCK_MS,
  };
}

/**
 * Starts metering; everything it opens is closed by `lifecycle`. The database must be migrated.
 * @throws {MetaMismatch} when the bucket count is not the one that the database was set up with.
 */
export async function startMetering(deps: MeteringDeps): Promise<Metering> {
  const { lifecycle, logger, clock = systemClock, random = systemRandom } = deps;
  const registry = createRegistry('metering', VERSION);
  const metrics = createMetrics(registry);

  const db = openDatabase({
    url: deps.databaseUrl,
    poolMax: deps.poolMax,
    applicationName: 'tollgate-metering',
    onError: (error) => logger.warn({ err: error }, 'database connection lost'),
  });
  lifecycle.defer('database', () => db.destroy());
  await new MetaStore(db).agreeOnBucketCount(deps.bucketCount);
  await new UsageStore(db).ensurePartitions(clock.nowMs());

  const redis = createRedis({
    url: deps.redisUrl,
    name: 'tollgate-metering',
    onError: (error) => logger.debug({ err: error }, 'redis connection'),
  });
  lifecycle.defer('redis', () => redis.disconnect());
  const guard = <T>(call: () => Promise<T>) => withDeadline(call(), REDIS_DEADLINE_MS, clock);
  const scripts = new MoneyScripts(redis as unknown as MoneyClient, deps.bucketCount, { guard, random });

  const common = { db, redis, scripts, clock, random, logger, metrics };
  const uses = new KeyUses(new KeyStore(db));
  const recorder = new Recorder({ store: new SettlementStore(db), metrics, logger, uses });
  const drain = new Drain({
    ...common,
    recorder,
    batchSize: deps.batchSize,
    everyMs: deps.drainEveryMs,
    // Half of the connections stay for needs: a drain must not delay a lease.
    width: Math.max(1, Math.min(Math.floor(deps.poolMax / 2), 4)),
  });
  const desk = new LeaseDesk({ ...common, options: deps.lease });
  const needs = new Needs({ ...common, desk, width: Math.max(1, Math.min(deps.poolMax - 1, 8)), shortPauseMs: 100 });
  const releaser = new Releaser({ ...common, drain, ...deps.release });
  const keeper = new Keeper({ ...common, desk, needs, releaser, options: deps.keeper });
  const reaper = new Reaper({ ...common, options: deps.reaper });
  const rollups = new Rollups(db, clock);
  const runReconcile = () => reconcile({ db, scripts, logger, metrics });

  // Redis may come later: everything below retries by itself.
  await waitUntilReady(redis, AbortSignal.any([lifecycle.signal, AbortSignal.timeout(REDIS_CONNECT_MS)])).catch(() =>
    logger.warn('Redis does not answer yet'),
  );

  const isReady = async () => !lifecycle.stopping && redis.status === 'ready' && (await canUse(db));
  if (deps.metricsListen) {
    const server: MetricsServer = await startMetricsServer(deps.metricsListen, registry, { ready: isReady });
    lifecycle.defer('metrics server', () => server.close());
  }
  const metricsUrl = deps.metricsListen ? `http://${deps.metricsListen.host}:${deps.metricsListen.port}` : null;

  lifecycle.defer('last uses of keys', () => uses.flush());
  // Stopped in reverse: first nothing new is asked, then leases are given back, then the last records are drained.
  lifecycle.defer('last drain', () => lastDrain(drain, releaser, clock, logger));
  if (deps.reclaimOnStop) {
    lifecycle.defer('leases', async () => {
      const result = await keeper.retireAll();
      logger.info(result, 'leases given back');
    });
  }
  drain.start();
  lifecycle.defer('drain', () => drain.stop());
  const usesLoop = startLoop({
    clock,
    everyMs: USES_EVERY_MS,
    round: () => uses.flush(),
    onError: (error) => logger.debug({ err: error }, 'last uses of keys wait'),
  });
  lifecycle.defer('uses of keys', () => usesLoop.stop());
  reaper.start();
  lifecycle.defer('reaper', () => reaper.stop());
  keeper.start();
  lifecycle.defer('keeper', () => keeper.stopLoops());
  const subscriber = new Subscriber({
    url: deps.redisUrl,
    name: 'tollgate-metering-sub',
    clock,
    handlers: { [channels.need]: (accountId) => needs.hint(accountId) },
    // What was asked while nothing was heard stands in the need hashes; a new process behind the address has no leases.
    onState: (up) => {
      if (up) keeper.wake();
    },
    onError: (error) => logger.debug({ err: error }, 'redis subscription'),
  });
  lifecycle.defer('subscription', () => subscriber.close());

  // Files are the console's: where nobody said where it is, expired ones are unreadable and stay.
  const consoleFiles = deps.batches && {
    consoleUrl: deps.batches.consoleUrl,
    serviceToken: deps.serviceToken,
    timeoutMs: FILE_DELETE_MS,
  };
  const expireDue = consoleFiles && (() => expireFiles({ db, files: createBatchFiles(consoleFiles), clock, logger }));
  const alerts = new Alerts({ db, directory: new ConsoleDirectory(redis, guard), clock, random, logger });
  if (deps.jobs) {
    const jobs = startJobs({
      redisUrl: deps.redisUrl,
      clock,
      logger,
      metrics,
      rescheduleMs: deps.jobs.rescheduleMs,
      tasks: {
        rollup_hourly: { everyMs: deps.jobs.rollupEveryMs, run: () => rollups.hourly() },
        rollup_daily: { everyMs: deps.jobs.rollupEveryMs * 5, run: () => rollups.daily() },
        reconcile: { everyMs: deps.jobs.reconcileEveryMs, run: runReconcile },
        partitions: { everyMs: PARTITIONS_EVERY_MS, run: () => keepPartitions(db, clock, logger) },
        alerts: { everyMs: ALERTS_EVERY_MS, run: () => alerts.round() },
        files: { everyMs: FILES_EVERY_MS, run: async () => expireDue?.() },
        repeats: { everyMs: REPEATS_EVERY_MS, run: () => forgetPosts(db, clock.nowMs()) },
      },
    });
    lifecycle.defer('jobs', () => jobs.stop());
    if (deps.webhooks) {
      const { sealKey, allowInside, everyMs } = deps.webhooks;
      const deliverer = new Deliverer({ db, clock, logger, sealer: createSealer(sealKey, random), allowInside });
      const deliveries = startWebhookJobs({ db, redisUrl: deps.redisUrl, deliverer, clock, logger, metrics, everyMs });
      lifecycle.defer('webhooks', () => deliveries.stop());
    } else {
      logger.info('no key for webhook secrets is configured: webhooks wait');
    }
  }
  const refusals = new Refusals(db, new RefusalLog(redis, guard));
  const refusalLoop = startLoop({
    clock,
    everyMs: REFUSALS_EVERY_MS,
    round: async () => void (await refusals.round()),
    onError: (error) => logger.debug({ err: error }, 'refused requests wait in Redis'),
  });
  lifecycle.defer('refusals', () => refusalLoop.stop());

  const { serviceToken, redisUrl } = deps;
  const issuer = startIssuer({
    db,
    serviceToken,
    clock,
    random,
    logger,
    everyMs: RECEIPTS_EVERY_MS,
    onError: (error) => {
      metrics.loopErrorsTotal.inc({ loop: 'receipts' });
      logger.warn({ err: error }, 'receipts wait for the next round');
    },
  });
  lifecycle.defer('receipts', () => issuer.stop());
  const fleet = new FleetStore(redis, guard);
  const engines = startEngineWatch({ db, fleet, clock, logger, metrics, everyMs: ENGINES_EVERY_MS });
  lifecycle.defer('engines', () => engines.stop());
  const batches =
    deps.batches === null
      ? null
      : startBatches({ ...deps.batches, redisUrl, serviceToken }, { db, lifecycle, logger, clock, random, metrics });

  const bodies = new BodyDesk({ db, clock, accountBytes: deps.keptAccountBytes ?? 0 });
  const deleting = bodies.startDeleting(BODIES_EVERY_MS, (error) => {
    metrics.loopErrorsTotal.inc({ loop: 'bodies' });
    logger.warn({ err: error }, 'kept bodies are deleted in the next round');
  });
  lifecycle.defer('kept bodies', () => deleting.stop());

  const http = await startHttpServer(deps.listen, {
    db,
    recorder,
    serviceToken: deps.serviceToken,
    logger,
    ready: isReady,
    onFreed: (freed) => drain.forgetVerdicts(freed),
    batches,
    bodies,
  });
  lifecycle.defer('http', () => http.close());
  logger.info({ url: http.url, buckets: deps.bucketCount }, 'metering is up');
  return {
    url: http.url,
    metricsUrl,
    registry,
    db,
    redis,
    scripts,
    drain,
    desk,
    keeper,
    releaser,
    reaper,
    rollups,
    reconcile: runReconcile,
  };
}

async function canUse(db: Db): Promise<boolean> {
  try {
    return (await pendingMigrations(db)).length === 0;
  } catch {
    return false;
  }
}

/** What is in the outboxes goes to Postgres, and leases that were just closed give their last money back. */
async function lastDrain(drain: Drain, releaser: Releaser, clock: Clock, logger: Logger): Promise<void> {
  const endMs = clock.monotonicMs() + LAST_DRAIN_MS;
  try {
    while (clock.monotonicMs() < endMs && (await drain.drainAll()) > 0);
    await releaser.round();
  } catch (error) {
    logger.warn({ err: error }, 'records are left in the outbox; the next start drains them');
  }
}
