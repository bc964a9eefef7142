// @ts-check
/** `node run.mjs <command>`: like `tollgate <command>`, with the set-up of a bare machine first (`npm run bench`). */

import { runStage } from './say.mjs';
import { prepareAndRun } from './stages.mjs';

await runStage(() => prepareAndRun(process.argv.slice(2)));
