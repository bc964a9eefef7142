/** The SGLang dialect, as its sources say (nothing of it was recorded). */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '../../app.ts';

// A machine with other work may be slow; nothing here measures time.
jest.setTimeout(60_000);

let worker: Devworker;

beforeAll(async () => {
  worker = await startDevworker({ dialect: 'sglang', speed: 20, maxModelLen: 2048 });
});

afterAll(() => worker.close());

const MESSAGES = [{ role: 'user', content: 'What is the weather like?' }];

async function ask(body: Record<string, unknown>): Promise<{ status: number; text: string }> {
  const response = await fetch(`${worker.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages: MESSAGES, ...body }),
  });
  return { status: response.status, text: await response.text() };
}

const json = async (body: Record<string, unknown>) => JSON.parse((await ask(body)).text);
const chunks = async (body: Record<string, unknown>) =>
  (await ask({ ...body, stream: true })).text
    .split('\n\n')
    .filter((block) => block.startsWith('data: {'))
    .map((block) => JSON.parse(block.slice(6)));

describe('requests', () => {
  test('any model is accepted and echoed; unknown fields are ignored, vLLM’s constraints too', async () => {
    const answer = await json({ model: 'whatever', structured_outputs: { choice: ['red'] }, max_tokens: 5 });
    expect(answer).toMatchObject({ model: 'whatever', choices: [{ finish_reason: 'length', matched_stop: null }] });
    expect((await json({ max_tokens: 1 })).model).toBe('default');
  });

  test('regex, ebnf and json_schema constrain; two of them are refused; empty tools are no tools', async () => {
    expect((await json({ regex: '[ab]{4}' })).choices[0].message.content).toMatch(/^[ab]{4}$/);
    expect((await json({ ebnf: 'root ::= "yes" | "no"' })).choices[0].message.content).toMatch(/^(yes|no)$/);
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    const format = { type: 'json_schema', json_schema: { name: 'x', schema } };
    expect(JSON.parse((await json({ response_format: format })).choices[0].message.content)).toEqual({
      n: expect.any(Number),
    });
    expect(await ask({ regex: 'a', response_format: format })).toMatchObject({ status: 400 });
    expect((await ask({ tools: [], max_tokens: 1 })).status).toBe(200);
  });

  test('rid is the id, stop strings have no limit', async () => {
    expect((await json({ rid: 'my-id', stop: ['1', '2', '3', '4', '5', 'the'], max_tokens: 9 })).id).toBe('my-id');
  });
});

describe('errors', () => {
  test('are flat, with an integer code', async () => {
    const { status, text } = await ask({ messages: [{ role: 'user', content: 'hi '.repeat(9000) }] });
    expect(status).toBe(400);
    expect(JSON.parse(text)).toEqual({
      object: 'error',
      message: expect.stringMatching(
        /^The input \(.* tokens\) is longer than the model's context length \(2048 tokens\)\.$/,
      ),
      type: 'BadRequestError',
      param: null,
      code: 400,
    });
  });

  test('a grammar that does not compile is 400 plain, and 200 with an error event in a stream', async () => {
    expect((await ask({ regex: '[a-' })).status).toBe(400);
    const streamed = await ask({ regex: '[a-', stream: true });
    expect(streamed.status).toBe(200);
    expect(JSON.parse(streamed.text.split('\n')[0]!.slice(6))).toMatchObject({ error: { object: 'error', code: 400 } });
  });
});

describe('chunks', () => {
  test('role, text, then a finish chunk of its own, usage and [DONE]', async () => {
    const list = await chunks({ max_tokens: 3, stream_options: { include_usage: true } });
    expect(list[0].choices[0]).toEqual({
      index: 0,
      delta: { reasoning_content: null, role: 'assistant', content: '' },
      logprobs: null,
      finish_reason: null,
      matched_stop: null,
    });
    expect(list.at(-2).choices[0]).toMatchObject({ delta: { reasoning_content: null }, finish_reason: 'length' });
    expect(list.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3, reasoning_tokens: 0 } });
  });

  test('thoughts come as reasoning_content; with two choices both finish after both have ended', async () => {
    const thought = await chunks({ chat_template_kwargs: { enable_thinking: true } });
    expect(thought.some((chunk) => typeof chunk.choices[0]?.delta.reasoning_content === 'string')).toBe(true);
    const two = await chunks({ n: 2, max_tokens: 4, temperature: 1 });
    expect(two.slice(-2).map((chunk) => chunk.choices[0].finish_reason)).toEqual(['length', 'length']);
  });

  test('tool deltas are full dumps, named once', async () => {
    const parameters = {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    };
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }];
    const list = await chunks({ tools });
    const calls = list.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    expect(calls[0]).toMatchObject({
      id: expect.stringMatching(/^call_[0-9a-f]{24}$/),
      function: { name: 'get_weather', arguments: '' },
    });
    expect(calls[1]).toMatchObject({ id: null, function: { name: null } });
    expect(JSON.parse(calls.map((call) => call.function.arguments).join(''))).toEqual({ city: expect.any(String) });
    expect(list.at(-1).choices[0].finish_reason).toBe('tool_calls');
  });
});

test('completions: constrained from the first token, plain and streamed', async () => {
  const post = async (body: Record<string, unknown>) =>
    fetch(`${worker.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'hello', seed: 1, ...body }),
    });
  const plain = (await (await post({ regex: '[ab]{6}' })).json()) as {
    choices: { text: string; matched_stop: number }[];
  };
  expect(plain.choices[0]).toMatchObject({ text: expect.stringMatching(/^[ab]{6}$/), matched_stop: 151_645 });
  const streamed = await (await post({ regex: '[ab]{6}', stream: true })).text();
  const parts = streamed.split('\n\n').filter((block) => block.startsWith('data: {'));
  expect(parts.map((part) => JSON.parse(part.slice(6)).choices[0].text).join('')).toBe(plain.choices[0]!.text);
});

test('a model has a page of its own, loads and metrics have SGLang’s names, abort_request aborts at once', async () => {
  const get = async (path: string) => fetch(worker.url + path);
  expect((await get('/v1/models/Qwen/Qwen3-30B-A3B-FP8')).status).toBe(200);
  expect(await (await get('/v1/models/nope')).json()).toMatchObject({ error: { code: 'model_not_found' } });
  expect(await (await get('/v1/loads')).json()).toMatchObject({ loads: [{ num_running_reqs: 0 }] });
  expect(await (await get('/metrics')).text()).toContain('sglang:num_running_reqs{');
  expect((await get('/health')).status).toBe(200);

  const running = ask({ rid: 'to-abort', ignore_eos: true, max_tokens: 2000 }).catch(() => 'cut');
  for (let tries = 0; tries < 500 && worker.engine.stats().running === 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  await fetch(`${worker.url}/abort_request`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ rid: 'to-abort' }),
  });
  expect(worker.engine.stats().running).toBe(0);
  expect(await running).toBe('cut');
});
