/** `tollgate serve metering`: configuration in, process out. */
import { MetaMismatch } from '@tollgate/shared/db/meta-store';
import { ConfigError, type Environment, exitOnConfigError } from '@tollgate/shared/runtime/config';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { optionsOf, startMetering } from './app.ts';
import { processEnvironment, readConfig } from './config.ts';

/** Runs metering until SIGTERM or SIGINT. Bad configuration ends the process with status 78. */
export async function main(argv: readonly string[], env: Environment): Promise<void> {
  const config = readConfig(argv, env);
  const logger = createLogger({ service: 'metering', level: config.LOG_LEVEL });
  const lifecycle = createLifecycle({ logger, graceMs: config.TOLLGATE_STOP_GRACE_MS });
  const running = lifecycle.run();
  try {
    await startMetering({ ...optionsOf(config), lifecycle, logger });
    // A supervisor that started this process with an IPC channel waits for this word.
    process.send?.({ ready: true });
  } catch (error) {
    if (error instanceof MetaMismatch) {
      exitOnConfigError('metering', new ConfigError([{ name: 'TOLLGATE_BUCKETS', message: error.message }]));
    }
    await lifecycle.fail(error);
  }
  await running;
}

if (import.meta.main) await main(process.argv.slice(2), processEnvironment());
