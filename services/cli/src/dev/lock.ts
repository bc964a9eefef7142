/** A lock file that names its owner: taken once, and free again when the owner is gone, however it went. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isAlive, markOf, type ProcessMark } from './processes.ts';

export type LockResult = { taken: true; release(): void } | { taken: false; owner: ProcessMark };

/** Tries to take `path` for this process. */
export function takeLock(path: string): LockResult {
  const self = markOf(process.pid) ?? { pid: process.pid, started: '' };
  for (;;) {
    try {
      writeFileSync(path, JSON.stringify(self), { flag: 'wx', mode: 0o600 });
      return { taken: true, release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = readMark(path);
    if (owner !== null && isAlive(owner)) return { taken: false, owner };
    clearDead(path, owner);
  }
}

/**
 * Removes the lock of an owner that died without a word. Two that see this at once must not remove each other's fresh
 * lock: the file is moved away first and looked at again, and put back when it was not the dead one.
 */
function clearDead(path: string, dead: ProcessMark | null): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
    if (JSON.stringify(readMark(aside)) !== JSON.stringify(dead)) linkSync(aside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

export function readMark(path: string): ProcessMark | null {
  try {
    const mark = JSON.parse(readFileSync(path, 'utf8')) as ProcessMark;
    return typeof mark.pid === 'number' && typeof mark.started === 'string' ? mark : null;
  } catch {
    return null;
  }
}
