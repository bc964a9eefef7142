/** `kill -9` of workers in the middle of streams: clients see whole answers, letter by letter, and pay for them once. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RunningRouter } from '@tollgate/router/app';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { chat, eventuallyQuiet, MODEL, type Surroundings, startSurroundings, type TestKey } from '../e2e/router-kit.ts';
import { eventuallyBusy, type Heard, hear, startWorkerProcess, type WorkerProcess } from './worker-kit.ts';

const WORKERS = 3;
const STREAMS = 8;
const TOPICS = ['bread', 'salt', 'rivers', 'grüße 漢字', 'glass', 'winter', 'harbours', 'maps'];
const PATIENCE_MS = counts(120_000, 1_800_000);

let around: Surroundings;
let workers: WorkerProcess[];
let router: RunningRouter;
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  // Slow enough that a kill meets answers half said.
  workers = await Promise.all(Array.from({ length: WORKERS }, () => startWorkerProcess(['--speed', '2'])));
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000_000n);
  router = await around.router(
    workers.map(({ url }) => url),
    { TOLLGATE_ROUTER_METRICS_LISTEN: '127.0.0.1:0' },
  );
}, 60_000);

afterAll(async () => {
  await around?.stop();
  await Promise.all(workers?.map((worker) => worker.kill()) ?? []);
});

/** Greedy, so that any worker says the same; half of them think first. */
const about = (topic: number, more: object = {}) => ({
  model: MODEL,
  messages: [{ role: 'user', content: `Tell me about ${TOPICS[topic]}, at length` }],
  temperature: 0,
  max_tokens: 120,
  ...(topic % 2 === 0 ? {} : { chat_template_kwargs: { enable_thinking: true } }),
  ...more,
});

/** Kills a busy worker, starts it again, waits until the router sends there. */
async function killOne(worker: WorkerProcess): Promise<void> {
  await eventuallyBusy(worker);
  await worker.kill();
  await worker.restart();
  await eventually('the worker is back', async () => (await worker.state()).totals.requests > 0, {
    deadlineMs: 60_000,
    everyMs: 50,
  });
}

test(
  'plain streams survive: no client error, no missing or doubled text, billed once',
  async () => {
    const kills = counts(4, 200);
    const random = seededRandom(testSeed());
    const wholes = await Promise.all(TOPICS.map((_, topic) => hear(router.url, key.text, about(topic))));
    for (const whole of wholes) expect(whole).toMatchObject({ error: null, done: true });
    const heard: { topic: number; answer: Heard }[] = [];
    const plain: { topic: number; status: number; content: string }[] = [];
    let stopping = false;
    const streams = Array.from({ length: STREAMS }, async () => {
      while (!stopping) {
        const topic = random.int(TOPICS.length);
        heard.push({ topic, answer: await hear(router.url, key.text, about(topic)) });
      }
    });
    const plains = Array.from({ length: 2 }, async () => {
      while (!stopping) {
        const topic = 2 * random.int(TOPICS.length / 2);
        const { status, json } = await chat(router, key.text, about(topic));
        plain.push({ topic, status, content: json?.choices?.[0]?.message.content });
      }
    });
    for (let i = 0; i < kills; i++) await killOne(workers[i % WORKERS]!);
    stopping = true;
    await Promise.all([...streams, ...plains]);
    await eventuallyQuiet(router);

    for (const { topic, answer } of heard) {
      const whole = wholes[topic]!;
      expect(answer).toMatchObject({
        status: 200,
        error: null,
        done: true,
        roles: 1,
        finish: whole.finish,
        content: whole.content,
        reasoning: whole.reasoning,
        promptTokens: whole.promptTokens,
        completionTokens: whole.completionTokens,
      });
      expect([answer.chunkIds.size, answer.created.size]).toEqual([1, 1]);
    }
    for (const { topic, status, content } of plain) {
      expect({ status, content }).toEqual({ status: 200, content: wholes[topic]!.content });
    }
    const records = await recordsOf(heard.map(({ answer }) => answer));
    let billed = 0;
    for (const { topic, answer } of heard) {
      const record = records.get(answer.id);
      billed += record?.completionTokens ?? 0;
      expect(record).toMatchObject({
        outcome: 'served',
        promptTokens: wholes[topic]!.promptTokens,
        completionTokens: wholes[topic]!.completionTokens,
        clipped: false,
      });
    }
    const metrics = await resumedStreams();
    // Else the kills met nothing and this test shows nothing.
    expect(metrics).toBeGreaterThanOrEqual(Math.min(kills, 4));
    recordProof({
      name: 'kill -9 of a worker in the middle of plain streams',
      count: kills,
      seed: testSeed(),
      result: `${heard.length} streams (${metrics} resumed) and ${plain.length} plain answers: 0 client errors, 0 letters missing or doubled; ${billed} tokens billed, error 0`,
    });
  },
  PATIENCE_MS,
);

const SCHEMA = {
  type: 'json_schema',
  json_schema: {
    name: 'atlas',
    schema: {
      type: 'object',
      properties: {
        towns: { type: 'array', items: { type: 'string', minLength: 8, maxLength: 16 }, minItems: 12, maxItems: 16 },
      },
      required: ['towns'],
      additionalProperties: false,
    },
  },
};

test(
  'documents that lose their worker end with an error event within a second, and never look whole',
  async () => {
    const kills = counts(2, 50);
    const heard: Heard[] = [];
    let stopping = false;
    const streams = Array.from({ length: STREAMS }, async () => {
      while (!stopping) {
        heard.push(
          await hear(router.url, key.text, about(0, { response_format: SCHEMA, temperature: 0.7, max_tokens: 400 })),
        );
      }
    });
    for (let i = 0; i < kills; i++) await killOne(workers[i % WORKERS]!);
    stopping = true;
    await Promise.all(streams);
    await eventuallyQuiet(router);
    const broken = heard.filter(({ error }) => error !== null);
    expect(broken.length).toBeGreaterThan(0);
    for (const { error, done, finish } of broken) {
      expect({ error, done, finish }).toEqual({ error: 'worker_stream_broken', done: false, finish: null });
    }
    for (const { content } of heard.filter(({ error }) => error === null))
      expect(() => JSON.parse(content)).not.toThrow();
    const waits = broken.map(({ errorAfterMs }) => errorAfterMs ?? 0).sort((a, b) => a - b);
    const records = await recordsOf(broken);
    for (const { id } of broken) expect(records.get(id)).toMatchObject({ outcome: 'worker_lost' });
    recordProof({
      name: 'kill -9 of a worker in the middle of structured streams',
      count: kills,
      result: `${broken.length} error events, none looked whole; after the last chunk at most ${Math.round(waits.at(-1)!)} ms`,
    });
  },
  PATIENCE_MS,
);

/** The record of each, one and only one. */
async function recordsOf(heard: readonly Heard[]): Promise<Map<string, UsageRecord>> {
  const records = new Map<string, UsageRecord>();
  const wanted = new Set(heard.map(({ id }) => id));
  await eventually('all are settled', async () => {
    for (const record of await around.drain()) {
      if (records.has(record.requestId)) throw new Error('a request was settled twice');
      records.set(record.requestId, record);
    }
    return [...wanted].every((id) => records.has(id));
  });
  return records;
}

/** Streams that went on at another worker, as the router counts them. */
async function resumedStreams(): Promise<number> {
  const text = await (await fetch(`${router.metricsUrl}/metrics`)).text();
  let sum = 0;
  for (const [, value] of text.matchAll(/^tollgate_stream_resumes_total\{[^}]*result="resumed"[^}]*\} (\d+)/gm))
    sum += Number(value);
  return sum;
}
