/** What the command line prints: results on standard output, failures on standard error, one shape each. */
import { maskSecrets } from '@tollgate/shared/runtime/logger';

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;
/** sysexits.h EX_CONFIG. */
export const EXIT_CONFIG = 78;

/** A failure with a code for scripts and a sentence for people. Messages never hold a key or a token. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: string;
  readonly exitCode: number;

  constructor(code: string, message: string, exitCode: number = EXIT_FAILURE) {
    super(message);
    this.code = code;
    this.exitCode = exitCode;
  }
}

export interface Output {
  /** Whether results are JSON. */
  json: boolean;
  /** Whether a person sits at both ends: only then may a command ask. */
  interactive: boolean;
  stdout(text: string): void;
  stderr(text: string): void;
}

/** Prints a result: as one line of JSON, or through `render` for people. */
export function printResult<T>(output: Output, value: T, render: (value: T) => string): void {
  output.stdout(output.json ? `${JSON.stringify(value)}\n` : ensureNewline(render(value)));
}

/** Prints a failure: nothing on standard output. */
export function printFailure(output: Output, code: string, message: string): void {
  const safe = maskSecrets(message);
  output.stderr(output.json ? `${JSON.stringify({ error: { code, message: safe } })}\n` : `tollgate: ${safe}\n`);
}

const ensureNewline = (text: string) => (text.endsWith('\n') ? text : `${text}\n`);

/** Widest line of a table. */
const WIDTH = 80;

/**
 * A plain table, in 80 columns where it can be: the widest cells are cut with `…`.
 * A head that starts with `>` is right-aligned; one that starts with `!` holds what people copy, and is never cut.
 */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '(none)\n';
  const all = [heads.map((head) => head.replace(/^[>!]/, '')), ...rows];
  const widths = heads.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const gaps = 2 * (heads.length - 1);
  const cuttable = widths.map((_, column) => column).filter((column) => !heads[column]!.startsWith('!'));
  const total = () => widths.reduce((a, b) => a + b, 0) + gaps;
  while (total() > WIDTH) {
    const widest = cuttable.reduce((a, b) => (widths[b]! > widths[a]! ? b : a), cuttable[0] ?? 0);
    if (cuttable.length === 0 || widths[widest]! <= 4) break;
    widths[widest]! -= 1;
  }
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => {
        const width = widths[column]!;
        const cut = cell.length > width ? `${cell.slice(0, width - 1)}…` : cell;
        return heads[column]!.startsWith('>') ? cut.padStart(width) : cut.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}

/** `name: value` lines with aligned values. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return `${pairs.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')}\n`;
}
