/** Naming a process so that a recycled process id is never mistaken for it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A process as written into files: its id, and when it started as the system tells it. */
export interface ProcessMark {
  pid: number;
  /** Opaque; equal for the same process only. */
  started: string;
}

/** Start time of a process as opaque text; null when there is none with this id. */
function startOf(pid: number): string | null {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name in brackets may hold blanks: count fields behind it. Field 22 is the start time; 3 the state.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? null : (fields[19] ?? null);
    } catch {
      return null;
    }
  }
  const { status, stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return status === 0 && stdout.trim() !== '' ? stdout.trim() : null;
}

/** The mark of a living process; null when it is gone. */
export function markOf(pid: number): ProcessMark | null {
  const started = startOf(pid);
  return started === null ? null : { pid, started };
}

export function isAlive(mark: ProcessMark): boolean {
  return startOf(mark.pid) === mark.started;
}

/** Waits until the process is gone, at most `limitMs`. True when it is. */
export async function waitUntilGone(mark: ProcessMark, limitMs: number): Promise<boolean> {
  const endMs = performance.now() + limitMs;
  while (isAlive(mark)) {
    if (performance.now() > endMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

/** SIGTERM, and SIGKILL after `limitMs`. */
export async function endProcess(mark: ProcessMark, limitMs: number): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isAlive(mark)) return;
    try {
      process.kill(mark.pid, signal);
    } catch {
      return;
    }
    if (await waitUntilGone(mark, limitMs)) return;
  }
}
