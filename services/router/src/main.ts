/** Entry of the router process. README -> here -> app.ts -> pipeline.ts is the way to the hot path. */
import { ConfigError, type Environment, exitOnConfigError } from '@tollgate/shared/runtime/config';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { startRouter } from './app.ts';
import { processEnvironment, readConfig, stopWithinMs } from './config.ts';
import { ContractError } from './contract/profile.ts';
import { LogOutput } from './log-output.ts';

/** Runs until SIGTERM or SIGINT. Exit status 78 on a bad configuration, 1 when it could not start or stop in time. */
export async function main(argv: readonly string[], env: Environment): Promise<void> {
  const config = readConfig(argv, env);
  const logger = createLogger({ service: 'router', level: config.LOG_LEVEL, destination: new LogOutput() });
  const lifecycle = createLifecycle({ logger, graceMs: stopWithinMs(config) });
  const running = lifecycle.run();
  try {
    const { url } = await startRouter({ config, logger, lifecycle });
    // A supervisor that started this process with an IPC channel waits for this word.
    process.send?.({ ready: true, url });
  } catch (error) {
    if (error instanceof ContractError) exitOnConfigError('router', asConfigError(error));
    await lifecycle.fail(error);
  }
  await running;
}

/** Contract profiles are configuration that lies in files. */
function asConfigError({ problems }: ContractError): ConfigError {
  return new ConfigError(problems.map((message) => ({ name: 'contracts', message })));
}

if (import.meta.main) await main(process.argv.slice(2), processEnvironment());
