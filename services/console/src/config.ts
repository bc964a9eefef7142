/** The console's configuration: the only place of this service that reads environment variables. */
import {
  commaList,
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

export const consoleShape = {
  TOLLGATE_CONSOLE_LISTEN: listenAddress().default({ host: '127.0.0.1', port: 8081 }),
  /** Port of its own for /metrics, /healthz, /readyz. */
  TOLLGATE_CONSOLE_METRICS_LISTEN: listenAddress().optional(),
  DATABASE_URL: secret(postgresUrl()),
  REDIS_URL: secret(redisUrl()),
  /** Secret of the key digests; the same for console and routers, kept for the life of the installation. */
  TOLLGATE_KEY_PEPPER: secret(z.string().min(32, 'must be at least 32 characters')),
  TOLLGATE_ADMIN_TOKEN: secret(z.string().min(24, 'must be at least 24 characters')),
  TOLLGATE_BUCKETS: integer(1, 16_384).default(256),
  /** Host headers this console answers to, with port; empty = any. */
  TOLLGATE_CONSOLE_HOSTS: commaList().default([]),
  /** Origins besides its own that browsers may send changes from. */
  TOLLGATE_CONSOLE_ORIGINS: commaList().default([]),
  /** Whether new keys may send grammars unless the request says so. */
  TOLLGATE_KEYS_ALLOW_GRAMMARS: flag().default(false),
  /** Connections to Postgres at most; 1 is right for the embedded one. */
  TOLLGATE_CONSOLE_DB_CONNECTIONS: integer(1, 100).default(4),
  /** Folder of uploaded files, shared by all consoles; without it nothing can be uploaded. */
  TOLLGATE_FILES_DIR: z.string().min(1).optional(),
  TOLLGATE_FILE_MAX_BYTES: integer(1_024, 1_073_741_824).default(67_108_864),
  /** Bytes of files that one account may keep. */
  TOLLGATE_ACCOUNT_FILES_BYTES: integer(1_024).default(5_368_709_120),
  /** What other services of the installation show. */
  TOLLGATE_SERVICE_TOKEN: secret(z.string().min(24, 'must be at least 24 characters')).optional(),
  /** Retrieval's base URL, where it is installed: it forgets files that are deleted. */
  TOLLGATE_RETRIEVAL_URL: httpUrl().optional(),
  TOLLGATE_STOP_GRACE_MS: integer(0, 600_000).default(10_000),
  LOG_LEVEL: logLevel().default('info'),
};

export type ConsoleConfig = z.output<z.ZodObject<typeof consoleShape>>;

/** Exits 78 with every problem listed; `--check-config` prints the redacted configuration and exits 0. */
export function readConfig(argv: readonly string[], env: Environment): ConsoleConfig {
  return loadConfig('console', consoleShape, argv, env);
}

/** This process's environment, for `main`. */
export function processEnvironment(): Environment {
  return process.env;
}
