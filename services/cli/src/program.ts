/** The `tollgate` command line (DESIGN section 10): commands, options and exit statuses are a contract for scripts. */
import { systemClock } from '@tollgate/shared/runtime/clock';
import { ConfigError, type Environment } from '@tollgate/shared/runtime/config';
import { Command, CommanderError } from 'commander';
import { addAuditCommands } from './commands/audit.ts';
import { addCreditCommands } from './commands/credits.ts';
import { addDevCommand } from './commands/dev.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addKeyCommands } from './commands/keys.ts';
import { addReceiptCommands } from './commands/receipts.ts';
import { addServiceCommands } from './commands/services.ts';
import { addUsageCommands } from './commands/usage.ts';
import { addWorkerSidecarCommand } from './commands/worker-sidecar.ts';
import { addWorkerCommands } from './commands/workers.ts';
import { backendAddresses, consoleAccess } from './config.ts';
import { createConsoleClient } from './console-client.ts';
import type { Context } from './context.ts';
import { CliError, EXIT_CONFIG, EXIT_FAILURE, EXIT_OK, EXIT_USAGE, type Output, printFailure } from './output.ts';
import { VERSION } from './version.ts';

export interface Terminal {
  cwd: string;
  interactive: boolean;
  stdout(text: string): void;
  stderr(text: string): void;
}

/** Runs one command and returns the exit status: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration. */
export async function runCommandLine(argv: readonly string[], env: Environment, terminal: Terminal): Promise<number> {
  // Known before parsing, so that usage errors have the right shape too.
  const output: Output = { ...terminal, json: beforeSeparator(argv).includes('--json') };
  let exitCode = EXIT_OK;
  const context: Context = {
    env,
    cwd: terminal.cwd,
    clock: systemClock,
    output: () => output,
    console: () => createConsoleClient(consoleAccess(terminal.cwd, env)),
    backend: () => backendAddresses(terminal.cwd, env),
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  try {
    await createProgram(context).parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(output, error);
  }
}

function createProgram(context: Context): Command {
  const program = new Command('tollgate');
  program
    .description('a paid, multi-tenant, OpenAI-compatible API in front of vLLM and SGLang workers')
    .version(VERSION)
    .option('--json', 'print JSON')
    .enablePositionalOptions()
    .showHelpAfterError(false)
    .exitOverride()
    // Commander's own words go through `report`, in the one shape of failures.
    .configureOutput({ writeOut: context.output().stdout, writeErr: () => {} });
  addDevCommand(program, context);
  addServiceCommands(program, context);
  addKeyCommands(program, context);
  addCreditCommands(program, context);
  addUsageCommands(program, context);
  addReceiptCommands(program, context);
  addAuditCommands(program, context);
  addWorkerCommands(program, context);
  addWorkerSidecarCommand(program, context);
  addDoctorCommand(program, context);
  for (const command of program.commands) prepare(command);
  return program;
}

/** Every command takes --json. Error handling is inherited from the program. */
function prepare(command: Command): void {
  // `serve` and `bench` hand everything behind their name on.
  if (command.name() !== 'serve' && command.name() !== 'bench') command.option('--json', 'print JSON');
  for (const child of command.commands) prepare(child);
}

function report(output: Output, error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT_OK;
    // `tollgate` or `tollgate keys` alone: the help was asked for, in a way.
    const text = error.code === 'commander.help' ? 'name a command: tollgate --help' : error.message;
    printFailure(output, 'usage', text.replace(/^error: /, ''));
    return EXIT_USAGE;
  }
  if (error instanceof CliError) {
    printFailure(output, error.code, error.message);
    return error.exitCode;
  }
  if (error instanceof ConfigError) {
    printFailure(output, 'bad_configuration', error.message);
    return EXIT_CONFIG;
  }
  printFailure(output, 'internal_error', error instanceof Error ? error.message : String(error));
  return EXIT_FAILURE;
}

function beforeSeparator(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}
