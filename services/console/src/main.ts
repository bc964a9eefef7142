/** `tollgate serve console`: configuration in, process out. */
import { fileURLToPath } from 'node:url';
import { MetaMismatch } from '@tollgate/shared/db/meta-store';
import { ConfigError, type Environment, exitOnConfigError } from '@tollgate/shared/runtime/config';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { startConsole } from './app.ts';
import { type ConsoleConfig, processEnvironment, readConfig } from './config.ts';
import type { FileSettings } from './files/start.ts';
import type { PeopleSettings } from './services.ts';

/** Runs the console until SIGTERM or SIGINT. Bad configuration ends the process with status 78. */
export async function main(argv: readonly string[], env: Environment): Promise<void> {
  const config = readConfig(argv, env);
  const logger = createLogger({ service: 'console', level: config.LOG_LEVEL });
  const lifecycle = createLifecycle({ logger, graceMs: config.TOLLGATE_STOP_GRACE_MS });
  const running = lifecycle.run();
  try {
    await startConsole({
      listen: config.TOLLGATE_CONSOLE_LISTEN,
      metricsListen: config.TOLLGATE_CONSOLE_METRICS_LISTEN,
      databaseUrl: config.DATABASE_URL,
      redisUrl: config.REDIS_URL,
      keyPepper: config.TOLLGATE_KEY_PEPPER,
      adminToken: config.TOLLGATE_ADMIN_TOKEN,
      bucketCount: config.TOLLGATE_BUCKETS,
      allowedHosts: config.TOLLGATE_CONSOLE_HOSTS,
      allowedOrigins: config.TOLLGATE_CONSOLE_ORIGINS,
      allowGrammarsDefault: config.TOLLGATE_KEYS_ALLOW_GRAMMARS,
      poolMax: config.TOLLGATE_CONSOLE_DB_CONNECTIONS,
      serviceToken: config.TOLLGATE_SERVICE_TOKEN,
      files: filesOf(config),
      people: peopleOf(config),
      operator: operatorOf(config),
      dashboardFolder: config.TOLLGATE_DASHBOARD_DIR ?? DASHBOARD_FOLDER,
      trustedProxies: config.TOLLGATE_CONSOLE_TRUSTED_PROXIES,
      lifecycle,
      logger,
    });
    // A supervisor that started this process with an IPC channel waits for this word.
    process.send?.({ ready: true });
  } catch (error) {
    if (error instanceof MetaMismatch) {
      exitOnConfigError('console', new ConfigError([{ name: 'TOLLGATE_BUCKETS', message: error.message }]));
    }
    await lifecycle.fail(error);
  }
  await running;
}

/** The build beside this package, from src and from dist alike. */
const DASHBOARD_FOLDER = fileURLToPath(new URL('../../dashboard/dist/', import.meta.url));

function operatorOf(config: ConsoleConfig): { email: string; password: string } | undefined {
  const { TOLLGATE_ADMIN_EMAIL: email, TOLLGATE_ADMIN_PASSWORD: password } = config;
  return email !== undefined && password !== undefined ? { email, password } : undefined;
}

function peopleOf(config: ConsoleConfig): PeopleSettings {
  const { TOLLGATE_OIDC_ISSUER: issuer, TOLLGATE_OIDC_CLIENT_ID: clientId, TOLLGATE_MAIL_URL: mailUrl } = config;
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_WEBHOOK_SECRET: webhookSecret } = config;
  const trimmed = (url: string | undefined) => url?.replace(/\/+$/, '');
  return {
    sealKey: config.TOLLGATE_SEAL_KEY,
    publicUrl: trimmed(config.TOLLGATE_CONSOLE_URL),
    routerUrl: trimmed(config.TOLLGATE_ROUTER_URL),
    apiUrl: trimmed(config.TOLLGATE_API_URL),
    signUp: config.TOLLGATE_SIGN_UP,
    signUpCreditNusd: config.TOLLGATE_SIGN_UP_CREDIT_USD,
    oidc:
      issuer !== undefined && clientId !== undefined
        ? {
            ...{ id: 'sso', name: config.TOLLGATE_OIDC_NAME, issuer, clientId },
            clientSecret: config.TOLLGATE_OIDC_CLIENT_SECRET ?? '',
          }
        : null,
    mail: mailUrl === undefined ? null : { url: mailUrl, token: config.TOLLGATE_MAIL_TOKEN ?? null },
    stripe:
      secretKey !== undefined && webhookSecret !== undefined
        ? { secretKey, webhookSecret, apiUrl: config.STRIPE_API_URL }
        : null,
    topupMinNusd: config.TOLLGATE_TOPUP_MIN_USD,
    topupMaxNusd: config.TOLLGATE_TOPUP_MAX_USD,
    allowPrivateWebhooks: config.TOLLGATE_WEBHOOKS_PRIVATE,
    bodyLimits: {
      maxBodyBytes: config.TOLLGATE_KEPT_BODY_BYTES,
      maxStoredBytes: config.TOLLGATE_KEPT_ACCOUNT_BYTES,
    },
  };
}

/** Files need a folder, and the token by which other services are known. */
function filesOf(config: ConsoleConfig): FileSettings | undefined {
  const { TOLLGATE_FILES_DIR: folder, TOLLGATE_SERVICE_TOKEN: serviceToken } = config;
  if (folder === undefined || serviceToken === undefined) return undefined;
  return {
    folder,
    serviceToken,
    maxFileBytes: config.TOLLGATE_FILE_MAX_BYTES,
    maxAccountBytes: config.TOLLGATE_ACCOUNT_FILES_BYTES,
    retrievalUrl: config.TOLLGATE_RETRIEVAL_URL ?? null,
  };
}

if (import.meta.main) await main(process.argv.slice(2), processEnvironment());
