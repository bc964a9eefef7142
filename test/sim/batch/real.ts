/**
 * The same question of real processes: a whole local start (router, console, metering, two look-alike workers at a GPU's pace),
 * clients that stream, and the same minutes with a batch running and without, in turn.
 */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tollgate/shared/testkit/eventually';
import OpenAI, { toFile } from 'openai';
import { cleanUp, startLocal } from '../../e2e/local-start.ts';
import { type RandomSource, seededSource } from '../routing/random.ts';

export interface RealOptions {
  /** Pairs of phases: one without batch, one with. */
  rounds: number;
  phaseMs: number;
  /** Interactive requests per second. */
  rate: number;
  /** A running installation; null = a local start is made for it. */
  at: Target | null;
  say: (text: string) => void;
}

export interface Target {
  /** The router's base URL. */
  url: string;
  /** A key with credit, for chat, files and batches. */
  key: string;
}

export interface Phase {
  ttftsMs: number[];
  failed: number;
  /** Lines of the batch that ended, and their output tokens. */
  lines: number;
}

export interface RealResult {
  none: Phase;
  batch: Phase;
  /** Seconds measured of each kind. */
  seconds: number;
}

/** As in the study. */
const LINE = { promptTokens: 500, outputTokens: 200 };
const LINES = 2_000;
const INTERACTIVE = { promptTokens: 600, outputTokens: 120, sigma: 0.6 };
/** Not counted: what of the phase before still runs ends, lines get under way. */
const SETTLE_MS = 8_000;
/** About two tokens of the look-alike's tokenizer. */
const WORDS = ['river', 'stone', 'window', 'market', 'winter', 'letter', 'garden', 'engine', 'cloud', 'harbour'];

export async function runReal(options: RealOptions): Promise<RealResult> {
  if (options.at !== null) return measure(options.at, options);
  options.say('starting a local installation with two workers at the pace of a GPU');
  try {
    const local = await startLocal({ args: ['--speed', '1'] });
    const { key } = await local.json('keys', 'create', '--name', 'bench', '--credit-usd', '1000');
    // Ends in /v1, which the clients here add themselves.
    return await measure({ url: local.dev.routerUrl.replace(/\/v1$/, ''), key }, options);
  } finally {
    await cleanUp();
  }
}

async function measure(at: Target, { rounds, phaseMs, rate, say }: RealOptions): Promise<RealResult> {
  const client = new OpenAI({ baseURL: `${at.url}/v1`, apiKey: at.key, maxRetries: 5 });
  const model = await modelOf(at);
  const input = await client.files.create({ file: await toFile(linesOf(model), 'in.jsonl'), purpose: 'batch' });
  const none: Phase = { ttftsMs: [], failed: 0, lines: 0 };
  const batch: Phase = { ttftsMs: [], failed: 0, lines: 0 };
  await interact(at, model, rate, SETTLE_MS * 2, seededSource(1), { ttftsMs: [], failed: 0, lines: 0 });
  for (let round = 0; round < rounds; round++) {
    // The same arrivals with and without.
    await interact(at, model, rate, phaseMs, seededSource(100 + round), none);
    const running = await startBatch(client, input.id);
    const before = (await client.batches.retrieve(running)).request_counts!.completed;
    await interact(at, model, rate, phaseMs, seededSource(100 + round), batch);
    batch.lines += (await client.batches.retrieve(running)).request_counts!.completed - before;
    await cancel(client, running);
    say(`round ${round + 1} of ${rounds}: p95 ${p(none.ttftsMs, 0.95)} without, ${p(batch.ttftsMs, 0.95)} ms with`);
  }
  return { none, batch, seconds: ((phaseMs - SETTLE_MS) * rounds) / 1_000 };
}

/** The first that is no embeddings model. */
async function modelOf({ url, key }: Target): Promise<string> {
  const answer = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  const { data } = (await answer.json()) as { data: { id: string }[] };
  return data.find(({ id }) => !/embed/i.test(id))!.id;
}

function linesOf(model: string): Buffer {
  const random = seededSource(7);
  const lines = Array.from({ length: LINES }, (_, i) =>
    JSON.stringify({
      custom_id: `l${i}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: {
        model,
        messages: [{ role: 'user', content: textOf(LINE.promptTokens, random) }],
        max_tokens: LINE.outputTokens,
        ignore_eos: true,
      },
    }),
  );
  return Buffer.from(lines.join('\n'));
}

/** A text of about so many tokens; two of them share no beginning. */
function textOf(tokens: number, random: RandomSource): string {
  const words = Array.from({ length: Math.ceil(tokens / 2) }, () => WORDS[random.integer(WORDS.length)]!);
  return `${random.integer(1e9)} ${words.join(' ')}`;
}

async function startBatch(client: OpenAI, inputFileId: string): Promise<string> {
  const batch = await client.batches.create({
    input_file_id: inputFileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  const isRunning = async () => (await client.batches.retrieve(batch.id)).request_counts!.completed > 0;
  await eventually('lines run', isRunning, { deadlineMs: 240_000, everyMs: 500 });
  return batch.id;
}

async function cancel(client: OpenAI, id: string): Promise<void> {
  await client.batches.cancel(id);
  const hasEnded = async () => (await client.batches.retrieve(id)).status === 'cancelled';
  await eventually('the batch has ended', hasEnded, { deadlineMs: 240_000, everyMs: 500 });
}

/** Requests that come by chance, whatever became of those before; resolves when all have ended. */
async function interact(
  { url, key }: Target,
  model: string,
  rate: number,
  durationMs: number,
  random: RandomSource,
  into: Phase,
): Promise<void> {
  const beganMs = performance.now();
  const asked: Promise<void>[] = [];
  for (let atMs = random.exponential(1_000 / rate); atMs < durationMs; atMs += random.exponential(1_000 / rate)) {
    const content = textOf(random.logNormal(INTERACTIVE.promptTokens, INTERACTIVE.sigma), random);
    const maxTokens = Math.max(8, Math.round(random.logNormal(INTERACTIVE.outputTokens, INTERACTIVE.sigma)));
    await sleep(Math.max(0, beganMs + atMs - performance.now()));
    const isCounted = atMs >= SETTLE_MS;
    const messages = [{ role: 'user', content }];
    const body = JSON.stringify({ model, messages, max_tokens: maxTokens, ignore_eos: true, stream: true });
    asked.push(
      firstTokenMs(`${url}/v1/chat/completions`, key, body).then(
        (ms) => void (isCounted && into.ttftsMs.push(ms)),
        () => void (isCounted && into.failed++),
      ),
    );
  }
  await Promise.all(asked);
}

/** Milliseconds until the first token; the stream is read to its end. */
async function firstTokenMs(url: string, key: string, body: string): Promise<number> {
  const sentMs = performance.now();
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const request = httpRequest(url, { method: 'POST', headers });
  request.end(body);
  const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`);
  let firstMs: number | null = null;
  let tail = '';
  for await (const chunk of response) {
    tail = (tail + (chunk as Buffer).toString('latin1')).slice(-4_096);
    // The chunk that opens a stream has an empty text.
    if (firstMs === null && /"content":"[^"]/.test(tail)) firstMs = performance.now() - sentMs;
  }
  if (firstMs === null || !tail.endsWith('data: [DONE]\n\n')) throw new Error('not whole');
  return firstMs;
}

/** A quantile, as text with one decimal. */
function p(values: readonly number[], q: number): string {
  return quantile(values, q).toFixed(1);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

/** The section of the document. */
export function tellReal({ none, batch, seconds }: RealResult, { rate, rounds, phaseMs, at }: RealOptions): string {
  const ratio = quantile(batch.ttftsMs, 0.95) / quantile(none.ttftsMs, 0.95);
  const row = (what: string, { ttftsMs, failed, lines }: Phase) =>
    `| ${what} | ${ttftsMs.length} | ${failed} | ${p(ttftsMs, 0.5)} | ${p(ttftsMs, 0.95)} | ${((lines * LINE.outputTokens) / seconds).toFixed(0)} |`;
  return `\`npm run study:batch -- --real\`: ${at === null ? `a whole local start on ${cpus().length} cores (router, console, metering, embedded Postgres, Redis, two workers at the pace of an H100, each a process)` : 'an installation that was running'}, load of the machine ${loadavg()[0]!.toFixed(1)}; ${rate} streamed requests a second (prompts of about ${INTERACTIVE.promptTokens} and answers of about ${INTERACTIVE.outputTokens} tokens), ${rounds} times ${phaseMs / 1_000} s without and with a batch of lines of ${LINE.promptTokens} and ${LINE.outputTokens} tokens, in turn; the first ${SETTLE_MS / 1_000} s of each are not counted.

| batch | requests | failed | TTFT p50, ms | TTFT p95, ms | batch tokens/s |
|---|---|---|---|---|---|
${row('none', none)}
${row('running', batch)}

p95 with the batch is ${ratio.toFixed(3)} times that without (bar: 1.10). Clients, workers and product share the cores: the batch costs CPU here that a real installation has elsewhere.`;
}
