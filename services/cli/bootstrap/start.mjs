// @ts-check
/** `npm start`: everything that a bare machine lacks, then `tollgate dev`. */

import { runStage } from './say.mjs';
import { prepareAndRun } from './stages.mjs';

await runStage(() => prepareAndRun(['dev', ...process.argv.slice(2)]));
