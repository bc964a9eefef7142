// @ts-check
/** What the bootstrap prints: short lines of progress, and failures that say what to do. */

/** A failure whose message is complete for the person who reads it: printed in one line, without a stack. */
export class Stop extends Error {
  /** @param {string} message @param {number} [exitCode] */
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Progress goes to standard error, so that `--json` output stays clean. @param {string} line */
export function say(line) {
  process.stderr.write(`tollgate: ${line}\n`);
}

/**
 * Runs `main`; a `Stop` becomes one line (JSON where `--json` was asked) and its exit status.
 * @param {() => Promise<number> | number} main
 */
export async function runStage(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const { message, exitCode } = error;
    if (process.argv.includes('--json'))
      process.stderr.write(`${JSON.stringify({ error: { code: 'setup_failed', message } })}\n`);
    else say(message);
    process.exitCode = exitCode;
  }
}
