/** The runs of the study, as plain data that threads are sent, and what carries one out. */
import { type CostOptions, costPolicy } from '@tollgate/router/routing/policies/cost';
import { POLICIES, type PolicyName } from '@tollgate/router/routing/policies/index';
import { simulateBehindQueue } from './behind-queue.ts';
import { type Scenario, scenarios, type TraceFiles, TUNING_SEEDS, tuningScenarios } from './scenarios.ts';
import { simulate } from './simulate.ts';
import type { RunResult } from './tally.ts';

export const WORKERS = 8;

export interface Job {
  /**
   * `policy`: a policy alone. `product`: `cost` as it is shipped, in the router's own fleet and behind its fair queue.
   * `term`: `cost` alone with other options, on a workload and a seed for tuning.
   */
  kind: 'policy' | 'product' | 'term';
  scenario: string;
  load: number;
  policy: PolicyName;
  seed: number;
  replicas: number;
  /** Between replicas; null = they are blind (or there is only one). */
  shareDelayMs: number | null;
  /** `term`: what is switched off. */
  without: string | null;
  options: Partial<CostOptions>;
}

export type JobResult = Job & RunResult;

/** Four routers against one: messages between them take 20 ms (after up to 15 ms of batching), or they are blind. */
const REPLICA_SETUPS = [
  { replicas: 4, shareDelayMs: 20 },
  { replicas: 4, shareDelayMs: null },
] as const;
export const REPLICA_POLICIES: readonly PolicyName[] = ['cost', 'llm-d-sticky', 'sglang-cache-aware', 'lmetric'];

/** Each term of `cost` switched off, the others as they are. */
export const WITHOUT: Record<string, Partial<CostOptions>> = {
  nothing: {},
  'queue x running': { queueStall: 0 },
  'prompt x running': { ownStall: 0 },
  'prompt x fullness': { pressure: 0 },
};

export const keyOf = ({ kind, scenario, policy, seed, replicas, shareDelayMs, without }: Job): string =>
  [kind, scenario, policy, seed, replicas, shareDelayMs, without].join('|');

export function jobsOf(files: TraceFiles, quick: boolean, policies: readonly PolicyName[], seeds: readonly number[]) {
  const alone = { replicas: 1, shareDelayMs: null, without: null, options: {} } as const;
  const jobs: Job[] = [];
  // Seed by seed, so that a run that is stopped has whole seeds.
  for (const seed of seeds) {
    for (const { name: scenario, load } of scenarios(files, quick)) {
      for (const policy of policies) jobs.push({ kind: 'policy', scenario, load, policy, seed, ...alone });
      if (policies.includes('cost')) jobs.push({ kind: 'product', scenario, load, policy: 'cost', seed, ...alone });
      if (load !== 1) continue;
      for (const policy of REPLICA_POLICIES.filter((name) => policies.includes(name))) {
        for (const setup of REPLICA_SETUPS)
          jobs.push({ ...alone, kind: 'policy', scenario, load, policy, seed, ...setup });
      }
    }
  }
  if (!quick && policies.includes('cost')) {
    for (const seed of TUNING_SEEDS) {
      for (const { name: scenario, load } of tuningScenarios(files)) {
        for (const [without, options] of Object.entries(WITHOUT)) {
          jobs.push({ ...alone, kind: 'term', scenario, load, policy: 'cost', seed, without, options });
        }
      }
    }
  }
  return jobs;
}

/** Carries out jobs; keeps the traces it has read. */
export function runner(files: TraceFiles, quick: boolean): (job: Job) => Promise<JobResult> {
  const byName = new Map<string, Scenario>();
  for (const each of [...scenarios(files, quick), ...tuningScenarios(files)]) byName.set(each.name, each);
  return async (job) => {
    const { kind, seed, policy, options, replicas, shareDelayMs } = job;
    const { workload, load, slowness = 1 } = byName.get(job.scenario)!;
    const run = { workload, load, seed, workers: WORKERS, slowness };
    if (kind === 'product') return { ...job, ...(await simulateBehindQueue(run)) };
    const make = kind === 'term' ? () => costPolicy(options) : POLICIES[policy];
    return { ...job, ...simulate({ ...run, policy: make, replicas, shareDelayMs }) };
  };
}
