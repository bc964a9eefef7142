import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import type { Environment } from '@tollgate/shared/runtime/config';
import type { Command } from 'commander';
import { projectRoot } from '../../../shared/src/runtime/binaries.mjs';
import { migrationUrl } from '../config.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_USAGE, printResult } from '../output.ts';

type ServiceMain = (argv: string[], env: Environment) => Promise<unknown>;

/** A service's entry is loaded only when it is asked for: the command line stays quick. */
const SERVICES: Record<string, () => Promise<{ main: ServiceMain }>> = {
  router: () => import('@tollgate/router/main'),
  console: () => import('@tollgate/console/main'),
  metering: () => import('@tollgate/metering/main'),
  retrieval: () => import('@tollgate/retrieval/main'),
  devworker: () => import('@tollgate/devworker/main'),
  pglite: () => import('../dev/pglite-main.ts'),
};

const SHOWN = 'router, console, metering, retrieval or devworker';

export function addServiceCommands(program: Command, context: Context): void {
  program
    .command('serve')
    .description(`run one service in the foreground: ${SHOWN}`)
    .argument('<service>', SHOWN)
    .argument('[arguments...]', 'handed to the service; --check-config prints its configuration')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (name: string, rest: string[]) => {
      const load = Object.hasOwn(SERVICES, name) ? SERVICES[name] : undefined;
      if (!load) throw new CliError('usage', `unknown service '${name}': ${SHOWN}`, EXIT_USAGE);
      const { main } = await load();
      await main(rest, context.env);
    });

  program
    .command('migrate')
    .description('bring the database schema up to date (DATABASE_URL)')
    .action(async () => {
      const db = openDatabase({
        url: migrationUrl(context.cwd, context.env),
        poolMax: 1,
        applicationName: 'tollgate-migrate',
      });
      try {
        const { applied, before } = await migrate(db);
        printResult(context.output(), { applied, before }, () =>
          applied.length === 0 ? `up to date (${before.length} migrations)` : `applied ${applied.join(', ')}`,
        );
      } catch (error) {
        throw new CliError('migration_failed', error instanceof Error ? error.message : 'the migration failed');
      } finally {
        await db.destroy();
      }
    });

  program
    .command('bench')
    .description('measure this machine: docs/benchmarks.md')
    .argument('[arguments...]', 'handed to the bench')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (rest: string[]) => {
      const script = join(projectRoot, 'test', 'load', 'bench.ts');
      if (!existsSync(script))
        throw new CliError('no_bench', 'the bench is part of a source checkout: test/load/bench.ts is missing');
      const child = spawn(process.execPath, ['--conditions=tollgate-source', script, ...rest], {
        stdio: 'inherit',
        env: context.env as NodeJS.ProcessEnv,
      });
      const forward = (signal: NodeJS.Signals) => void child.kill(signal);
      process.on('SIGINT', forward).on('SIGTERM', forward);
      context.setExitCode(await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1))));
    });
}
