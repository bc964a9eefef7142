// @ts-check
/** The dashboard's build: made once, and again only when something that goes into it has changed. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot, run, withNode } from './project.mjs';
import { Stop, say } from './say.mjs';

/** What goes into the build, from the project's root; folders count with all that lies in them. */
const INPUTS = [
  'services/dashboard/index.html',
  'services/dashboard/package.json',
  'services/dashboard/public',
  'services/dashboard/src',
  'services/dashboard/vite.config.ts',
  'services/shared/src/contracts/console',
  'services/shared/src/domain',
  'package-lock.json',
];

/** @param {string} path @returns {string[]} */
function filesBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesBelow(join(path, name)));
}

/** A text that changes with any byte of the inputs; neither time stamps nor a fresh checkout mislead it. @param {string} [root] */
export function dashboardStamp(root = projectRoot) {
  const hash = createHash('sha256');
  for (const input of INPUTS) {
    for (const file of filesBelow(join(root, input))) {
      if (/\.test\.tsx?$/.test(file)) continue;
      hash
        .update(`${file.slice(root.length)}\0`)
        .update(readFileSync(file))
        .update('\0');
    }
  }
  return hash.digest('hex');
}

/** Whether the present build was made from other sources, or none is there. @param {string} [root] */
export function needsDashboard(root = projectRoot) {
  const stamp = join(root, 'services', 'dashboard', 'dist', '.stamp');
  return !existsSync(stamp) || readFileSync(stamp, 'utf8') !== dashboardStamp(root);
}

/** Builds the dashboard when its sources changed. @param {string} node */
export async function ensureDashboard(node) {
  if (!needsDashboard()) return;
  say('building the dashboard (vite, about 15 s)');
  const startMs = Date.now();
  const folder = join(projectRoot, 'services', 'dashboard');
  const stamp = dashboardStamp();
  // Made aside and put in place at once: a console that runs meanwhile never serves half a build.
  const cache = join(projectRoot, 'node_modules', '.cache');
  const made = join(cache, `dashboard-${process.pid}`);
  mkdirSync(cache, { recursive: true });
  const vite = join(projectRoot, 'node_modules', 'vite', 'bin', 'vite.js');
  const args = [vite, 'build', folder, '--outDir', made, '--emptyOutDir', '--logLevel', 'warn'];
  // Whatever this shell or test run says: what is served is React's production build.
  const code = await run(node, args, { ...withNode(node), NODE_ENV: 'production' }, 2);
  if (code !== 0) throw new Stop('the dashboard could not be built: the lines above say why');
  writeFileSync(join(made, '.stamp'), stamp);
  const dist = join(folder, 'dist');
  rmSync(dist, { recursive: true, force: true });
  renameSync(made, dist);
  say(`dashboard built (${((Date.now() - startMs) / 1000).toFixed(1)} s)`);
}
