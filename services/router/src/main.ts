/** Entry of the router process. README -> here -> app.ts -> pipeline.ts is the way to the hot path. */

import type { Environment } from '@tollgate/shared/runtime/config';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { startRouter } from './app.ts';
import { processEnvironment, readConfig } from './config.ts';

/** Runs until SIGTERM or SIGINT. Exit status 78 on a bad configuration, 1 when it could not start. */
export async function main(argv: readonly string[], env: Environment): Promise<void> {
  const config = readConfig(argv, env);
  const logger = createLogger({ service: 'router', level: config.LOG_LEVEL });
  try {
    const router = await startRouter({ config, logger });
    await router.lifecycle.run();
  } catch (error) {
    logger.fatal({ err: error }, 'the router could not start');
    process.exitCode = 1;
  }
}

if (import.meta.main) await main(process.argv.slice(2), processEnvironment());
