/**
 * `npm run study`: every policy over every scenario in virtual time, on all cores, within a stated wall budget.
 * Writes docs/routing-study.{json,md} and the plots beside them.
 *
 *   study.ts [--quick] [--trace FILE...] [--mooncake FILE] [--azure FILE] [--only NAME] [--policies a,b] [--find-knees]
 *            [--out DIR]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { POLICIES, type PolicyName } from '@tollgate/router/routing/policies/index';
import { type Job, type JobResult, renderReport } from './report.ts';
import { REPORT_SEEDS, scenarios, type TraceFiles, TUNING_SEEDS, workloads } from './scenarios.ts';
import { simulate } from './simulate.ts';

const WORKERS = 8;
/** Replicas compared with one: messages between them take 20 ms (after up to 15 ms of batching), or they are blind. */
const REPLICA_SETUPS = [
  { replicas: 1, shareDelayMs: null },
  { replicas: 4, shareDelayMs: 20 },
  { replicas: 4, shareDelayMs: null },
] as const;

if (isMainThread) await main();
else serveJobs();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      trace: { type: 'string', multiple: true, default: [] },
      mooncake: { type: 'string' },
      azure: { type: 'string' },
      only: { type: 'string' },
      policies: { type: 'string' },
      'find-knees': { type: 'boolean', default: false },
      out: { type: 'string', default: 'docs' },
    },
  });
  const files: TraceFiles = { mooncake: values.mooncake ?? null, azure: values.azure ?? null, others: values.trace };
  if (values['find-knees']) return findKnees(files);
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const policies = (values.policies?.split(',') ?? Object.keys(POLICIES)) as PolicyName[];
  const unknown = policies.filter((name) => !(name in POLICIES));
  if (unknown.length > 0)
    throw new Error(`unknown policies: ${unknown.join(', ')}; known: ${Object.keys(POLICIES).join(', ')}`);
  const seeds = values.quick ? REPORT_SEEDS.slice(0, 2) : REPORT_SEEDS;
  const jobs: Job[] = [];
  for (const scenario of scenarios(files, values.quick)) {
    if (values.only && !scenario.name.startsWith(values.only)) continue;
    for (const policy of policies) {
      for (const setup of REPLICA_SETUPS) {
        if (setup.replicas > 1 && (scenario.load !== 1 || policy === 'round-robin')) continue;
        for (const seed of seeds)
          jobs.push({ scenario: scenario.name, load: scenario.load, tuning: scenario.tuning, policy, seed, ...setup });
      }
    }
  }
  const startedMs = performance.now();
  say(`${jobs.length} runs on ${availableParallelism()} cores`);
  const results = await runAll(jobs, files, values.quick, say);
  const wallMinutes = (performance.now() - startedMs) / 60_000;
  mkdirSync(values.out, { recursive: true });
  const report = renderReport(results, { files, seeds, quick: values.quick, wallMinutes, workers: WORKERS });
  writeFileSync(join(values.out, 'routing-study.json'), `${JSON.stringify(report.json, null, 1)}\n`);
  writeFileSync(join(values.out, 'routing-study.md'), report.markdown);
  for (const [name, svg] of Object.entries(report.plots)) writeFileSync(join(values.out, name), svg);
  say(`${wallMinutes.toFixed(1)} min; ${join(values.out, 'routing-study.md')}`);
}

async function runAll(
  jobs: Job[],
  files: TraceFiles,
  quick: boolean,
  say: (text: string) => void,
): Promise<JobResult[]> {
  const results: JobResult[] = [];
  const queue = jobs.slice();
  const lane = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { files, quick } });
      const next = () => {
        const job = queue.shift();
        if (job) worker.postMessage(job);
        else void worker.terminate().then(() => resolve());
      };
      worker.on('message', (result: JobResult) => {
        results.push(result);
        if (results.length % 100 === 0) say(`${results.length} / ${jobs.length}`);
        next();
      });
      worker.on('error', reject);
      next();
    });
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  return results;
}

function serveJobs(): void {
  const { files, quick } = workerData as { files: TraceFiles; quick: boolean };
  const byName = new Map(scenarios(files, quick).map((scenario) => [scenario.name, scenario]));
  parentPort!.on('message', (job: Job) => {
    const scenario = byName.get(job.scenario)!;
    const result = simulate({
      workload: scenario.workload,
      load: scenario.load,
      policy: POLICIES[job.policy],
      seed: job.seed,
      workers: WORKERS,
      replicas: job.replicas,
      shareDelayMs: job.shareDelayMs,
    });
    parentPort!.postMessage({ ...job, ...result } satisfies JobResult);
  });
}

/** Prints, for each workload, the load (in its own units) at which 90 % still meet the SLO under `lpwl`. */
function findKnees(files: TraceFiles): void {
  for (const [name, { workload }] of workloads(files)) {
    let low = 0.1;
    let high = 4;
    for (let i = 0; i < 7; i++) {
      const load = Math.sqrt(low * high);
      const slo = TUNING_SEEDS.map(
        (seed) =>
          simulate({ workload, load, policy: POLICIES.lpwl, seed, workers: WORKERS, replicas: 1, shareDelayMs: null })
            .sloPercent,
      );
      if (slo.reduce((a, b) => a + b, 0) / slo.length >= 90) low = load;
      else high = load;
    }
    process.stdout.write(`${name}: knee at ${low.toFixed(2)} x the present one\n`);
  }
}
