/** For run.mjs, which reads no environment itself: where the tools are, and whether there is a Helm. */
import { tool, toolFolder } from './config.ts';

process.stdout.write(JSON.stringify({ folder: toolFolder, helm: tool('helm') !== null }));
