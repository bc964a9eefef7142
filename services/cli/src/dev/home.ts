/** The folder of a local start: what lies where, and the two JSON files in it. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { DevFile, DevState } from '../config.ts';

export interface Home {
  folder: string;
  redis: string;
  database: string;
  spool: string;
  /** Uploaded files. */
  files: string;
  logs: string;
  /** Marks of the running processes, for a next start after a kill. */
  processes: string;
  lock: string;
  state: string;
  dev: string;
}

/** Unpacked programs, not data: kept by a reset. */
const KEPT_BY_RESET = new Set(['debian', 'proofs.jsonl']);

export function openHome(folder: string): Home {
  const home: Home = {
    folder,
    redis: join(folder, 'redis'),
    database: join(folder, 'pg'),
    spool: join(folder, 'spool'),
    files: join(folder, 'files'),
    logs: join(folder, 'logs'),
    processes: join(folder, 'processes.json'),
    lock: join(folder, 'dev.lock'),
    state: join(folder, 'state.json'),
    dev: join(folder, 'dev.json'),
  };
  for (const path of [folder, home.redis, home.spool, home.files, home.logs]) mkdirSync(path, { recursive: true });
  return home;
}

/** Removes everything that a local start made, except `keep` (the lock that this process holds). */
export function wipeHome(home: Home): void {
  for (const name of readdirSync(home.folder)) {
    const path = join(home.folder, name);
    if (!KEPT_BY_RESET.has(name) && path !== home.lock) rmSync(path, { recursive: true, force: true });
  }
  openHome(home.folder);
}

/** Writes a file that only its owner may read, whole or not at all. */
export function writePrivate(path: string, text: string): void {
  const draft = `${path}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  // The mode of writeFile is lowered by nobody but ignored when the draft was left over from before.
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}

export function loadState(home: Home): DevState {
  if (existsSync(home.state)) return JSON.parse(readFileSync(home.state, 'utf8')) as DevState;
  const state: DevState = {
    version: 1,
    pepper: randomBytes(32).toString('hex'),
    serviceToken: randomBytes(24).toString('base64url'),
    adminToken: `tgadm_${randomBytes(24).toString('base64url')}`,
    adminEmail: 'admin@tollgate.localhost',
    adminPassword: randomBytes(12).toString('base64url'),
    ports: {},
  };
  saveState(home, state);
  return state;
}

export function saveState(home: Home, state: DevState): void {
  writePrivate(home.state, `${JSON.stringify(state, null, 2)}\n`);
}

export function saveDevFile(home: Home, dev: DevFile): void {
  writePrivate(home.dev, `${JSON.stringify(dev, null, 2)}\n`);
}

export function loadDevFile(home: Home): DevFile | null {
  try {
    return JSON.parse(readFileSync(home.dev, 'utf8')) as DevFile;
  } catch {
    return null;
  }
}
