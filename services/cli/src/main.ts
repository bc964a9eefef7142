/** Entry of the built command line. `bootstrap/tollgate.mjs` runs it in the pinned Node. */
import { environment } from './config.ts';
import { runCommandLine } from './program.ts';

const exitCode = await runCommandLine(process.argv.slice(2), environment(), {
  cwd: process.cwd(),
  interactive: Boolean(process.stdin.isTTY && process.stderr.isTTY),
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
});
// Not process.exit: output to a pipe must still be written. Something may have set a status of its own.
if (exitCode !== 0) process.exitCode = exitCode;
