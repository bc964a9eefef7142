/** The console's configuration: the only place of this service that reads environment variables. */

import { KEPT_ACCOUNT_BYTES, KEPT_BODY_BYTES } from '@tollgate/shared/contracts/kept-body';
import { usdToNusd } from '@tollgate/shared/domain/money';
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
  /** The first operator: made at the start when missing. Without it a one-time token is logged. */
  TOLLGATE_ADMIN_EMAIL: z.email().max(254).optional(),
  TOLLGATE_ADMIN_PASSWORD: secret(z.string().min(12, 'must be at least 12 characters')).optional(),
  /** Where browsers reach this console; https makes cookies `__Host-` and Secure. */
  TOLLGATE_CONSOLE_URL: httpUrl().optional(),
  /** Base of the routers as this console reaches them, without /v1: for the playground. */
  TOLLGATE_ROUTER_URL: httpUrl().optional(),
  /** The same as clients reach them: what the dashboard shows. TOLLGATE_ROUTER_URL when absent. */
  TOLLGATE_API_URL: httpUrl().optional(),
  /** Proxies in front of this console that may name the client's address. */
  TOLLGATE_CONSOLE_TRUSTED_PROXIES: integer(0, 10).default(0),
  /** Folder of the dashboard's build. */
  TOLLGATE_DASHBOARD_DIR: z.string().min(1).optional(),
  /** Key of second factors and webhook secrets in Postgres; derived from the pepper when absent. Metering needs it too. */
  TOLLGATE_SEAL_KEY: secret(z.string().min(32, 'must be at least 32 characters')).optional(),
  TOLLGATE_SIGN_UP: z.enum(['open', 'invite']).default('invite'),
  /** First credit of a new organisation, in USD. */
  TOLLGATE_SIGN_UP_CREDIT_USD: usdText().default(0n),
  TOLLGATE_OIDC_ISSUER: httpUrl().optional(),
  TOLLGATE_OIDC_CLIENT_ID: z.string().min(1).optional(),
  TOLLGATE_OIDC_CLIENT_SECRET: secret(z.string().min(1)).optional(),
  /** On the button. */
  TOLLGATE_OIDC_NAME: z.string().min(1).max(60).default('Single sign-on'),
  /** Takes mail as JSON {to, subject, text}; without it links are shown to whoever invites. */
  TOLLGATE_MAIL_URL: httpUrl().optional(),
  TOLLGATE_MAIL_TOKEN: secret(z.string().min(1)).optional(),
  STRIPE_SECRET_KEY: secret(z.string().min(1)).optional(),
  STRIPE_WEBHOOK_SECRET: secret(z.string().min(1)).optional(),
  /** Stripe's own API when absent. */
  STRIPE_API_URL: httpUrl().optional(),
  TOLLGATE_TOPUP_MIN_USD: usdText().default(5_000_000_000n),
  TOLLGATE_TOPUP_MAX_USD: usdText().default(10_000_000_000_000n),
  /** Webhooks may lead into private networks: only where every user is trusted. */
  TOLLGATE_WEBHOOKS_PRIVATE: flag().default(false),
  /** What routers and metering keep of bodies (the same variables there): here it is only told. */
  TOLLGATE_KEPT_BODY_BYTES: integer(1_024, 16_777_216).default(KEPT_BODY_BYTES),
  TOLLGATE_KEPT_ACCOUNT_BYTES: integer(0, 1_099_511_627_776).default(KEPT_ACCOUNT_BYTES),
  TOLLGATE_STOP_GRACE_MS: integer(0, 600_000).default(10_000),
  LOG_LEVEL: logLevel().default('info'),
};

/** An amount in USD, such as `12.50`; parsed to nano-USD. */
function usdText() {
  return z
    .string()
    .regex(/^\d{1,7}(\.\d{1,9})?$/, 'must be an amount in USD, such as 12.50')
    .transform((text) => usdToNusd(text));
}

export type ConsoleConfig = z.output<z.ZodObject<typeof consoleShape>>;

/** Exits 78 with every problem listed; `--check-config` prints the redacted configuration and exits 0. */
export function readConfig(argv: readonly string[], env: Environment): ConsoleConfig {
  return loadConfig('console', consoleShape, argv, env);
}

/** This process's environment, for `main`. */
export function processEnvironment(): Environment {
  return process.env;
}
