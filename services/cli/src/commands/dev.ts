import { confirm, isCancel } from '@clack/prompts';
import type { Command } from 'commander';
import { type DevFile, devSettings, homeFolder } from '../config.ts';
import type { Context } from '../context.ts';
import { followLogs } from '../dev/follow.ts';
import { openHome, wipeHome } from '../dev/home.ts';
import { DEV_MODEL } from '../dev/plan.ts';
import { startDev } from '../dev/supervisor.ts';
import { CliError, facts, printResult } from '../output.ts';
import { parseCount, parsePort } from '../parse.ts';

interface DevCommandOptions {
  routerPort?: number;
  consolePort?: number;
  metricsPort?: number;
  workers: number;
  speed: number;
  anyPort?: boolean;
  reset?: boolean;
  verbose?: boolean;
}

function parseSpeed(text: string): number {
  const speed = Number(text);
  if (!(speed > 0 && speed <= 10_000)) throw new CliError('usage', 'speed must be a number above 0', 2);
  return speed;
}

/** Written for people: where things are and a first request to try. */
function renderDev(dev: DevFile): string {
  const body = JSON.stringify({ model: DEV_MODEL, stream: true, messages: [{ role: 'user', content: 'Hello' }] });
  return [
    '',
    'Tollgate is ready.',
    '',
    facts([
      ['API', dev.routerUrl],
      ['API key', dev.apiKey],
      ['console', dev.consoleUrl],
      ['admin', `${dev.adminEmail}  password ${dev.adminPassword}`],
      ['admin token', dev.adminToken],
      ['metrics', dev.metricsUrl],
    ]),
    `curl -N ${dev.routerUrl}/chat/completions -H 'Authorization: Bearer ${dev.apiKey}' \\`,
    `  -H 'Content-Type: application/json' -d '${body}'`,
    '',
  ].join('\n');
}

export function addDevCommand(program: Command, context: Context): void {
  program
    .command('dev')
    .description('start everything on this machine: Redis, database, two simulated GPU workers, router, console')
    .option('--router-port <port>', 'port of the API (8080)', parsePort)
    .option('--console-port <port>', 'port of the console (8081)', parsePort)
    .option('--metrics-port <port>', "port of the router's metrics (9101, or any free one)", parsePort)
    .option('--any-port', 'take free ports everywhere')
    .option('--workers <n>', 'simulated GPU workers', parseCount, 2)
    .option('--speed <factor>', 'how much faster than a real GPU they answer', parseSpeed, 1)
    .option('--reset', 'wipe all data and secrets of the local start first')
    .option('--verbose', 'show the logs of all processes')
    .action(async (options: DevCommandOptions) => {
      const output = context.output();
      const say = (line: string) => output.stderr(`tollgate: ${line}\n`);
      const settings = devSettings(context.env);
      const home = openHome(homeFolder(context.env));
      if (options.reset && output.interactive && !output.json) {
        const sure = await confirm({ message: `Wipe all data and secrets in ${home.folder}?`, initialValue: false });
        if (isCancel(sure) || !sure) throw new CliError('cancelled', 'nothing was wiped');
      }
      const listen = (given: { host: string; port: number } | null, port: number | undefined, usual: number) => ({
        host: given?.host ?? '127.0.0.1',
        port: port ?? given?.port ?? usual,
      });
      const metricsGiven = options.metricsPort !== undefined || settings.metricsListen !== null;
      const unfollow = options.verbose ? followLogs(home.logs, output.stderr) : () => {};
      const result = await startDev(
        home,
        {
          env: context.env,
          router: listen(settings.routerListen, options.routerPort, 8080),
          console: listen(settings.consoleListen, options.consolePort, 8081),
          metrics: metricsGiven ? listen(settings.metricsListen, options.metricsPort, 9101) : null,
          anyPort: options.anyPort ?? false,
          redisUrl: settings.redisUrl,
          databaseUrl: settings.databaseUrl,
          workers: options.workers,
          speed: options.speed,
          reset: options.reset ?? false,
          wipe: () => wipeHome(home),
        },
        say,
      );
      printResult(output, result.dev, renderDev);
      if (result.kind === 'already') {
        say('it was running already');
        unfollow();
        return;
      }
      say('Ctrl-C stops it; data and keys stay');
      // A closed terminal is a reason to stop in good order, not to die.
      process.on('SIGHUP', () => void result.lifecycle.stop('SIGHUP'));
      await result.stopped;
      unfollow();
      say('stopped');
    });
}
