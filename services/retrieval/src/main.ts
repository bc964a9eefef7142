/** `tollgate serve retrieval`: configuration in, process out. */
import { VectorExtensionMissing } from '@tollgate/shared/db/retrieval/migrate';
import { ConfigError, type Environment, exitOnConfigError } from '@tollgate/shared/runtime/config';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { startRetrieval } from './app.ts';
import { processEnvironment, readConfig } from './config.ts';

/** Runs retrieval until SIGTERM or SIGINT. Bad configuration, or a database without pgvector, ends it with status 78. */
export async function main(argv: readonly string[], env: Environment): Promise<void> {
  const config = readConfig(argv, env);
  const logger = createLogger({ service: 'retrieval', level: config.LOG_LEVEL });
  const lifecycle = createLifecycle({ logger, graceMs: config.TOLLGATE_STOP_GRACE_MS });
  const running = lifecycle.run();
  try {
    const { url } = await startRetrieval({ config, lifecycle, logger });
    // A supervisor that started this process with an IPC channel waits for this word.
    process.send?.({ ready: true, url });
  } catch (error) {
    if (error instanceof VectorExtensionMissing) {
      exitOnConfigError('retrieval', new ConfigError([{ name: 'DATABASE_URL', message: error.message }]));
    }
    await lifecycle.fail(error);
  }
  await running;
}

if (import.meta.main) await main(process.argv.slice(2), processEnvironment());
