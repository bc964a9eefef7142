/**
 * `npm run study:batch [-- --out DIR]`: what batches cost interactive requests and yield, in virtual time; writes
 * docs/batch-study.md. `-- --real [--rounds N] [--seconds N] [--rate N] [--url URL --key KEY]`: the same with real processes, into
 * its section: those of a local start that is made for it, or of the installation whose router is named.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { IDLE_RULE } from '@tollgate/router/queue/idle-room';
import { average, BACKLOG, LOADS, NOBODY, WORKERS, WORKLOADS } from './cases.ts';
import { quantile, runReal, tellReal } from './real.ts';
import { BATCH_OUTPUT_TOKENS, BATCH_PROMPT_TOKENS, type BatchRunResult } from './simulate.ts';

const SEEDS = [1, 2, 3];
const DURATION_MS = 300_000;

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'docs' },
    real: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '6' },
    url: { type: 'string' },
    key: { type: 'string', default: '' },
  },
});
const document = join(values.out, 'batch-study.md');
const written = existsSync(document) ? readFileSync(document, 'utf8') : '';
const REAL = /(<!-- real -->\n)([\s\S]*?)(<!-- \/real -->)/;
if (values.real) {
  const say = (text: string) => process.stdout.write(`${text}\n`);
  const { rounds, seconds, rate } = values;
  const at = values.url === undefined ? null : { url: values.url.replace(/\/+$/, ''), key: values.key };
  const options = { rounds: Number(rounds), phaseMs: Number(seconds) * 1_000, rate: Number(rate), at, say };
  const result = await runReal(options);
  const section = tellReal(result, options);
  say(section);
  if (!REAL.test(written)) throw new Error(`${document} has no place for it: run the study first`);
  writeFileSync(document, written.replace(REAL, `$1${section}\n$3`));
  const isOver = quantile(result.batch.ttftsMs, 0.95) > 1.1 * quantile(result.none.ttftsMs, 0.95);
  process.exit(isOver || result.none.failed + result.batch.failed > 0 ? 1 : 0);
}
const rows = [
  '| interactive load | batch | TTFT p50, ms | TTFT p95, ms | p95 against none | ms per output token | batch tokens/s |',
  '|---|---|---|---|---|---|---|',
];
const ms = (value: number) => value.toFixed(1);
for (const [name, workload] of Object.entries(WORKLOADS)) {
  for (const load of LOADS) {
    const run = { workload, load, durationMs: DURATION_MS };
    const none = await average({ ...run, backlog: 0, batchLane: 'batch' }, SEEDS);
    const lane = await average({ ...run, backlog: BACKLOG, batchLane: 'batch' }, SEEDS);
    const plain = await average({ ...run, backlog: BACKLOG, batchLane: 'interactive' }, SEEDS);
    const row = (what: string, r: BatchRunResult) =>
      rows.push(
        `| ${name} x${load} | ${what} | ${ms(r.ttftP50Ms)} | ${ms(r.ttftP95Ms)} | ${(r.ttftP95Ms / none.ttftP95Ms).toFixed(3)} | ${ms(r.tpotMs)} | ${r.batchTokensPerS.toFixed(0)} |`,
      );
    row('none', none);
    row('in idle room', lane);
    row('as interactive requests', plain);
  }
}
const SEVERAL = 4;
for (const name of ['shared-prefix', 'chat']) {
  for (const load of LOADS) {
    const run = {
      workload: WORKLOADS[name]!,
      load,
      durationMs: DURATION_MS,
      batchLane: 'batch' as const,
      routers: SEVERAL,
    };
    const none = await average({ ...run, backlog: 0 }, SEEDS);
    const lane = await average({ ...run, backlog: BACKLOG }, SEEDS);
    const row = (what: string, r: BatchRunResult) =>
      rows.push(
        `| ${name} x${load}, ${SEVERAL} routers | ${what} | ${ms(r.ttftP50Ms)} | ${ms(r.ttftP95Ms)} | ${(r.ttftP95Ms / none.ttftP95Ms).toFixed(3)} | ${ms(r.tpotMs)} | ${r.batchTokensPerS.toFixed(0)} |`,
      );
    row('none', none);
    row('in idle room', lane);
  }
}
const idle = await average(
  { workload: NOBODY, load: 1, durationMs: DURATION_MS, backlog: BACKLOG, batchLane: 'batch' },
  SEEDS,
);
rows.push(`| nobody | in idle room | | | | | ${idle.batchTokensPerS.toFixed(0)} |`);

const text = `# What batches cost interactive requests

Made by \`npm run study:batch\`: the router's own waiting room, fleet and picker before ${WORKERS} modelled H100 workers (Qwen3-30B-A3B-FP8) in virtual time, ${DURATION_MS / 1_000} s, means over seeds ${SEEDS.join(', ')}. Loads are shares of the workload's knee ([routing study](routing-study.md)). Beside them ${BACKLOG} batch requests of ${BATCH_PROMPT_TOKENS} prompt and ${BATCH_OUTPUT_TOKENS} output tokens are under way or wait at any time.

The rule: a batch request goes only to a worker where no prompt is being computed and where all batch requests together lengthen the predicted decode step by at most ${IDLE_RULE.maxStepGrowth * 100} %; where nobody else runs, to ${IDLE_RULE.aloneSequences} at a time. After 60 s of waiting any room will do: with ${BACKLOG} waiting that alone gives about ${((BACKLOG / 60) * BATCH_OUTPUT_TOKENS).toFixed(0)} tokens/s, and is part of the figures.

${rows.join('\n')}

- The bar is a p95 of at most 1.10 times that without batch; \`test/sim/batch\` holds it for shared-prefix and chat in every test run.
- Agents send their next turn after the last answer: batch changes which requests there are, and the p95 of few long prompts moves by more than batch moves it. Their time per token shows what batch does to them.
- Several routers tell each other which of their requests are batch (a delta waits 15 ms, and is 5 ms on its way here): together they take the room that one would. Routers that cannot hear each other (Redis is away) each take it.
- Simulated engines and one calibration: no figure of a real GPU.

## With real processes

<!-- real -->
${REAL.exec(written)?.[2] ?? 'Not run yet.\n'}<!-- /real -->
`;
writeFileSync(document, text);
process.stdout.write(text);
