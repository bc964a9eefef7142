/** Bills and aborts against the real engine's own counters. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { ask, startWorld, TOOL, type World } from '../conformance/contracts/kit.ts';
import { eventuallyQuiet } from '../e2e/router-kit.ts';
import { realVllmUrl } from './config.ts';
import { engineCounters } from './counters.ts';

const engine = realVllmUrl!;
let world: World;
beforeAll(async () => {
  world = await startWorld({}, 'real vLLM');
});
afterAll(() => world.stop());
afterEach(async () => {
  await world.around.drain();
});

const idle = () =>
  eventually('the engine is idle', async () => {
    const { running, waiting } = await engineCounters(engine);
    return running + waiting === 0;
  });

/** What the engine counted while `work` ran, and what was billed for it. */
async function measured(work: () => Promise<void>) {
  await idle();
  const before = await engineCounters(engine);
  await work();
  await eventuallyQuiet(world.router);
  await idle();
  const after = await engineCounters(engine);
  const records = await world.around.records();
  const sum = (of: (record: UsageRecord) => number) => records.reduce((total, record) => total + of(record), 0);
  return {
    records,
    billed: {
      prompt: sum(({ promptTokens }) => promptTokens),
      output: sum(({ completionTokens }) => completionTokens),
    },
    counted: {
      prompt: after.promptTokens - before.promptTokens,
      output: after.generationTokens - before.generationTokens,
    },
  };
}

/** Without strings: random weights write bytes that are no UTF-8 into them, which are worth more characters than were counted. */
const schema = {
  type: 'json_schema',
  json_schema: {
    name: 'x',
    schema: {
      type: 'object',
      properties: {
        kind: { enum: ['billing', 'bug', 'feature'] },
        counts: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 9999 }, minItems: 3, maxItems: 3 },
      },
      required: ['kind', 'counts'],
      additionalProperties: false,
    },
  },
};
const FORMS: [string, Record<string, unknown>][] = [
  ['plain', {}],
  [
    'a longer prompt',
    { messages: [{ role: 'user', content: 'the quick brown fox jumps over the lazy dog '.repeat(30) }] },
  ],
  ['cut at one token', { max_tokens: 1 }],
  ['ended by a stop string', { stop: ['e', 'a'], max_tokens: 200 }],
  ['with logprobs', { logprobs: true, top_logprobs: 3 }],
  ['sampled', { temperature: 1, top_k: 40, top_p: 0.9, seed: 5 }],
  ['under a schema', { response_format: schema, max_tokens: 600 }],
  ['with tools', { tools: [TOOL], tool_choice: 'auto' }],
  ['thinking', { reasoning_effort: 'high', max_tokens: 60 }],
];

test('billed tokens are the growth of vllm:prompt_tokens_total and vllm:generation_tokens_total, to the token', async () => {
  const rounds = counts(3, 30);
  const { records, billed, counted } = await measured(async () => {
    for (let round = 0; round < rounds; round++) {
      for (const [name, more] of FORMS) {
        for (const stream of [false, true]) {
          const { status, text } = await world.call('openai', ask({ ...more, stream }));
          expect([name, stream, status, status === 200 ? '' : text]).toEqual([name, stream, 200, '']);
        }
      }
    }
  });
  expect(records).toHaveLength(rounds * FORMS.length * 2);
  expect(new Set(records.map(({ countSource }) => countSource))).toEqual(new Set(['engine']));
  expect(billed).toEqual(counted);
  recordProof({ name: 'billed tokens = counters of a real vLLM', count: records.length, result: '0 tokens apart' });
});

test('at the same time, streamed and not, still to the token', async () => {
  const { records, billed, counted } = await measured(async () => {
    const asked = Array.from({ length: 40 }, (_, i) =>
      world.call('openai', ask({ ...FORMS[i % FORMS.length]![1], seed: i, stream: i % 2 === 0 })),
    );
    for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
  });
  expect(records).toHaveLength(40);
  expect(billed).toEqual(counted);
});

test('several choices: output to the token; the engine counts the prompt once per choice, the bill once', async () => {
  const { records, billed, counted } = await measured(async () => {
    for (const stream of [false, true]) {
      expect((await world.call('openai', ask({ n: 3, temperature: 1, stream }))).status).toBe(200);
    }
  });
  expect(records).toHaveLength(2);
  expect(billed.output).toBe(counted.output);
  expect(billed.prompt * 3).toBe(counted.prompt);
});

test('what the engine refuses, in a plain answer or inside a stream of status 200, is 400 and costs nothing', async () => {
  const { records, counted } = await measured(async () => {
    for (const stream of [false, true]) {
      const { status, json } = await world.call('openai', ask({ logit_bias: { 999999: 1 }, stream }));
      expect([stream, status, json.error.type]).toEqual([stream, 400, 'invalid_request_error']);
    }
  });
  expect(records).toEqual([]);
  expect(counted).toEqual({ prompt: 0, output: 0 });
});

test('a client that leaves: the engine stops at once, and is billed at most what the engine made', async () => {
  const rounds = counts(5, 50);
  const apart: number[] = [];
  const stoppedMs: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const { records, billed, counted } = await measured(async () => {
      const control = new AbortController();
      const response = await fetch(`${world.router.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${world.key.text}` },
        body: JSON.stringify(ask({ stream: true, max_tokens: 1_900, ignore_eos: true })),
        signal: control.signal,
      });
      const reader = response.body!.getReader();
      for (let read = 0; read < 4; read++) await reader.read();
      const leftMs = performance.now();
      control.abort();
      await idle();
      stoppedMs.push(performance.now() - leftMs);
    });
    expect(records.map(({ outcome }) => outcome)).toEqual(['client_gone']);
    expect(billed.prompt).toBe(counted.prompt);
    expect(billed.output).toBeGreaterThan(0);
    expect(billed.output).toBeLessThanOrEqual(counted.output);
    expect(counted.output).toBeLessThan(1_900);
    apart.push(counted.output - billed.output);
    await world.around.drain();
  }
  stoppedMs.sort((a, b) => a - b);
  recordProof({
    name: 'a real vLLM after its client left',
    count: rounds,
    result: `idle after p50 ${stoppedMs[rounds >> 1]!.toFixed(0)} ms, worst ${stoppedMs.at(-1)!.toFixed(0)} ms; ${Math.max(...apart)} tokens more than billed at most`,
  });
});
