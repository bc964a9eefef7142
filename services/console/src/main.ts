/** `tollgate serve console`: configuration in, process out. */
import { MetaMismatch } from '@tollgate/shared/db/meta-store';
import { ConfigError, type Environment, exitOnConfigError } from '@tollgate/shared/runtime/config';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { startConsole } from './app.ts';
import { processEnvironment, readConfig } from './config.ts';

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

if (import.meta.main) await main(process.argv.slice(2), processEnvironment());
