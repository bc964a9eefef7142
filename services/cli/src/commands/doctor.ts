import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { runChecks } from '../doctor/checks.ts';
import { EXIT_FAILURE, printResult } from '../output.ts';

export function addDoctorCommand(program: Command, context: Context): void {
  program
    .command('doctor')
    .description('check everything that a working installation needs; exit 1 if a check fails')
    .action(async () => {
      const checks = await runChecks(context);
      printResult(context.output(), { checks }, (result) =>
        result.checks
          .map(
            ({ name, ok, detail, fix }) =>
              `${ok ? 'ok  ' : 'FAIL'}  ${name}: ${detail}${fix ? `\n      ${ok ? 'note' : 'fix'}: ${fix}` : ''}\n`,
          )
          .join(''),
      );
      if (checks.some((check) => !check.ok)) context.setExitCode(EXIT_FAILURE);
    });
}
