/** Puts other gateways into a folder of the user's cache, each in one of its own, at pinned versions. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { dyingWithParent, onPath } from '../../../services/shared/src/runtime/binaries.mjs';
import { peersFolder } from './config.ts';
import type { Peer } from './peers.ts';

const INSTALL_LIMIT_MS = 600_000;
/** What the wheels of all of them accept. */
const PYTHONS = ['python3.12', 'python3.11', 'python3.13', 'python3.10', 'python3'];
const PYTHON_CHECK = 'import sys, venv, ensurepip; sys.exit(0 if (3, 10) <= sys.version_info[:2] <= (3, 13) else 1)';

export const folderOf = (peer: Peer): string => join(peersFolder, `${peer.name}-${peer.version}`);

/** Python's whole tree as it was resolved, so that each machine gets the same: this one's file, or null for npm. */
const requirementsOf = (peer: Peer): string | null =>
  peer.kind === 'python' ? fileURLToPath(new URL(`./${peer.name}.txt`, import.meta.url)) : null;

/** What was installed: the packages by name, and the tree that they bring. */
function stampOf(peer: Peer): string {
  const file = requirementsOf(peer);
  return `${peer.packages.join('\n')}\n${file === null ? '' : readFileSync(file, 'utf8')}`;
}

export function isInstalled(peer: Peer): boolean {
  const file = join(folderOf(peer), 'ready');
  return existsSync(file) && readFileSync(file, 'utf8') === stampOf(peer);
}

/** A Python that can make virtual environments; null when there is none. */
export function findPython(): string | null {
  return PYTHONS.find((name) => spawnSync(name, ['-c', PYTHON_CHECK], { stdio: 'ignore' }).status === 0) ?? null;
}

/** Installs one gateway; null, or in one line why it is not there. */
export function install(peer: Peer, say: (text: string) => void): string | null {
  if (isInstalled(peer)) return null;
  const folder = folderOf(peer);
  const run = (command: string, args: string[]): string | null => {
    const line = dyingWithParent(command, args, 'KILL');
    const { status, error, stderr } = spawnSync(line.command, line.args, {
      encoding: 'utf8',
      timeout: INSTALL_LIMIT_MS,
      env: childEnvironment({ NODE_OPTIONS: undefined }),
    });
    if (status === 0) return null;
    return (error?.message ?? stderr.trim().split('\n').at(-1) ?? '').slice(0, 200) || `${command} failed`;
  };
  let problem: string | null;
  if (peer.kind === 'npm') {
    if (onPath('npm') === null) return `${peer.name} is not installed: npm is not on PATH`;
    say(`installing ${peer.name} ${peer.version} into ${folder} (npm)`);
    mkdirSync(folder, { recursive: true });
    // A folder without a package.json would make npm look for one above it.
    writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--save-exact', '--loglevel=error'];
    problem = run('npm', ['install', '--prefix', folder, ...flags, ...peer.packages]);
  } else {
    const python = findPython();
    if (python === null) return `${peer.name} is not installed: it needs Python 3.10 to 3.13 with venv`;
    say(`installing ${peer.name} ${peer.version} into ${folder} (Python)`);
    mkdirSync(folder, { recursive: true });
    const pip = join(folder, 'venv/bin/pip');
    const quiet = ['--no-input', '--disable-pip-version-check', '--quiet', '--no-deps', '--only-binary=:all:'];
    problem =
      run(python, ['-m', 'venv', join(folder, 'venv')]) ?? run(pip, ['install', ...quiet, '-r', requirementsOf(peer)!]);
  }
  if (problem !== null) return `${peer.name} is not installed: ${problem}`;
  writeFileSync(join(folder, 'ready'), stampOf(peer));
  return null;
}
