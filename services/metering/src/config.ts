/** Metering's configuration: the only place of this service that reads environment variables. */
import { KEPT_ACCOUNT_BYTES } from '@tollgate/shared/contracts/kept-body';
import {
  type Environment,
  flag,
  httpUrl,
  integer,
  listenAddress,
  loadConfig,
  logLevel,
  postgresUrl,
  redisUrl,
  secret,
} from '@tollgate/shared/runtime/config';
import { z } from 'zod';

const ms = (standard: number, max = 86_400_000) => integer(1, max).default(standard);

export const meteringShape = {
  TOLLGATE_METERING_LISTEN: listenAddress().default({ host: '127.0.0.1', port: 8082 }),
  /** Port of its own for /metrics, /healthz, /readyz. */
  TOLLGATE_METERING_METRICS_LISTEN: listenAddress().default({ host: '127.0.0.1', port: 9102 }),
  DATABASE_URL: secret(postgresUrl()),
  REDIS_URL: secret(redisUrl()),
  /** One Redis process at this address and no replica, ever: a new process proves the old one dead. */
  TOLLGATE_REDIS_STANDALONE: flag().default(false),
  /** Shared with the routers, for POST /ingest. */
  TOLLGATE_SERVICE_TOKEN: secret(z.string().min(16, 'must be at least 16 characters')),
  TOLLGATE_BUCKETS: integer(1, 16_384).default(256),
  /** Connections to Postgres at most; 1 works everywhere. */
  TOLLGATE_METERING_DB_CONNECTIONS: integer(1, 100).default(6),
  TOLLGATE_METERING_BATCH: integer(1, 10_000).default(500),
  TOLLGATE_METERING_DRAIN_MS: ms(200),
  TOLLGATE_METERING_LEASE_MS: ms(900_000),
  TOLLGATE_METERING_LEASE_SWEEP_MS: ms(5_000),
  TOLLGATE_METERING_NEED_SWEEP_MS: ms(1_000),
  /** A lease that nobody spends from is given back after this. */
  TOLLGATE_METERING_LEASE_IDLE_MS: ms(120_000),
  /** A lease is filled up to at least this, in nano-USD. */
  TOLLGATE_METERING_MIN_LEASE_NUSD: z
    .string()
    .regex(/^\d{1,14}$/, 'must be a whole number of nano-USD')
    .transform(BigInt)
    .default(50_000_000n),
  /** Allowed difference between clocks at the end of a lease. */
  TOLLGATE_METERING_SKEW_MS: integer(0, 3_600_000).default(60_000),
  /** Three heartbeats of the routers: how long running requests may take to register anew after a loss. */
  TOLLGATE_METERING_GRACE_MS: integer(0, 3_600_000).default(30_000),
  TOLLGATE_METERING_REAP_EVERY_MS: ms(5_000),
  TOLLGATE_METERING_UNBEATEN_MS: ms(30_000),
  /** H: routers out of touch for longer have cut their streams. */
  TOLLGATE_METERING_SILENT_MS: ms(600_000),
  TOLLGATE_METERING_REAP_MARGIN_MS: integer(0, 3_600_000).default(60_000),
  /** Roll-ups and reconciliation through BullMQ. */
  TOLLGATE_METERING_JOBS: flag().default(true),
  TOLLGATE_METERING_RECONCILE_MS: ms(60_000),
  TOLLGATE_METERING_ROLLUP_MS: ms(60_000),
  /** Base URLs of a router and of the console: with both, this process runs batches. */
  TOLLGATE_ROUTER_URL: httpUrl().optional(),
  TOLLGATE_CONSOLE_URL: httpUrl().optional(),
  /** Lines of one batch under way at a time; fewer by itself while the fleet is busy. */
  TOLLGATE_BATCH_PARALLEL: integer(1, 10_000).default(16),
  TOLLGATE_BATCH_CONCURRENCY: integer(1, 1_000).default(4),
  TOLLGATE_BATCH_MAX_LINES: integer(1, 10_000_000).default(50_000),
  TOLLGATE_BATCH_MAX_LINE_BYTES: integer(100).default(1_048_576),
  TOLLGATE_BATCH_MAX_FILE_BYTES: integer(1_000).default(209_715_200),
  /** Batches that one account may have in work. */
  TOLLGATE_BATCH_MAX_OPEN: integer(1).default(20),
  /** A batch whose process is silent for so long goes on in another. */
  TOLLGATE_BATCH_LOCK_MS: ms(30_000),
  TOLLGATE_BATCH_SWEEP_MS: ms(5_000),
  /** Sealed bodies of one account that are kept at most; further ones are not. */
  TOLLGATE_KEPT_ACCOUNT_BYTES: integer(0, 1_099_511_627_776).default(KEPT_ACCOUNT_BYTES),
  /** A stop gives all idle leases back. Off for one of several instances that is only restarted. */
  TOLLGATE_METERING_RECLAIM_ON_STOP: flag().default(true),
  /** What the console seals webhook secrets with: its seal key, or the pepper where it has none. */
  TOLLGATE_SEAL_KEY: secret(z.string().min(32, 'must be at least 32 characters')).optional(),
  TOLLGATE_KEY_PEPPER: secret(z.string().min(32, 'must be at least 32 characters')).optional(),
  /** Webhooks may lead into private networks: only where every user is trusted. */
  TOLLGATE_WEBHOOKS_PRIVATE: flag().default(false),
  TOLLGATE_STOP_GRACE_MS: integer(0, 600_000).default(15_000),
  LOG_LEVEL: logLevel().default('info'),
};

export type MeteringConfig = z.output<z.ZodObject<typeof meteringShape>>;

/** Exits 78 with every problem listed; `--check-config` prints the redacted configuration and exits 0. */
export function readConfig(argv: readonly string[], env: Environment): MeteringConfig {
  return loadConfig('metering', meteringShape, argv, env);
}

/** This process's environment, for `main`. */
export function processEnvironment(): Environment {
  return process.env;
}
