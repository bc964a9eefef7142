/** The official OpenAI SDK in front, a router, a worker behind: what a customer sees. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { NO_LIMITS } from '@tollgate/shared/domain/limits';
import { costNusd } from '@tollgate/shared/domain/money';
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

// The first schema loads a grammar engine on both sides; a busy machine takes its time.
jest.setTimeout(60_000);

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 12 }, degrees: { type: 'integer', minimum: -50, maximum: 60 } },
  required: ['city', 'degrees'],
  additionalProperties: false,
};
const WEATHER = {
  type: 'function' as const,
  function: { name: 'get_weather', description: 'Weather of a city', parameters: SCHEMA },
};
const messages = [{ role: 'user' as const, content: 'hi there friend' }];

let around: Surroundings;
let worker: Devworker;
let router: RunningRouter;
let key: TestKey;
let client: OpenAI;

const sdk = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${router.url}/v1`, maxRetries: 0 });

beforeAll(async () => {
  around = await startSurroundings();
  worker = await startDevworker({ speed: 20 });
  router = await around.router([worker.url]);
  key = await around.key();
  await around.credit(key.record.accountId, 10_000_000_000n);
  client = sdk(key.text);
});

afterAll(async () => {
  await around.stop();
  await worker.close();
});

describe('an OpenAI client', () => {
  test('gets a plain answer with usage, and is billed for exactly that usage', async () => {
    const { data, request_id: id } = await client.chat.completions
      .create({ model: MODEL, messages, max_tokens: 24 })
      .withResponse();
    expect(data.object).toBe('chat.completion');
    expect(data.choices[0]?.message.content?.length).toBeGreaterThan(0);
    expect(id).toMatch(/^req_/);
    const record = await eventually('the record', async () =>
      (await around.records()).find((entry) => entry.requestId === id),
    );
    expect(record).toMatchObject({
      outcome: 'served',
      final: true,
      countSource: 'engine',
      promptTokens: data.usage?.prompt_tokens,
      completionTokens: data.usage?.completion_tokens,
      clipped: false,
    });
    const cachedTokens = data.usage?.prompt_tokens_details?.cached_tokens ?? 0;
    expect(record.amountNusd).toBe(costNusd({ ...record, cachedTokens }, CATALOG_MODEL.prices));
  });

  test('gets a stream that ends whole, without usage that it did not ask for', async () => {
    const stream = await client.chat.completions.create({ model: MODEL, messages, max_tokens: 16, stream: true });
    let text = '';
    let finish: string | null = null;
    for await (const chunk of stream) {
      expect(chunk.object).toBe('chat.completion.chunk');
      expect('usage' in chunk).toBe(false);
      text += chunk.choices[0]?.delta.content ?? '';
      finish ??= chunk.choices[0]?.finish_reason ?? null;
    }
    expect(text.length).toBeGreaterThan(0);
    expect(['stop', 'length']).toContain(finish);
  });

  test('gets usage in one last chunk when it asks, and null before', async () => {
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages,
      max_tokens: 8,
      stream: true,
      stream_options: { include_usage: true },
    });
    const usages: unknown[] = [];
    for await (const chunk of stream) usages.push(chunk.usage);
    expect(usages.slice(0, -1).every((usage) => usage === null)).toBe(true);
    expect(usages.at(-1)).toMatchObject({ prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) });
  });

  test('gets JSON that fits its schema, plain and streamed', async () => {
    const response_format = {
      type: 'json_schema' as const,
      json_schema: { name: 'weather', schema: SCHEMA, strict: true },
    };
    const plain = await client.chat.completions.create({ model: MODEL, messages, max_tokens: 200, response_format });
    expect(JSON.parse(plain.choices[0]!.message.content!)).toEqual({
      city: expect.any(String),
      degrees: expect.any(Number),
    });
    const stream = client.chat.completions.stream({ model: MODEL, messages, max_tokens: 200, response_format });
    const final = await stream.finalChatCompletion();
    expect(JSON.parse(final.choices[0]!.message.content!)).toEqual({
      city: expect.any(String),
      degrees: expect.any(Number),
    });
  });

  test('gets tool calls whose arguments are whole JSON', async () => {
    const call = { model: MODEL, messages, max_tokens: 200, tools: [WEATHER], tool_choice: 'required' as const };
    const plain = await client.chat.completions.create(call);
    const [first] = plain.choices[0]!.message.tool_calls!;
    expect(first).toMatchObject({ type: 'function', function: { name: 'get_weather' } });
    expect(JSON.parse((first as { function: { arguments: string } }).function.arguments)).toHaveProperty('city');
    const final = await client.chat.completions.stream({ ...call }).finalChatCompletion();
    const [streamed] = final.choices[0]!.message.tool_calls!;
    expect(JSON.parse((streamed as { function: { arguments: string } }).function.arguments)).toHaveProperty('degrees');
  });

  test('is told of a cut tool call as `length`, never as a finished call', async () => {
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages,
      max_tokens: 9,
      stream: true,
      tools: [WEATHER],
      tool_choice: 'required',
    });
    let finish: string | null = null;
    let text = '';
    for await (const chunk of stream) {
      finish ??= chunk.choices[0]?.finish_reason ?? null;
      for (const part of chunk.choices[0]?.delta.tool_calls ?? []) text += part.function?.arguments ?? '';
    }
    expect(() => JSON.parse(text)).toThrow();
    expect(finish).toBe('length');
  });

  test('lists models and finds one by its id, slash raw or escaped', async () => {
    const list = await client.models.list();
    expect(list.data.map((model) => model.id)).toEqual([MODEL]);
    expect((await client.models.retrieve(MODEL)).id).toBe(MODEL);
    const raw = await fetch(`${router.url}/v1/models/${MODEL}`, { headers: { authorization: `Bearer ${key.text}` } });
    expect(await raw.json()).toMatchObject({ id: MODEL, object: 'model', max_model_len: 32_768 });
  });

  test('sees typed errors: 401, 404, 429 with its wait, 400 with the field', async () => {
    await expect(sdk('tg_live_nonsense').chat.completions.create({ model: MODEL, messages })).rejects.toThrow(
      OpenAI.AuthenticationError,
    );
    const unknown = await client.chat.completions.create({ model: 'no/such', messages }).catch((error) => error);
    expect(unknown).toBeInstanceOf(OpenAI.NotFoundError);
    expect(unknown).toMatchObject({
      code: 'model_not_found',
      param: 'model',
      requestID: expect.stringMatching(/^req_/),
    });
    const bad = await client.chat.completions
      .create({ model: MODEL, messages, temperature: 9 })
      .catch((error) => error);
    expect(bad).toBeInstanceOf(OpenAI.BadRequestError);
    expect(bad).toMatchObject({ param: 'temperature', type: 'invalid_request_error' });

    const slow = await around.key({ limits: { ...NO_LIMITS, requestsPerMinute: 1 } });
    await around.credit(slow.record.accountId, 1_000_000_000n);
    await sdk(slow.text).chat.completions.create({ model: MODEL, messages, max_tokens: 2 });
    const limited = await sdk(slow.text)
      .chat.completions.create({ model: MODEL, messages })
      .catch((error) => error);
    expect(limited).toBeInstanceOf(OpenAI.RateLimitError);
    expect(limited.code).toBe('rate_limit_exceeded');
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(limited.headers.get('retry-after-ms'))).toBeLessThanOrEqual(60_000);
    expect(limited.headers.get('x-ratelimit-limit-requests')).toBe('1');
    expect(limited.headers.get('x-should-retry')).toBe('true');
  });

  test('may abort: the worker stops, and what was produced is billed', async () => {
    const stream = await client.chat.completions.create({ model: MODEL, messages, max_tokens: 20_000, stream: true });
    let seen = 0;
    for await (const _chunk of stream) if (++seen === 5) break;
    const record = await eventually('the bill of the aborted stream', async () =>
      (await around.records()).find((entry) => entry.outcome === 'client_gone'),
    );
    expect(record.completionTokens).toBeGreaterThanOrEqual(4);
    expect(record.completionTokens).toBeLessThan(20_000);
    expect(record.cachedTokens).toBe(0);
    await eventually('the worker runs nothing', async () => {
      const text = await (await fetch(`${worker.url}/metrics`)).text();
      return /vllm:num_requests_running\{[^}]*\} 0(\.0)?\n/.test(text);
    });
  });
});

test('after all of it nothing is held, and the bill is what the records say', async () => {
  await eventuallyQuiet(router);
  const lease = await eventually('no hold is left', async () => {
    const now = await around.lease(key.record.accountId);
    return now?.heldNusd === 0n ? now : null;
  });
  const records = (await around.records()).filter((entry) => entry.accountId === key.record.accountId);
  expect(lease.spentNusd).toBe(records.reduce((sum, entry) => sum + entry.amountNusd, 0n));
  await around.drain();
  await eventually('the spool is empty once everything is confirmed', () => router.counters().unconfirmed === 0);
});
