/** CPU time and memory of processes as Linux counts them. Elsewhere `available` is false and the bench says so. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export const available = process.platform === 'linux' && existsSync('/proc/self/stat');

/** Clock ticks per second in which `/proc/<pid>/stat` counts. */
const ticksPerSecond = available ? Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) : 100;

/** Fields of `/proc/<pid>/stat` after the command, which may itself hold blanks and brackets; [] when gone. */
function statFields(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** `pid` and all processes below it. */
export function processTree(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statFields(Number(name));
    if (fields.length > 1) parents.set(Number(name), Number(fields[1]));
  }
  const tree = [pid];
  for (let i = 0; i < tree.length; i++) {
    for (const [child, parent] of parents) if (parent === tree[i]) tree.push(child);
  }
  return tree;
}

/** User and system CPU of the processes since they started, all threads (ended ones too), in microseconds. */
export function cpuUs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return (ticks / ticksPerSecond) * 1e6;
}

/** CPU of `pid` and all below it, also of those that ended meanwhile and were waited for, in microseconds. */
export function treeCpuUs(pid: number): number {
  const ticks = processTree(pid)
    .flatMap((each) => statFields(each).slice(11, 15))
    .reduce((sum, field) => sum + Number(field), 0);
  return (ticks / ticksPerSecond) * 1e6;
}

/** Resident memory of the processes in bytes; pages that they share are counted for each. */
export function residentBytes(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) {
    try {
      const text = readFileSync(`/proc/${pid}/status`, 'latin1');
      total += Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
    } catch {
      // The process ended; it holds nothing.
    }
  }
  return total;
}

/** Files and sockets that one process of ours may have open. Node raises its own limit to the hard one, children inherit it. */
export function openFileLimit(): number {
  if (!available) return 1024;
  const limit = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return limit === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(limit ?? 1024);
}

/** Time of all cores so far, in ticks: busy, all, and what the tree of `pid` took of it. For the report's honesty. */
export function machineTicks(pid: number): { busy: number; total: number; own: number } {
  if (!available) return { busy: 0, total: 0, own: 0 };
  const line = readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '';
  const values = line.trim().split(/\s+/).slice(1).map(Number);
  const total = values.reduce((sum, value) => sum + value, 0);
  const own = (cpuUs(processTree(pid)) / 1e6) * ticksPerSecond;
  return { busy: total - (values[3] ?? 0) - (values[4] ?? 0), total, own };
}
