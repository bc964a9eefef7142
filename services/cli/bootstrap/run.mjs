// @ts-check
/**
 * `node run.mjs <command>`: like `tollgate <command>`, with the set-up of a bare machine first (`npm run bench`).
 * `node run.mjs --script FILE`: the same for a program of this clone (`npm run study`).
 */

import { runStage } from './say.mjs';
import { prepareAndRun, runScript } from './stages.mjs';

const [first, second, ...rest] = process.argv.slice(2);
await runStage(() => (first === '--script' && second ? runScript(second, rest) : prepareAndRun(process.argv.slice(2))));
