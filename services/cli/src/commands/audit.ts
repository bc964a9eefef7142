import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Checkpoint, verifyAudit } from '../audit/verify.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT_FAILURE, EXIT_USAGE, printResult } from '../output.ts';

export function addAuditCommands(program: Command, context: Context): void {
  const audit = program.command('audit').description('the log of who changed what');

  audit
    .command('verify')
    .description('recompute the chain of the audit log; a broken one is exit 1')
    .option('--checkpoint <file>', 'hold it against what an earlier run wrote there, then write it anew')
    .action(async ({ checkpoint: file }: { checkpoint?: string }) => {
      const before = file === undefined ? null : readCheckpoint(file);
      const console_ = context.console();
      const found = await verifyAudit(console_.verifyAudit, before);
      if (!found.ok) context.setExitCode(EXIT_FAILURE);
      else if (file !== undefined) {
        const { lines, lastHash } = found;
        writeCheckpoint(file, { lines, lastHash, at: new Date(context.clock.nowMs()).toISOString() });
      }
      printResult(context.output(), found, ({ ok, lines, lastHash, checkpoint, problems }) => {
        if (!ok) return problems.join('\n');
        const since = checkpoint === null ? '' : `, ${lines - checkpoint.lines} of them since ${checkpoint.at}`;
        return `${lines} lines hold${since}; the last is ${lastHash ?? '-'}`;
      });
    });
}

/** Null when there is none yet. */
function readCheckpoint(file: string): Checkpoint | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CliError('no_such_file', `cannot read ${file}`, EXIT_USAGE);
  }
  const value = parse(text);
  if (value === null) throw new CliError('bad_checkpoint', `${file} is no checkpoint of this command`, EXIT_USAGE);
  return value;
}

function parse(text: string): Checkpoint | null {
  try {
    const { lines, lastHash, at } = JSON.parse(text) as Record<string, unknown>;
    const isHash = lines === 0 ? lastHash === null : typeof lastHash === 'string' && /^[0-9a-f]{64}$/.test(lastHash);
    if (typeof lines !== 'number' || !Number.isSafeInteger(lines) || lines < 0 || !isHash || typeof at !== 'string') {
      return null;
    }
    return { lines, lastHash: lastHash as string | null, at };
  } catch {
    return null;
  }
}

/** Whole or not at all: half a checkpoint would look like a log that was cut. */
function writeCheckpoint(file: string, checkpoint: Checkpoint): void {
  try {
    writeFileSync(`${file}.new`, `${JSON.stringify(checkpoint)}\n`);
    renameSync(`${file}.new`, file);
  } catch {
    throw new CliError('not_writable', `cannot write ${file}`);
  }
}
