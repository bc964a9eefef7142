// @ts-check
/**
 * The one place that knows where server programs may lie: on PATH, or unpacked from Debian packages under
 * `.tollgate/debian`. Plain JavaScript without dependencies, because the bootstrap (Node 18, nothing installed)
 * and the TypeScript services both use it.
 */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the project: the folder that holds `services/`. */
export const projectRoot = dirname(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))));

/** Where Debian packages are unpacked. Not part of TOLLGATE_HOME: programs are no data, `--reset` keeps them. */
export const debianRoot = join(projectRoot, '.tollgate', 'debian');

/** @param {string} path @returns {boolean} */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** First hit of `name` on PATH. @param {string} name @param {string} [path] @returns {string | null} */
export function onPath(name, path = process.env.PATH ?? '') {
  for (const folder of path.split(delimiter)) {
    if (folder !== '' && isExecutable(join(folder, name))) return join(folder, name);
  }
  return null;
}

/**
 * Folders with shared libraries of unpacked packages, for LD_LIBRARY_PATH.
 * @param {string} [root] @returns {string[]}
 */
export function libraryFolders(root = debianRoot) {
  const folders = [];
  for (const base of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    if (!existsSync(base)) continue;
    for (const name of readdirSync(base)) if (name.includes('-linux-')) folders.push(join(base, name));
  }
  return folders;
}

/**
 * Environment that an unpacked program needs on top of the usual one.
 * @param {string} [root] @returns {Record<string, string>}
 */
export function unpackedEnvironment(root = debianRoot) {
  const folders = libraryFolders(root);
  const present = process.env.LD_LIBRARY_PATH;
  return folders.length === 0 ? {} : { LD_LIBRARY_PATH: [...folders, ...(present ? [present] : [])].join(':') };
}

/**
 * A Redis or Valkey server program.
 * @param {{ path?: string, root?: string }} [where]
 * @returns {{ program: string, env: Record<string, string>, origin: 'path' | 'unpacked' } | null}
 */
export function findRedis({ path = process.env.PATH ?? '', root = debianRoot } = {}) {
  // Debian keeps servers in /usr/sbin or /usr/bin; a plain user's PATH may lack sbin.
  const wide = [path, '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'].join(delimiter);
  for (const name of ['redis-server', 'valkey-server']) {
    const program = onPath(name, wide);
    if (program) return { program, env: {}, origin: 'path' };
  }
  for (const name of ['redis-server', 'valkey-server']) {
    const program = join(root, 'usr', 'bin', name);
    if (isExecutable(program)) return { program, env: unpackedEnvironment(root), origin: 'unpacked' };
  }
  return null;
}

/**
 * Folder with PostgreSQL's `initdb` and `postgres`, the newest where there are several.
 * @param {{ path?: string, root?: string, system?: string }} [where]
 * @returns {{ folder: string, env: Record<string, string>, origin: 'path' | 'unpacked' } | null}
 */
export function findPostgres({ path = process.env.PATH ?? '', root = debianRoot, system = '/' } = {}) {
  const initdb = onPath('initdb', path);
  if (initdb && isExecutable(join(dirname(initdb), 'postgres'))) {
    return { folder: dirname(initdb), env: {}, origin: 'path' };
  }
  for (const base of [system, root]) {
    const versions = join(base, 'usr', 'lib', 'postgresql');
    if (!existsSync(versions)) continue;
    for (const version of readdirSync(versions).sort((a, b) => Number(b) - Number(a))) {
      const folder = join(versions, version, 'bin');
      if (!isExecutable(join(folder, 'initdb')) || !isExecutable(join(folder, 'postgres'))) continue;
      return base === root
        ? { folder, env: unpackedEnvironment(root), origin: 'unpacked' }
        : { folder, env: {}, origin: 'path' };
    }
  }
  return null;
}

/**
 * A Chromium for the tests in a real browser.
 * @param {{ path?: string, root?: string }} [where]
 * @returns {{ program: string, env: Record<string, string>, origin: 'path' | 'unpacked' } | null}
 */
export function findChromium({ path = process.env.PATH ?? '', root = debianRoot } = {}) {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']) {
    const program = onPath(name, path);
    if (program) return { program, env: {}, origin: 'path' };
  }
  // The package's own starter has absolute paths in it; the program itself runs from anywhere.
  const program = join(root, 'usr', 'lib', 'chromium', 'chromium');
  if (!isExecutable(program)) return null;
  const fonts = join(root, 'fonts.conf');
  const env = { ...unpackedEnvironment(root), ...(existsSync(fonts) ? { FONTCONFIG_FILE: fonts } : {}) };
  return { program, env, origin: 'unpacked' };
}

/**
 * An nginx, for the tests that put one in front of routers and for the bench.
 * @param {{ path?: string, root?: string, system?: string }} [where]
 * @returns {{ program: string, env: Record<string, string>, origin: 'path' | 'unpacked' } | null}
 */
export function findNginx({ path = process.env.PATH ?? '', root = debianRoot, system = '/' } = {}) {
  const usual = ['usr/sbin', 'usr/local/sbin', 'usr/local/bin', 'opt/homebrew/bin'].map((folder) =>
    join(system, folder),
  );
  const wide = [path, ...usual].join(delimiter);
  const program = onPath('nginx', wide);
  if (program) return { program, env: {}, origin: 'path' };
  const unpacked = join(root, 'usr', 'sbin', 'nginx');
  return isExecutable(unpacked) ? { program: unpacked, env: unpackedEnvironment(root), origin: 'unpacked' } : null;
}

/**
 * Command line that lets the child die with its parent where Linux offers it (`setpriv --pdeathsig`), so that a
 * killed test run or supervisor leaves no server behind. The process id stays the program's own.
 * @param {string} program @param {string[]} args @param {'TERM' | 'KILL'} signal
 * @returns {{ command: string, args: string[] }}
 */
export function dyingWithParent(program, args, signal) {
  const setpriv = process.platform === 'linux' ? onPath('setpriv') : null;
  if (!setpriv) return { command: program, args };
  return { command: setpriv, args: ['--pdeathsig', signal, program, ...args] };
}
