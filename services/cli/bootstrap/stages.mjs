// @ts-check
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDashboard } from './dashboard.mjs';
import { ensureRedis, REDIS_HELP } from './debian.mjs';
import {
  become,
  checkNodeVersion,
  cliMain,
  ensureBuilt,
  ensureInstalled,
  projectRoot,
  serviceNode,
} from './project.mjs';
import { Stop } from './say.mjs';

/** Commands that need a Redis server program on this machine unless REDIS_URL is set. */
const NEEDS_REDIS = new Set(['dev', 'bench']);

/** Commands that serve the dashboard. */
const NEEDS_DASHBOARD = new Set(['dev']);

/** Installs, builds and finds what is missing, then runs the command line. @param {string[]} args */
export async function prepareAndRun(args) {
  checkNodeVersion();
  await ensureInstalled();
  const node = serviceNode();
  await ensureBuilt(node);
  if (NEEDS_DASHBOARD.has(args[0] ?? '') && !args.includes('--help')) await ensureDashboard(node);
  const wantsRedis = NEEDS_REDIS.has(args[0] ?? '') && !process.env.REDIS_URL && !args.includes('--help');
  if (wantsRedis && !ensureRedis()) throw new Stop(REDIS_HELP);
  return become(node, [cliMain(), ...args]);
}

/** Runs a TypeScript program of this clone (a study) from its source. @param {string} script @param {string[]} args */
export async function runScript(script, args) {
  checkNodeVersion();
  await ensureInstalled();
  return become(serviceNode(), ['--conditions=tollgate-source', join(projectRoot, script), ...args]);
}

/** Runs the command line of a set-up clone; builds when sources changed. @param {string[]} args */
export async function runBuilt(args) {
  checkNodeVersion();
  const node = serviceNode();
  await ensureBuilt(node);
  if (!existsSync(cliMain())) throw new Stop('not built yet: run npm start once');
  return become(node, [cliMain(), ...args]);
}
