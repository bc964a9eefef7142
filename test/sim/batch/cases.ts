/** What the batch study runs, and how a set of seeds is told as one line. */
import type { Workload } from '../routing/workload.ts';
import { agents, noisyTenant, sharedPrefix } from '../routing/workloads.ts';
import { type BatchRun, type BatchRunResult, simulateBatch } from './simulate.ts';

export const WORKERS = 4;
export const LOADS = [0.5, 0.8] as const;
/** More than metering has under way by itself (TOLLGATE_BATCH_PARALLEL): some always wait. */
export const BACKLOG = 64;

/** Half of the routing study's knees, which are those of 8 workers; of chat's, the noisy tenant is the other half. */
export const WORKLOADS: Record<string, Workload> = {
  'shared-prefix': sharedPrefix(32.5),
  chat: noisyTenant(46, false),
  agents: agents(46),
};

/** Nothing to do but batch. */
export const NOBODY: Workload = { name: 'nobody', durationMs: 0, start() {} };

/** Means over seeds. */
export async function average(
  run: Omit<BatchRun, 'seed' | 'workers'>,
  seeds: readonly number[],
): Promise<BatchRunResult> {
  const results: BatchRunResult[] = [];
  for (const seed of seeds) results.push(await simulateBatch({ ...run, seed, workers: WORKERS }));
  const mean = (of: (result: BatchRunResult) => number) => results.reduce((sum, r) => sum + of(r), 0) / results.length;
  return {
    requests: results.reduce((sum, r) => sum + r.requests, 0),
    ttftP50Ms: mean((r) => r.ttftP50Ms),
    ttftP95Ms: mean((r) => r.ttftP95Ms),
    tpotMs: mean((r) => r.tpotMs),
    batchDone: mean((r) => r.batchDone),
    batchTokensPerS: mean((r) => r.batchTokensPerS),
  };
}
