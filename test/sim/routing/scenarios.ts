import { readTrace, type TraceRow } from './traces.ts';
import type { Workload } from './workload.ts';
import { type AgentShape, agents, azureSessions, noisyTenant, sharedPrefix, traceWorkload } from './workloads.ts';

/**
 * What is run. `load` is in units of the workload's knee on 8 workers: the load at which 90 % of requests still meet the
 * SLO under `lpwl` on the tuning seeds (found once with `--find-knees`, then kept here so that runs compare).
 *
 * Terms are judged on workloads (`tuningWorkloads`) and seeds of their own: other shapes of agents and documents, and the
 * first part of each trace, which no reported run replays.
 */
export interface Scenario {
  name: string;
  workload: Workload;
  load: number;
  /** One worker is so many times slower than the others. */
  slowness?: number;
}

export const TUNING_SEEDS = [101, 102];
export const REPORT_SEEDS = [1, 2, 3, 4, 5];
export const LOADS = [0.5, 0.8, 1, 1.2, 1.5];
const TUNING_LOADS = [0.8, 1.1];

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

const SLOWNESS = 3;

/** Share of a trace, from its start, that is for tuning. */
const TUNING_SHARE = 0.4;

function part(all: readonly TraceRow[], fromShare: number, toShare: number): TraceRow[] {
  const spanMs = all[all.length - 1]!.atMs;
  const rows = all.filter(({ atMs }) => atMs >= fromShare * spanMs && atMs < toShare * spanMs);
  const startMs = rows[0]!.atMs;
  return rows.map((row) => ({ ...row, atMs: row.atMs - startMs }));
}

const LONG_AGENTS: AgentShape = { name: 'agents-long', systemTokens: 12_288, toolTokens: 1_400, thinkMs: 8_000 };
const QUICK_AGENTS: AgentShape = { name: 'tune-agents', systemTokens: 2_048, toolTokens: 1_000, thinkMs: 2_500 };

/** What is reported, knee applied. Traces that are not at hand are left out, which the report says. */
export function workloads(files: TraceFiles): Workload[] {
  const { mooncake, azure, others } = files;
  return [
    ...(mooncake ? [traceWorkload('conversation', part(rows(mooncake), TUNING_SHARE, 1), 2.1)] : []),
    agents(92),
    sharedPrefix(65),
    ...(azure ? [azureSessions('azure-sessions', part(rows(azure), TUNING_SHARE, 1), 10.2)] : []),
    agents(71, LONG_AGENTS),
    noisyTenant(46, true),
    noisyTenant(46, false),
    ...others.map((path, i) => traceWorkload(`trace-${i + 1}`, rows(path), 1)),
  ];
}

/** What terms are judged by. */
export function tuningWorkloads({ mooncake, azure }: TraceFiles): Workload[] {
  return [
    ...(mooncake ? [traceWorkload('tune-conversation', part(rows(mooncake), 0, TUNING_SHARE), 2.1)] : []),
    ...(azure
      ? [azureSessions('tune-sessions', part(rows(azure), 0, TUNING_SHARE), 13, { back: 0.55, among: 150 })]
      : []),
    agents(85, QUICK_AGENTS),
    sharedPrefix(45, { name: 'tune-prefix', groups: 60, prefixTokens: 10_240 }),
  ];
}

export function scenarios(files: TraceFiles, quick: boolean): Scenario[] {
  return at(workloads(files), quick ? [1] : LOADS);
}

export function tuningScenarios(files: TraceFiles): Scenario[] {
  const all = tuningWorkloads(files);
  const slowed = all.find(({ name }) => name === 'tune-prefix')!;
  const slow = { name: `${SLOWNESS}x slow worker`, workload: slowed, load: 0.8, slowness: SLOWNESS };
  return [...at(all, TUNING_LOADS), slow];
}

function at(all: readonly Workload[], loads: readonly number[]): Scenario[] {
  return all.flatMap((workload) => loads.map((load) => ({ name: `${workload.name} x${load}`, workload, load })));
}
