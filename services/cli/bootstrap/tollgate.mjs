#!/usr/bin/env node
import { runStage } from './say.mjs';
// @ts-check
/** The `tollgate` command: finds the pinned Node and the build, then runs the command line in it. */
import { prepareAndRun, runBuilt } from './stages.mjs';

const args = process.argv.slice(2);
await runStage(() => (args[0] === 'dev' ? prepareAndRun(args) : runBuilt(args)));
