// @ts-check
/**
 * Server programs from the Debian archive (also Ubuntu): installed as root, or, as anybody, downloaded with
 * `apt-get download` and unpacked with `dpkg -x` under `.tollgate/debian`, which changes nothing on the machine.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  debianRoot,
  findChromium,
  findNginx,
  findPostgres,
  findRedis,
  onPath,
  unpackedEnvironment,
} from '../../shared/src/runtime/binaries.mjs';
import { say } from './say.mjs';

/** Libraries that every Debian system has, or that only optional features load (LLVM: just-in-time compiling). */
const NOT_FETCHED = /^(libc6|libgcc-s1|libllvm.*|libperl.*|libpython.*|libc-bin)$/;
const DOWNLOAD_LIMIT_MS = 300_000;

/** @param {string} command @param {string[]} args @param {import('node:child_process').SpawnSyncOptions} [options] */
function attempt(command, args, options = {}) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: DOWNLOAD_LIMIT_MS,
    ...options,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C', ...options.env },
  });
  return { ok: result.status === 0, out: String(result.stdout ?? ''), err: String(result.stderr ?? '') };
}

const isRoot = () => process.getuid?.() === 0;

/** Whether this machine has Debian's tools. */
export function hasDebianTools() {
  return process.platform === 'linux' && onPath('apt-get') !== null && onPath('dpkg') !== null;
}

/** apt's own folders under the project, so that anybody may refresh package lists. @param {string} root */
function privateAptOptions(root) {
  const base = join(root, 'apt');
  mkdirSync(join(base, 'lists', 'partial'), { recursive: true });
  mkdirSync(join(base, 'cache', 'archives', 'partial'), { recursive: true });
  return [
    ['Dir::State::lists', join(base, 'lists')],
    ['Dir::Cache', join(base, 'cache')],
    // apt changes to user _apt for downloads, who may not enter the project's folder.
    ['APT::Sandbox::User', 'root'],
    ['Debug::NoLocking', '1'],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Direct library dependencies of packages. @param {string[]} packages @param {string[]} options */
function libraryDependencies(packages, options) {
  const flags = ['--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks', '--no-replaces', '--no-enhances'];
  const { out } = attempt('apt-cache', [...options, 'depends', ...flags, ...packages]);
  const names = [...out.matchAll(/^\s*\|?(?:Pre)?Depends: (lib[a-z0-9.+-]+)$/gm)].map((match) => match[1]);
  return [...new Set(names)].filter((name) => !NOT_FETCHED.test(name));
}

/** Names of shared libraries that a program would miss. @param {string} program @param {string} root */
function missingLibraries(program, root) {
  const { out } = attempt('ldd', [program], { env: unpackedEnvironment(root) });
  return [...out.matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1]);
}

/**
 * Downloads and unpacks packages and the libraries that `programs()` miss. True when all programs can be loaded.
 * @param {string[]} packages @param {() => string[]} programs @param {string} [root]
 */
export function fetchUnpacked(packages, programs, root = debianRoot) {
  mkdirSync(root, { recursive: true });
  const downloads = join(root, 'downloads');
  /** @type {string[]} */
  let options = [];
  const done = new Set();

  /** @param {string[]} names */
  const fetch = (names) => {
    const fresh = names.filter((name) => !done.has(name));
    if (fresh.length === 0) return true;
    mkdirSync(downloads, { recursive: true });
    const get = () => attempt('apt-get', [...options, 'download', ...fresh], { cwd: downloads });
    let result = get();
    if (!result.ok && options.length === 0) {
      // No package lists, or stale ones: refresh a private copy, which needs no rights.
      say('refreshing package lists (apt-get update, beside the project)');
      options = privateAptOptions(root);
      if (!attempt('apt-get', [...options, 'update']).ok) return false;
      result = get();
    }
    if (!result.ok) return false;
    for (const file of readdirSync(downloads)) {
      if (file.endsWith('.deb') && !attempt('dpkg', ['-x', join(downloads, file), root]).ok) return false;
    }
    for (const name of fresh) done.add(name);
    rmSync(downloads, { recursive: true, force: true });
    return true;
  };

  const loaded = () => {
    const found = programs();
    return found.length > 0 && found.every((program) => missingLibraries(program, root).length === 0);
  };
  try {
    if (!fetch(packages)) return false;
    let wanted = packages;
    // Libraries of libraries, a few levels down, and only while something is missing.
    for (let level = 0; level < 4 && !loaded(); level++) {
      wanted = libraryDependencies(wanted, options);
      // A virtual or vanished name must not fail the rest: one by one.
      if (!fetch(wanted)) for (const name of wanted) fetch([name]);
    }
    return loaded();
  } finally {
    rmSync(downloads, { recursive: true, force: true });
    rmSync(join(root, 'apt'), { recursive: true, force: true });
  }
}

/** @param {string[]} packages */
function installAsRoot(packages) {
  const install = () => attempt('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages]);
  if (install().ok) return true;
  return attempt('apt-get', ['update', '-qq']).ok && install().ok;
}

/** What a person can do when nothing here worked. */
export const REDIS_HELP =
  'Redis is missing: install it (Debian, Ubuntu: sudo apt-get install redis-server; macOS: brew install redis) or set REDIS_URL';

/**
 * Makes sure that a Redis server can be started: on PATH, unpacked, installed or fetched now.
 * @returns {boolean} false when the machine offers no way
 */
export function ensureRedis() {
  if (findRedis()) return true;
  if (!hasDebianTools()) return false;
  if (isRoot()) {
    say('installing redis-server (apt-get, about 10 s)');
    if (installAsRoot(['redis-server']) && findRedis()) return true;
  }
  say('fetching redis-server from the Debian archive into .tollgate/ (about 10 s)');
  const program = join(debianRoot, 'usr', 'bin', 'redis-server');
  const programs = () => (existsSync(program) ? [program] : []);
  // In Debian redis-server is a link into redis-tools.
  return fetchUnpacked(['redis-server', 'redis-tools'], programs) && findRedis() !== null;
}

/** Makes sure that PostgreSQL's server can be started, where the Debian archive is at hand. @returns {boolean} */
export function ensurePostgres() {
  if (findPostgres()) return true;
  if (!hasDebianTools()) return false;
  const meta = attempt('apt-cache', ['depends', 'postgresql']).out;
  const name = /Depends: (postgresql-\d+)/.exec(meta)?.[1] ?? 'postgresql-15';
  // Unpacked also as root: installing the package would create and start a database cluster on the machine.
  say(`fetching ${name} from the Debian archive into .tollgate/ for the tests (about 20 s)`);
  const folder = join(debianRoot, 'usr', 'lib', 'postgresql', name.replace('postgresql-', ''), 'bin');
  const programs = () => ['postgres', 'initdb'].map((file) => join(folder, file)).filter((path) => existsSync(path));
  return fetchUnpacked([name], programs) && findPostgres() !== null;
}

/** Fonts of an unpacked browser lie where its libraries do not look. @param {string} root */
function writeFontConfiguration(root) {
  const folder = join(root, 'usr', 'share', 'fonts');
  const cache = join(root, 'font-cache');
  writeFileSync(
    join(root, 'fonts.conf'),
    `<?xml version="1.0"?>\n<fontconfig><dir>${folder}</dir><dir>/usr/share/fonts</dir><cachedir>${cache}</cachedir></fontconfig>\n`,
  );
}

/** What a person can do when no browser could be had. */
export const CHROMIUM_HELP =
  'no Chromium on PATH, and none could be fetched: tests in a browser are skipped (Debian: sudo apt-get install chromium)';

/** Makes sure that a browser can be started, where there is one or the Debian archive is at hand. @returns {boolean} */
export function ensureChromium() {
  if (findChromium()) return true;
  if (!hasDebianTools()) return false;
  const packages = ['chromium', 'fonts-liberation'];
  if (isRoot()) {
    say('installing chromium for the tests (apt-get, about a minute)');
    if (installAsRoot(packages) && findChromium()) return true;
  }
  say('fetching chromium from the Debian archive into .tollgate/ for the tests (about a minute)');
  const program = join(debianRoot, 'usr', 'lib', 'chromium', 'chromium');
  const programs = () => (existsSync(program) ? [program] : []);
  if (!fetchUnpacked([...packages, 'chromium-common', 'fonts-dejavu-core'], programs)) return false;
  writeFontConfiguration(debianRoot);
  return findChromium() !== null;
}

/** What a person can do when no nginx could be had. */
export const NGINX_HELP =
  'no nginx on PATH, and none could be fetched: the test of an installation behind it is skipped (Debian: sudo apt-get install nginx-light)';

/**
 * Makes sure that an nginx can be started, where there is one or the Debian archive is at hand.
 * @param {{ path?: string, root?: string, system?: string }} [where] as `findNginx` takes it
 * @returns {boolean}
 */
export function ensureNginx(where = {}) {
  if (findNginx(where)) return true;
  if (!hasDebianTools()) return false;
  // Unpacked also as root: installing the package would start a server on port 80.
  say('fetching nginx from the Debian archive into .tollgate/ for the tests (about 5 s)');
  const { root = debianRoot } = where;
  const program = join(root, 'usr', 'sbin', 'nginx');
  const programs = () => (existsSync(program) ? [program] : []);
  // Since Debian 12 nginx-light is a name; the program lies in `nginx`.
  return fetchUnpacked(['nginx-light', 'nginx'], programs, root) && findNginx(where) !== null;
}
