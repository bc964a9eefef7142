import { readTrace, type TraceRow } from './traces.ts';
import type { Workload } from './workload.ts';
import { agents, azureSessions, noisyTenant, sharedPrefix, traceWorkload } from './workloads.ts';

/**
 * What is run. `load` is in units of the workload's knee on 8 workers: the load at which 90 % of requests still meet the
 * SLO under `lpwl` on the tuning seeds (found once with `--find-knees`, then kept here so that runs compare).
 */
export interface Scenario {
  name: string;
  workload: Workload;
  load: number;
  /** Part of what constants were tuned on; reported all the same, but in a table of its own. */
  tuning: boolean;
}

export const TUNING_SEEDS = [101, 102];
export const REPORT_SEEDS = [1, 2, 3, 4, 5];
const LOADS = [0.5, 0.8, 1, 1.2, 1.5];

export interface TraceFiles {
  mooncake: string | null;
  azure: string | null;
  others: string[];
}

const rowsOf = new Map<string, TraceRow[]>();
function rows(path: string): TraceRow[] {
  const known = rowsOf.get(path);
  if (known) return known;
  const read = readTrace(path);
  rowsOf.set(path, read);
  return read;
}

/** Workloads by name, knee applied. Traces that are not at hand are left out, which the report says. */
export function workloads(files: TraceFiles): Map<string, { workload: Workload; tuning: boolean }> {
  const all = new Map<string, { workload: Workload; tuning: boolean }>();
  const add = (workload: Workload, tuning: boolean) => all.set(workload.name, { workload, tuning });
  if (files.mooncake) add(traceWorkload('conversation', rows(files.mooncake), 2.1), true);
  add(agents(92), true);
  add(sharedPrefix(65), false);
  if (files.azure) add(azureSessions(rows(files.azure), 10), false);
  add(agents(71, { name: 'agents-long', systemTokens: 12_288, toolTokens: 1_400, thinkMs: 8_000 }), false);
  add(noisyTenant(46, true), false);
  add(noisyTenant(46, false), false);
  for (const [i, path] of files.others.entries()) add(traceWorkload(`trace-${i + 1}`, rows(path), 1), false);
  return all;
}

export function scenarios(files: TraceFiles, quick: boolean): Scenario[] {
  const loads = quick ? [1] : LOADS;
  return [...workloads(files)].flatMap(([name, { workload, tuning }]) =>
    loads.map((load) => ({ name: `${name} x${load}`, workload, load, tuning })),
  );
}
