/**
 * `npm run study`: every policy over every scenario in virtual time. Writes docs/routing-study.{json,md} and the plot.
 *
 *   study.ts [--quick] [--mooncake FILE] [--azure FILE] [--trace FILE...] [--only NAME] [--policies a,b] [--out DIR]
 *            [--lanes N] [--budget MINUTES] [--results FILE] [--find-knees]
 *
 * `--results` keeps what is done, one line per run: the same command goes on where it was stopped. When the budget is
 * spent, the report is of the seeds that are whole, and says which.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { POLICIES, type PolicyName } from '@tollgate/router/routing/policies/index';
import { type Job, type JobResult, jobsOf, keyOf, runner, WORKERS } from './jobs.ts';
import { renderReport } from './report.ts';
import { REPORT_SEEDS, type TraceFiles, TUNING_SEEDS, tuningWorkloads, workloads } from './scenarios.ts';
import { simulate } from './simulate.ts';

/** What a person has to say of the figures: put under the targets. */
const NOTES = new URL('notes.md', import.meta.url);

if (isMainThread) await main();
else serveJobs();

interface Running {
  files: TraceFiles;
  quick: boolean;
  lanes: number;
  untilMs: number;
  resultsFile: string | null;
  say(text: string): void;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      trace: { type: 'string', multiple: true, default: [] },
      mooncake: { type: 'string' },
      azure: { type: 'string' },
      only: { type: 'string' },
      policies: { type: 'string' },
      lanes: { type: 'string' },
      budget: { type: 'string' },
      results: { type: 'string' },
      'find-knees': { type: 'boolean', default: false },
      out: { type: 'string', default: 'docs' },
    },
  });
  const files: TraceFiles = { mooncake: values.mooncake ?? null, azure: values.azure ?? null, others: values.trace };
  if (values['find-knees']) return findKnees(files);
  const { quick } = values;
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const policies = (values.policies?.split(',') ?? Object.keys(POLICIES)) as PolicyName[];
  const unknown = policies.filter((name) => !(name in POLICIES));
  if (unknown.length > 0)
    throw new Error(`unknown policies: ${unknown.join(', ')}; known: ${Object.keys(POLICIES).join(', ')}`);
  const seeds = quick ? REPORT_SEEDS.slice(0, 2) : REPORT_SEEDS;
  const jobs = jobsOf(files, quick, policies, seeds).filter(
    ({ scenario }) => values.only === undefined || scenario.startsWith(values.only),
  );
  const startedMs = performance.now();
  const resultsFile = values.results ?? null;
  const done = readResults(resultsFile);
  const results = jobs.flatMap((job) => done.get(keyOf(job)) ?? []);
  const open = jobs.filter((job) => !done.has(keyOf(job)));
  const lanes = Number(values.lanes ?? availableParallelism());
  say(`${open.length} runs on ${lanes} threads, ${results.length} done before`);
  const untilMs = startedMs + Number(values.budget ?? Number.POSITIVE_INFINITY) * 60_000;
  results.push(...(await runAll(open, { files, quick, lanes, untilMs, resultsFile, say })));
  const wallMinutes = (performance.now() - startedMs) / 60_000;
  const whole = wholeSeeds(jobs, results, seeds);
  if (whole.length === 0) throw new Error(`no seed is whole after ${wallMinutes.toFixed(1)} minutes`);
  const reported = results.filter(({ kind, seed }) => kind === 'term' || whole.includes(seed));
  mkdirSync(values.out, { recursive: true });
  const notes = existsSync(NOTES) ? readFileSync(NOTES, 'utf8') : '';
  const context = { files, seeds: whole, wanted: seeds, quick, workers: WORKERS, runs: reported.length, notes };
  const report = renderReport(reported, context);
  writeFileSync(join(values.out, 'routing-study.json'), `${JSON.stringify(report.json, null, 2)}\n`);
  writeFileSync(join(values.out, 'routing-study.md'), report.markdown);
  for (const [name, svg] of Object.entries(report.plots)) writeFileSync(join(values.out, name), svg);
  say(`${wallMinutes.toFixed(1)} min; ${join(values.out, 'routing-study.md')}`);
}

function readResults(file: string | null): Map<string, JobResult> {
  const done = new Map<string, JobResult>();
  if (file === null || !existsSync(file)) return done;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (!line.endsWith('}')) continue;
    const result = JSON.parse(line) as JobResult;
    done.set(keyOf(result), result);
  }
  return done;
}

/** Seeds of which every run is there. */
function wholeSeeds(jobs: readonly Job[], results: readonly JobResult[], seeds: readonly number[]): number[] {
  const done = new Set(results.map(keyOf));
  const missing = new Set(jobs.filter((job) => job.kind !== 'term' && !done.has(keyOf(job))).map(({ seed }) => seed));
  return seeds.filter((seed) => !missing.has(seed));
}

async function runAll(jobs: readonly Job[], { files, quick, lanes, untilMs, resultsFile, say }: Running) {
  const results: JobResult[] = [];
  const queue = jobs.slice();
  const lane = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { files, quick } });
      const next = () => {
        const job = performance.now() < untilMs ? queue.shift() : undefined;
        if (job) worker.postMessage(job);
        else void worker.terminate().then(() => resolve());
      };
      worker.on('message', (result: JobResult) => {
        results.push(result);
        if (resultsFile !== null) appendFileSync(resultsFile, `${JSON.stringify(result)}\n`);
        if (results.length % 100 === 0) say(`${results.length} / ${jobs.length}`);
        next();
      });
      worker.on('error', reject);
      next();
    });
  await Promise.all(Array.from({ length: Math.min(lanes, jobs.length) }, lane));
  return results;
}

function serveJobs(): void {
  const { files, quick } = workerData as { files: TraceFiles; quick: boolean };
  const run = runner(files, quick);
  parentPort!.on('message', (job: Job) => {
    void run(job).then((result) => parentPort!.postMessage(result));
  });
}

/** Prints, for each workload, the load (in its own units) at which 90 % still meet the SLO under `lpwl`. */
function findKnees(files: TraceFiles): void {
  for (const workload of [...tuningWorkloads(files), ...workloads(files)]) {
    let low = 0.25;
    let high = 4;
    for (let i = 0; i < 6; i++) {
      const load = Math.sqrt(low * high);
      const slo = TUNING_SEEDS.map(
        (seed) =>
          simulate({ workload, load, policy: POLICIES.lpwl, seed, workers: WORKERS, replicas: 1, shareDelayMs: null })
            .sloPercent,
      );
      if (slo.reduce((a, b) => a + b, 0) / slo.length >= 90) low = load;
      else high = load;
    }
    process.stdout.write(`${workload.name}: knee at ${low.toFixed(2)} x the present one\n`);
  }
}
