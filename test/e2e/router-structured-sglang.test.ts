/** The same clients before an SGLang worker as before a vLLM one: what they see is OpenAI's contract in both cases. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { eventually } from '@tollgate/shared/testkit/eventually';
import OpenAI from 'openai';
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions';
import {
  chat,
  events,
  eventuallyQuiet,
  hello,
  MODEL,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from './router-kit.ts';

jest.setTimeout(60_000);

const CITY = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 30 }, degrees: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['city', 'degrees'],
  additionalProperties: false,
};
const WEATHER = { type: 'function' as const, function: { name: 'get_weather', parameters: CITY, strict: true } };
const FORM = { type: 'json_schema' as const, json_schema: { name: 'weather', schema: CITY, strict: true } };

let around: Surroundings;
let key: TestKey;
const workers: Record<string, Devworker> = {};
const routers: Record<string, RunningRouter> = {};

beforeAll(async () => {
  around = await startSurroundings();
  key = await around.key({ allowGrammars: true });
  await around.credit(key.record.accountId, 100_000_000_000n);
  for (const dialect of ['vllm', 'sglang'] as const) {
    const worker = await startDevworker({ speed: 50, dialect });
    workers[dialect] = worker;
    // Nobody says which engine it is: the router asks.
    routers[dialect] = await around.router([worker.url]);
  }
});

afterAll(async () => {
  await around.stop();
  await Promise.all(Object.values(workers).map((worker) => worker.close()));
});

const client = (dialect: string) =>
  new OpenAI({ apiKey: key.text, baseURL: `${routers[dialect]!.url}/v1`, maxRetries: 0 });

/** The names of everything in a chunk or an answer, values left out. */
function keysOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(keysOf);
  if (typeof value !== 'object' || value === null) return null;
  return Object.fromEntries(
    Object.entries(value)
      // vLLM alone has one, and not in every chunk.
      .filter(([name]) => name !== 'system_fingerprint')
      .map(([name, entry]) => [name, keysOf(entry)]),
  );
}

describe.each(['vllm', 'sglang'])('before a worker that speaks %s', (dialect) => {
  test('tools over several turns: call, its result, and an answer', async () => {
    const messages: ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Oslo?' }];
    const call = { model: MODEL, messages, max_tokens: 300, tools: [WEATHER] };
    for (const stream of [false, true]) {
      const first = stream
        ? await client(dialect)
            .chat.completions.stream({ ...call, tool_choice: 'required' })
            .finalChatCompletion()
        : await client(dialect).chat.completions.create({ ...call, tool_choice: 'required' });
      const { message, finish_reason: finish } = first.choices[0]!;
      expect(finish).toBe('tool_calls');
      const calls = message.tool_calls as { id: string; type: string; function: { name: string; arguments: string } }[];
      for (const { type, function: fn } of calls) {
        expect([type, fn.name]).toEqual(['function', 'get_weather']);
        expect(JSON.parse(fn.arguments)).toEqual({ city: expect.any(String), degrees: expect.any(Number) });
      }
      const results = calls.map(({ id }) => ({ role: 'tool' as const, tool_call_id: id, content: '{"degrees":4}' }));
      const { content } = message;
      const told: ChatCompletionMessageParam[] = [
        ...messages,
        { role: 'assistant', content, tool_calls: calls as never },
        ...results,
      ];
      const second = await client(dialect).chat.completions.create({ ...call, messages: told, tool_choice: 'none' });
      expect(second.choices[0]!.message.content?.length).toBeGreaterThan(0);
    }
  });

  test('a document under a schema is whole and valid, plain and streamed', async () => {
    const ask = { model: MODEL, messages: [{ role: 'user' as const, content: 'hi' }], max_tokens: 300 };
    const plain = await client(dialect).chat.completions.create({ ...ask, response_format: FORM });
    const streamed = await client(dialect)
      .chat.completions.stream({ ...ask, response_format: FORM })
      .finalChatCompletion();
    for (const { choices } of [plain, streamed]) {
      expect(choices[0]!.finish_reason).toBe('stop');
      expect(JSON.parse(choices[0]!.message.content!)).toEqual({
        city: expect.any(String),
        degrees: expect.any(Number),
      });
    }
  });

  test('is billed for exactly the usage that the client sees', async () => {
    const answer = await chat(routers[dialect]!, key.text, hello());
    const record = await eventually('the record', async () =>
      (await around.records()).find((entry) => entry.requestId === answer.headers.get('x-request-id')),
    );
    expect(record).toMatchObject({
      countSource: 'engine',
      promptTokens: answer.json.usage.prompt_tokens,
      completionTokens: answer.json.usage.completion_tokens,
    });
  });

  test('thoughts come under one name', async () => {
    const thinking = { chat_template_kwargs: { enable_thinking: true }, max_tokens: 400 };
    const plain = await chat(routers[dialect]!, key.text, hello(thinking));
    expect(plain.json.choices[0].message.reasoning).toEqual(expect.any(String));
    const streamed = await chat(routers[dialect]!, key.text, hello({ ...thinking, stream: true }));
    expect(streamed.text).toContain('"reasoning":"');
    expect(plain.text + streamed.text).not.toContain('reasoning_content');
  });

  test('a prompt beyond the context is refused in our words', async () => {
    const messages = [{ role: 'user', content: 'word '.repeat(30_000) }];
    for (const stream of [false, true]) {
      const answer = await chat(routers[dialect]!, key.text, hello({ messages, max_tokens: 20_000, stream }));
      expect(answer).toMatchObject({ status: 400, json: { error: { code: 'context_length_exceeded' } } });
    }
  });

  test('a full worker is 503, not 502', async () => {
    const headers = { 'content-type': 'application/json' };
    const fault = (text: string | null) =>
      fetch(`${workers[dialect]!.url}/devworker/faults`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ fault: text }),
      });
    await fault('status;code=503');
    const answer = await chat(routers[dialect]!, key.text, hello());
    await fault(null);
    expect(answer).toMatchObject({ status: 503, json: { error: { code: 'no_worker' } } });
  });

  test('nothing is left running or held', () => eventuallyQuiet(routers[dialect]!));
});

test('both dialects look the same to a client: the same keys in an answer and in every kind of chunk', async () => {
  const shapes = async (dialect: string) => {
    const ask = async (more: Record<string, unknown>) => chat(routers[dialect]!, key.text, hello(more));
    const read = ({ text }: { text: string }) =>
      events(text)
        .filter((data) => data !== '[DONE]')
        .map((data) => keysOf(JSON.parse(data)));
    const stream = read(await ask({ stream: true, stream_options: { include_usage: true } }));
    const calls = read(await ask({ stream: true, max_tokens: 300, tools: [WEATHER], tool_choice: 'required' }));
    const plain = keysOf((await ask({})).json);
    return {
      plain,
      stream: [stream[0], stream[1], stream.at(-1)],
      calls: [calls[0], calls[1], calls[2], calls.at(-1)],
    };
  };
  expect(await shapes('sglang')).toEqual(await shapes('vllm'));
});
