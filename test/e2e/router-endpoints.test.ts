/** Every endpoint that generates, against a real worker and a real Redis: answers, bills, streams, aborts, errors. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';

import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { eventually } from '@tollgate/shared/testkit/eventually';
import OpenAI from 'openai';
import {
  CATALOG_MODEL,
  eventuallyQuiet,
  MODEL,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from './router-kit.ts';

const EMBEDDER = 'BAAI/bge-m3';
const EMBEDDING_MODEL: CatalogModel = {
  ...CATALOG_MODEL,
  id: EMBEDDER,
  maxModelLen: 8_192,
  templateTokens: 0,
  templateTokensPerMessage: 0,
  priceId: 'price_embed',
  prices: { inputNusd: 20_000_000n, cachedInputNusd: 20_000_000n, outputNusd: 0n },
};
/** The worker's first element is the engine's; vectors have so many numbers. */
const DIMENSIONS = 1_024;

// Real processes on a busy machine: a test's own limit is no statement about time.
jest.setTimeout(60_000);

let around: Surroundings;
let vllm: Devworker;
let sglang: Devworker;
let router: RunningRouter;
let sglangRouter: RunningRouter;
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings([CATALOG_MODEL, EMBEDDING_MODEL]);
  [vllm, sglang] = await Promise.all([
    startDevworker({ speed: 20, embeddingModel: EMBEDDER }),
    startDevworker({ speed: 20, dialect: 'sglang' }),
  ]);
  router = await around.router([vllm.url]);
  sglangRouter = await around.router([`sglang=${sglang.url}`]);
  key = await around.key();
  await around.credit(key.record.accountId, 1_000_000_000n);
});

afterAll(async () => {
  await around.stop();
  await Promise.all([vllm.close(), sglang.close()]);
});

interface Posted {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  json: any;
}

async function post(
  path: string,
  body: object,
  to: RunningRouter = router,
  headers: Record<string, string> = {},
): Promise<Posted> {
  const response = await fetch(to.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}`, ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  let json: unknown = null;
  try {
    json = JSON.parse(text);
  } catch {}
  return { status: response.status, headers: response.headers, text, json };
}

/** Nothing runs, and no record of what ran is still to come: one that went to a spool first reaches the outbox later. */
async function settled() {
  for (const each of [router, sglangRouter]) {
    await eventuallyQuiet(each);
    await eventually('all records are confirmed', async () => {
      await around.drain();
      return each.counters().unconfirmed === 0;
    });
  }
}

/** Records of what `run` did, and what the worker counted meanwhile. */
async function metered(run: () => Promise<unknown>, to = router, worker = vllm) {
  await settled();
  const { promptTokens, completionTokens } = worker.totals;
  await run();
  await eventuallyQuiet(to);
  const records: UsageRecord[] = [];
  await eventually('the record is in the outbox', async () => {
    records.push(...(await around.drain()));
    return records.length > 0;
  });
  const made = {
    prompt: worker.totals.promptTokens - promptTokens,
    output: worker.totals.completionTokens - completionTokens,
  };
  return { records, record: records[0]!, made };
}

const typed = (text: string) =>
  text
    .split('\n\n')
    .filter((event) => event.startsWith('event: '))
    .map((event) => ({ type: /^event: (.+)$/m.exec(event)![1]!, data: JSON.parse(/^data: (.+)$/m.exec(event)![1]!) }));

const client = (to: RunningRouter = router) => new OpenAI({ baseURL: `${to.url}/v1`, apiKey: key.text, maxRetries: 0 });

describe.each([
  ['vllm', () => router, () => vllm],
  ['sglang', () => sglangRouter, () => sglang],
])('text completions on %s', (_name, to, worker) => {
  test('several prompts and answers: each billed token is one that the worker counted', async () => {
    const { record, made } = await metered(
      async () => {
        const answer = await client(to()).completions.create({
          model: MODEL,
          prompt: ['Once upon a time', 'The end of'],
          max_tokens: 8,
          n: 2,
          temperature: 0.7,
        });
        expect(answer.object).toBe('text_completion');
        expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
        expect(Object.keys(answer.choices[0]!).sort()).toEqual(['finish_reason', 'index', 'logprobs', 'text']);
        expect(answer.usage!.total_tokens).toBe(answer.usage!.prompt_tokens + answer.usage!.completion_tokens);
      },
      to(),
      worker(),
    );
    expect(record).toMatchObject({
      endpoint: '/completions',
      outcome: 'served',
      countSource: 'engine',
      clipped: false,
    });
    expect([record.promptTokens, record.completionTokens]).toEqual([made.prompt, made.output]);
    expect(record.amountNusd).toBe(
      BigInt((made.prompt - record.cachedTokens) * 100 + record.cachedTokens * 10 + made.output * 400),
    );
  });

  test('a stream ends with its usage, and bills what it says', async () => {
    let usage: OpenAI.CompletionUsage | undefined;
    let text = '';
    const { record, made } = await metered(
      async () => {
        const stream = await client(to()).completions.create({
          model: MODEL,
          prompt: 'Say something',
          max_tokens: 12,
          stream: true,
          stream_options: { include_usage: true },
        });
        for await (const chunk of stream) {
          text += chunk.choices[0]?.text ?? '';
          usage = chunk.usage ?? usage;
        }
      },
      to(),
      worker(),
    );
    expect(text.length).toBeGreaterThan(0);
    expect(usage).toMatchObject({ prompt_tokens: made.prompt, completion_tokens: made.output });
    expect([record.promptTokens, record.completionTokens]).toEqual([made.prompt, made.output]);
  });

  test('a schema holds for a text completion too', async () => {
    const schema = {
      type: 'object',
      properties: { n: { type: 'integer' } },
      required: ['n'],
      additionalProperties: false,
    };
    const answer = await post(
      '/v1/completions',
      { model: MODEL, prompt: 'a number', max_tokens: 64, guided_json: schema },
      to(),
    );
    // vLLM with a reasoning parser never applies it to a bare prompt: then the check after it refuses the answer.
    // One that its limit cut says so, and is not delivered as complete.
    if (answer.status !== 200) expect(answer.json.error.code).toBe('invalid_output');
    else if (answer.json.choices[0].finish_reason !== 'length')
      expect(Object.keys(JSON.parse(answer.json.choices[0].text))).toEqual(['n']);
  });
});

describe('embeddings', () => {
  test('vectors as numbers and as base64, by text and by token ids; only the prompt is billed', async () => {
    const { record, made } = await metered(async () => {
      const answer = await client().embeddings.create({ model: EMBEDDER, input: ['red fruit', 'blue sky'] });
      expect(answer.data.map(({ embedding }) => embedding.length)).toEqual([DIMENSIONS, DIMENSIONS]);
    });
    expect(record).toMatchObject({ endpoint: '/embeddings', model: EMBEDDER, completionTokens: 0, outcome: 'served' });
    expect(record.promptTokens).toBe(made.prompt);
    expect(record.amountNusd).toBe(BigInt(made.prompt * 20));
    const ids = await post('/v1/embeddings', {
      model: EMBEDDER,
      input: [[300, 301], [302]],
      encoding_format: 'base64',
      dimensions: 8,
    });
    expect(ids.json.usage.prompt_tokens).toBe(3);
    expect(ids.json.data.map((entry: { embedding: string }) => Buffer.from(entry.embedding, 'base64').length)).toEqual([
      32, 32,
    ]);
  });

  test('a chat model makes none, and an embedding model does not chat: said clearly, nothing held', async () => {
    const noVectors = await post('/v1/embeddings', { model: MODEL, input: 'x' }, sglangRouter);
    expect([noVectors.status, noVectors.json.error.code]).toEqual([400, 'endpoint_not_supported']);
    expect((await around.lease(key.record.accountId))!.heldNusd).toBe(0n);
  });
});

describe('responses', () => {
  test('a plain response is billed by its own usage', async () => {
    const { record, made } = await metered(async () => {
      const answer = await client().responses.create({
        model: MODEL,
        input: 'Say hello',
        max_output_tokens: 16,
        instructions: 'Be kind.',
      });
      expect(answer.object).toBe('response');
      expect(answer.usage!.total_tokens).toBe(answer.usage!.input_tokens + answer.usage!.output_tokens);
      expect(answer).not.toHaveProperty('kv_transfer_params');
    });
    expect(record).toMatchObject({ endpoint: '/responses', outcome: 'served', countSource: 'engine' });
    expect([record.promptTokens, record.completionTokens]).toEqual([made.prompt, made.output]);
  });

  test('a stream tells its events by type, its usage at the end, and a cut one by its name', async () => {
    const types: string[] = [];
    const { record, made } = await metered(async () => {
      const stream = await client().responses.create({
        model: MODEL,
        input: 'Tell a story',
        max_output_tokens: 10,
        stream: true,
      });
      for await (const event of stream) types.push(event.type);
    });
    expect(types[0]).toBe('response.created');
    expect(types).toContain('response.output_text.delta');
    expect(types.at(-1)).toBe('response.incomplete');
    expect(record.finishReason).toBe('length');
    expect([record.promptTokens, record.completionTokens]).toEqual([made.prompt, made.output]);
  });

  test('a schema in text.format is kept, and tools are called with whole arguments', async () => {
    const schema = {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 12 } },
      required: ['city'],
      additionalProperties: false,
    };
    const formed = await post('/v1/responses', {
      model: MODEL,
      input: 'name a city',
      max_output_tokens: 128,
      text: { format: { type: 'json_schema', name: 'city', schema, strict: true } },
    });
    expect([formed.status, formed.json.status]).toEqual([200, 'completed']);
    expect(Object.keys(JSON.parse(formed.json.output.at(-1).content[0].text))).toEqual(['city']);
    const tool = { type: 'function', name: 'look_up', parameters: schema };
    const called = await post('/v1/responses', {
      model: MODEL,
      input: 'look it up',
      max_output_tokens: 200,
      tools: [tool],
      tool_choice: 'required',
    });
    expect(called.status).toBe(200);
    const call = called.json.output.find((item: { type: string }) => item.type === 'function_call');
    expect(call.name).toBe('look_up');
    expect(Object.keys(JSON.parse(call.arguments))).toEqual(['city']);
    const next = await post('/v1/responses', {
      model: MODEL,
      max_output_tokens: 8,
      tools: [tool],
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'look it up' }] },
        { type: 'function_call', call_id: call.call_id, name: call.name, arguments: call.arguments },
        { type: 'function_call_output', call_id: call.call_id, output: 'found' },
      ],
    });
    expect(next.status).toBe(200);
  });

  test.each([
    ['background', { background: true }, 'background'],
    ['store', { store: true }, 'store'],
    ['previous_response_id', { previous_response_id: 'resp_1' }, 'previous_response_id'],
    ['unknown field', { surprise: 1 }, 'surprise'],
    ['a hosted tool', { tools: [{ type: 'web_search' }] }, 'tools[0].type'],
    [
      'an image',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'http://x' }] }] },
      'input[0].content[0].type',
    ],
  ])('%s is refused by name', async (_name, more, param) => {
    const answer = await post('/v1/responses', { model: MODEL, input: 'x', ...more });
    expect([answer.status, answer.json.error.param]).toEqual([400, param]);
  });

  test('a worker that dies in the middle ends the stream with an error event, never with a completed response', async () => {
    await fetch(`${vllm.url}/devworker/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ fault: 'die;after=6;times=1' }),
    });
    const answer = await post('/v1/responses', {
      model: MODEL,
      input: 'Tell a long story',
      max_output_tokens: 64,
      stream: true,
    });
    const events = typed(answer.text);
    expect(events.at(-1)!.type).toBe('error');
    expect(events.at(-1)!.data).toMatchObject({ type: 'error', code: 'worker_stream_broken' });
    expect(events.map(({ type }) => type)).not.toContain('response.completed');
    await eventuallyQuiet(router);
  });
});

describe('messages', () => {
  const ask = (more: object = {}) => ({
    model: MODEL,
    max_tokens: 12,
    messages: [{ role: 'user', content: 'Say hello' }],
    ...more,
  });

  test('a message in Anthropic shape, with the key in x-api-key', async () => {
    const { record, made } = await metered(async () => {
      const response = await fetch(`${router.url}/v1/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key.text, 'anthropic-version': '2023-06-01' },
        body: JSON.stringify(
          ask({ system: [{ type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } }] }),
        ),
      });
      // biome-ignore lint/suspicious/noExplicitAny: whatever came
      const json = (await response.json()) as any;
      expect(json).toMatchObject({ type: 'message', role: 'assistant', model: MODEL, stop_reason: 'max_tokens' });
      expect(json.content[0].type).toBe('text');
    });
    expect(record).toMatchObject({ endpoint: '/messages', outcome: 'served', finishReason: 'length' });
    expect([record.promptTokens, record.completionTokens]).toEqual([made.prompt, made.output]);
  });

  test('a stream begins with message_start, ends with message_stop and bills its message_delta', async () => {
    let events: ReturnType<typeof typed> = [];
    const { record, made } = await metered(async () => {
      events = typed((await post('/v1/messages', ask({ stream: true }))).text);
    });
    expect(events[0]!.type).toBe('message_start');
    expect(events.slice(-2).map(({ type }) => type)).toEqual(['message_delta', 'message_stop']);
    expect(events.at(-2)!.data.usage).toMatchObject({ input_tokens: made.prompt, output_tokens: made.output });
    expect([record.promptTokens, record.completionTokens]).toEqual([made.prompt, made.output]);
  });

  test('a forced tool is called, and its result may follow', async () => {
    const tool = {
      name: 'look_up',
      input_schema: { type: 'object', properties: { q: { type: 'string', maxLength: 9 } }, required: ['q'] },
    };
    const called = await post('/v1/messages', ask({ max_tokens: 200, tools: [tool], tool_choice: { type: 'any' } }));
    expect([called.status, called.json.stop_reason]).toEqual([200, 'tool_use']);
    const use = called.json.content.find((block: { type: string }) => block.type === 'tool_use');
    const next = await post(
      '/v1/messages',
      ask({
        tools: [tool],
        messages: [
          { role: 'user', content: 'find it' },
          { role: 'assistant', content: [use] },
          {
            role: 'user',
            content: [{ type: 'tool_result', tool_use_id: use.id, content: [{ type: 'text', text: 'found' }] }],
          },
        ],
      }),
    );
    expect(next.status).toBe(200);
  });

  test('errors have Anthropic shape, before and inside a stream', async () => {
    const missing = await post('/v1/messages', { model: MODEL, messages: [{ role: 'user', content: 'x' }] });
    expect([missing.status, missing.json.type, missing.json.error.type, missing.json.error.param]).toEqual([
      ...[400, 'error', 'invalid_request_error', 'max_tokens'],
    ]);
    const stranger = await fetch(`${router.url}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': 'sk-nothing' },
    });
    expect([stranger.status, ((await stranger.json()) as Posted['json']).error.type]).toEqual([
      401,
      'authentication_error',
    ]);
    await fetch(`${vllm.url}/devworker/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ fault: 'die;after=4;times=1' }),
    });
    const events = typed((await post('/v1/messages', ask({ stream: true, max_tokens: 64 }))).text);
    expect(events.at(-1)!.data).toMatchObject({
      type: 'error',
      error: { type: 'api_error', code: 'worker_stream_broken' },
    });
    await eventuallyQuiet(router);
  });

  test('a client that leaves is billed the prompt and what it got, by estimate, and the worker stops', async () => {
    const before = vllm.totals.aborted;
    const { record } = await metered(async () => {
      const stop = new AbortController();
      const response = await fetch(`${router.url}/v1/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key.text },
        body: JSON.stringify(ask({ stream: true, max_tokens: 4_000 })),
        signal: stop.signal,
      });
      const reader = response.body!.getReader();
      for (let i = 0; i < 4; i++) await reader.read();
      stop.abort();
    });
    expect(record).toMatchObject({ outcome: 'client_gone', countSource: 'estimated' });
    expect(record.completionTokens).toBeGreaterThan(0);
    expect(record.completionTokens).toBeLessThan(4_000);
    await eventually('the worker stopped', () => vllm.totals.aborted > before);
  });
});

test('responses and messages are not asked of an engine that is not known to have them as vLLM does', async () => {
  for (const [path, body] of [
    ['/v1/responses', { model: MODEL, input: 'x' }],
    ['/v1/messages', { model: MODEL, max_tokens: 4, messages: [{ role: 'user', content: 'x' }] }],
  ] as const) {
    const answer = await post(path, body, sglangRouter);
    expect([answer.status, answer.json.error.code]).toEqual([400, 'endpoint_not_supported']);
  }
});

test('other contracts do not have what theirs does not name', async () => {
  for (const path of [
    '/arcee/api/v1/completions',
    '/dmind/v1/responses',
    '/rag/v1/messages',
    '/dottxt/v1/completions',
  ]) {
    expect([path, (await post(path, {})).status]).toEqual([path, 404]);
  }
});

test('nothing is left held when all is over', async () => {
  await eventuallyQuiet(router);
  expect((await around.lease(key.record.accountId))!.heldNusd).toBe(0n);
});
