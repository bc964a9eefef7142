/** Structured output before real grammar workers: every way to ask for it, what is refused, and what an invalid document becomes. */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { CONTRACTS_FOLDER } from '@tollgate/router/contract/load-profiles';
import { RETRY_BUDGET_DEFAULTS } from '@tollgate/router/upstream/retry-budget';
import { eventually } from '@tollgate/shared/testkit/eventually';
import {
  type Answer,
  chat,
  events,
  eventuallyQuiet,
  hello,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from './router-kit.ts';

jest.setTimeout(60_000);

const SCHEMA = {
  type: 'object',
  properties: { n: { type: 'number' }, word: { type: 'string', maxLength: 20 } },
  required: ['n', 'word'],
  additionalProperties: false,
};
const DOCUMENT = { n: expect.any(Number), word: expect.any(String) };
const form = (schema: unknown = SCHEMA) => ({ type: 'json_schema', json_schema: { name: 'x', schema } });

let around: Surroundings;
let key: TestKey;
let trusted: TestKey;
const workers: Record<string, Devworker> = {};
const routers: Record<string, RunningRouter> = {};

beforeAll(async () => {
  around = await startSurroundings();
  key = await around.key();
  trusted = await around.key({ allowGrammars: true });
  for (const { record } of [key, trusted]) await around.credit(record.accountId, 100_000_000_000n);
  for (const dialect of ['vllm', 'sglang'] as const) {
    workers[dialect] = await startDevworker({ speed: 50, dialect });
    routers[dialect] = await around.router([workers[dialect].url]);
  }
});

afterAll(async () => {
  await around.stop();
  await Promise.all(Object.values(workers).map((worker) => worker.close()));
});

const ask = (dialect: string, more: Record<string, unknown>, who = trusted): Promise<Answer> =>
  chat(routers[dialect]!, who.text, hello({ max_tokens: 300, ...more }));

const contentOf = (answer: Answer): string =>
  answer.json?.choices[0].message.content ??
  events(answer.text)
    .filter((data) => data !== '[DONE]')
    .map((data) => JSON.parse(data).choices[0]?.delta.content ?? '')
    .join('');

async function fault(worker: Devworker, text: string | null): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ fault: text });
  expect((await fetch(`${worker.url}/devworker/faults`, { method: 'POST', headers, body })).status).toBe(200);
}

const recordOf = (answer: Answer) =>
  eventually('the record', async () =>
    (await around.records()).find((entry) => entry.requestId === answer.headers.get('x-request-id')),
  );

describe.each(['vllm', 'sglang'])('a worker that speaks %s is told in its own words', (dialect) => {
  test.each([
    ['response_format', { response_format: form() }],
    ['structured_outputs.json', { structured_outputs: { json: SCHEMA } }],
    ['guided_json', { guided_json: SCHEMA }],
    ['json_schema, as text', { json_schema: JSON.stringify(SCHEMA) }],
  ])('a schema in %s', async (_name, more) => {
    for (const stream of [false, true]) {
      const answer = await ask(dialect, { ...more, stream }, key);
      expect(JSON.parse(contentOf(answer))).toEqual(DOCUMENT);
    }
  });

  test.each([
    ['a choice', { structured_outputs: { choice: ['red', 'blue'] } }, /^(red|blue)$/],
    ['a choice in old words', { guided_choice: ['red', 'blue'] }, /^(red|blue)$/],
    ['a regular expression', { regex: '[ab]{6}' }, /^[ab]{6}$/],
    ['a regular expression in old words', { guided_regex: '[ab]{6}' }, /^[ab]{6}$/],
    ['a grammar', { ebnf: 'root ::= "yes" | "no"' }, /^(yes|no)$/],
    ['a grammar in old words', { guided_grammar: 'root ::= "yes" | "no"' }, /^(yes|no)$/],
  ])('%s', async (_name, more, expected) => {
    for (const stream of [false, true]) expect(contentOf(await ask(dialect, { ...more, stream }))).toMatch(expected);
  });

  test('any JSON object', async () => {
    const answer = await ask(dialect, { response_format: { type: 'json_object' } });
    expect(typeof JSON.parse(contentOf(answer))).toBe('object');
  });

  test('several answers are each checked', async () => {
    const answer = await ask(dialect, { response_format: form(), n: 3, temperature: 1 });
    for (const { message } of answer.json.choices) expect(JSON.parse(message.content)).toEqual(DOCUMENT);
  });
});

describe('refused before anything is charged', () => {
  const refuse = async (more: Record<string, unknown>, who = key) => {
    for (const stream of [false, true]) {
      const answer = await ask('vllm', { ...more, stream }, who);
      expect(answer.status).toBe(400);
      if (stream) return answer.json.error;
    }
  };

  test.each([
    [
      'a keyword with a bad value',
      form({ type: 'object', properties: { a: { type: 'banana' } } }),
      '/properties/a/type',
    ],
    ['nothing that matches', form({ type: 'object', properties: { a: { enum: [] } } }), '/properties/a/enum'],
    ['a reference to nowhere', form({ $ref: '#/$defs/nope' }), '/$ref'],
  ])('%s, by pointer and keyword', async (_name, response_format, pointer) => {
    const error = await refuse({ response_format });
    expect(error).toMatchObject({ code: 'invalid_schema', metadata: { pointer } });
    expect(error.param).toBe(`response_format.json_schema.schema${pointer}`);
  });

  test('regular expressions and grammars of a key that may not send them', async () => {
    for (const more of [{ regex: 'a' }, { ebnf: 'root ::= "a"' }, { structured_outputs: { regex: 'a' } }]) {
      expect(await refuse(more)).toMatchObject({ code: 'unsupported_parameter' });
    }
  });

  test('two constraints at once, and structural tags', async () => {
    expect(await refuse({ response_format: form(), guided_json: SCHEMA })).toMatchObject({ code: 'invalid_request' });
    expect(await refuse({ structured_outputs: { structural_tag: '{}' } })).toMatchObject({
      code: 'unsupported_parameter',
    });
  });

  test('a choice or a grammar together with tools that the model is free to call', async () => {
    const tools = [{ type: 'function', function: { name: 'go', parameters: SCHEMA } }];
    expect(await refuse({ guided_choice: ['red', 'blue'], tools }, trusted)).toMatchObject({
      param: expect.stringMatching(/^guided_choice/),
    });
    const document = await ask('vllm', { response_format: form(), tools, tool_choice: 'none' });
    expect(JSON.parse(contentOf(document))).toEqual(DOCUMENT);
  });

  test("parameters of a strict tool, by the tool's path", async () => {
    const parameters = {
      type: 'object',
      properties: { a: { type: 'banana' } },
      required: ['a'],
      additionalProperties: false,
    };
    const tools = [{ type: 'function', function: { name: 'go', strict: true, parameters } }];
    expect(await refuse({ tools })).toMatchObject({ param: 'tools[0].function.parameters/properties/a/type' });
  });

  test('nothing was billed or held', async () => {
    await eventuallyQuiet(routers.vllm!);
    expect((await around.records()).filter((record) => record.outcome !== 'served')).toEqual([]);
  });
});

describe('a finished document that breaks its schema', () => {
  /** A router whose contract says what to do then. */
  const routerThat = (onInvalid: string) => {
    const folder = around.folder();
    const profile = `name: sloppy\nextends: openai\nprefix: ''\nbase: /v1\nanswers: { onInvalid: ${onInvalid} }\n`;
    writeFileSync(join(folder, 'sloppy.yaml'), profile);
    copyFileSync(join(CONTRACTS_FOLDER, 'openai.yaml'), join(folder, 'openai.yaml'));
    return around.router([workers.vllm!.url], { TOLLGATE_CONTRACTS_DIR: folder, TOLLGATE_CONTRACTS: 'sloppy' });
  };

  test('is an error of the answer: 502 and nothing billed, or an error event and no [DONE]', async () => {
    await fault(workers.vllm!, 'huge-number');
    const plain = await ask('vllm', { response_format: form() });
    const streamed = await ask('vllm', { response_format: form(), stream: true });
    await fault(workers.vllm!, null);
    expect(plain).toMatchObject({
      status: 502,
      json: { error: { code: 'invalid_output', metadata: { keyword: 'number' } } },
    });
    expect(JSON.parse(events(streamed.text).at(-1)!).error).toMatchObject({ code: 'invalid_output' });
    expect(streamed.text).not.toContain('[DONE]');
    expect(streamed.text).not.toContain('"finish_reason":"');
    // What was delivered is paid, the prompt at the cached price.
    const record = await recordOf(streamed);
    expect(record).toMatchObject({ outcome: 'worker_error', cachedTokens: record.promptTokens });
    expect((await around.records()).some(({ requestId }) => requestId === plain.headers.get('x-request-id'))).toBe(
      false,
    );
  });

  test('is tried again where the contract says so, under the same hold, and the first try is absorbed', async () => {
    const router = await routerThat('retry');
    await fault(workers.vllm!, 'huge-number;times=1');
    const answer = await chat(router, trusted.text, hello({ response_format: form(), max_tokens: 300 }));
    expect(JSON.parse(contentOf(answer))).toEqual(DOCUMENT);
    const record = await recordOf(answer);
    expect(record.absorbed.invalid_retry).toBeGreaterThan(0);
    expect(record.completionTokens).toBe(answer.json.usage.completion_tokens);
    await fault(workers.vllm!, 'huge-number;times=1');
    const streamed = await chat(
      router,
      trusted.text,
      hello({ response_format: form(), max_tokens: 300, stream: true }),
    );
    expect(JSON.parse(events(streamed.text).at(-1)!).error).toMatchObject({ code: 'invalid_output' });
    await fault(workers.vllm!, null);
    await router.stop();
  });

  test('is tried again for a tenth of the requests and a small reserve, not for every one', async () => {
    const router = await routerThat('retry');
    await fault(workers.vllm!, 'huge-number');
    const requests = 24;
    const before = workers.vllm!.totals.requests;
    const startedMs = performance.now();
    for (let i = 0; i < requests; i++) {
      const answer = await chat(router, trusted.text, hello({ response_format: form(), max_tokens: 300 }));
      expect(answer.json.error.code).toBe('invalid_output');
    }
    const { reserve, reservePerSecond, share } = RETRY_BUDGET_DEFAULTS;
    const grownS = (performance.now() - startedMs) / 1_000;
    const retries = workers.vllm!.totals.requests - before - requests;
    expect(retries).toBeGreaterThanOrEqual(Math.min(requests, reserve));
    expect(retries).toBeLessThanOrEqual(Math.min(requests, reserve + requests * share + grownS * reservePerSecond));
    await fault(workers.vllm!, null);
    await router.stop();
  });

  test('is passed on where the contract says so', async () => {
    const router = await routerThat('pass');
    await fault(workers.vllm!, 'huge-number');
    const answer = await chat(router, trusted.text, hello({ response_format: form(), max_tokens: 300 }));
    await fault(workers.vllm!, null);
    expect(answer).toMatchObject({ status: 200, json: { choices: [{ finish_reason: 'stop' }] } });
    expect(contentOf(answer)).toContain('784e243551');
    await router.stop();
  });
});

test('an SGLang worker stops at once when its client leaves', async () => {
  const { engine } = workers.sglang!;
  const controller = new AbortController();
  const response = await fetch(`${routers.sglang!.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
    body: JSON.stringify(hello({ stream: true, max_tokens: 20_000, ignore_eos: true })),
    signal: controller.signal,
  });
  await response.body!.getReader().read();
  expect(engine.stats().running).toBe(1);
  const before = engine.stats().aborted;
  controller.abort();
  await eventually('the engine has aborted it', () => engine.stats().running === 0);
  expect(engine.stats().aborted).toBe(before + 1);
  await eventuallyQuiet(routers.sglang!);
});
