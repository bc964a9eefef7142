/** The worker over real HTTP: what others rely on beyond the recorded shapes. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from './app.ts';

// A machine with other work may be slow; nothing here measures time.
jest.setTimeout(60_000);

let worker: Devworker;

beforeAll(async () => {
  worker = await startDevworker({ speed: 20, embeddingModel: 'Qwen/Qwen3-Embedding-0.6B' });
});

afterAll(() => worker.close());

type Body = Record<string, unknown>;
const MESSAGES = [{ role: 'user', content: 'Tell me about bread and butter' }];

async function post(path: string, body: Body, headers: Record<string, string> = {}) {
  return fetch(worker.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

interface ChatAnswer {
  choices: {
    message: {
      content: string | null;
      reasoning: string | null;
      tool_calls?: { function: { name: string; arguments: string } }[];
    };
    finish_reason: string;
  }[];
  usage: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details: { cached_tokens: number } };
}

const chat = async (body: Body): Promise<ChatAnswer> =>
  (await (await post('/v1/chat/completions', { messages: MESSAGES, ...body })).json()) as ChatAnswer;

const textOf = (answer: ChatAnswer) => answer.choices[0]!.message.content!;

async function events(response: Response): Promise<Body[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('data: {'))
    .map((block) => JSON.parse(block.slice(6)) as Body);
}

describe('text', () => {
  test('greedy and seeded answers repeat, other seeds and fresh requests differ', async () => {
    const greedy = [await chat({ temperature: 0 }), await chat({ temperature: 0 })].map(textOf);
    expect(greedy[0]).toBe(greedy[1]);
    const seeded = await Promise.all([7, 7, 8].map(async (seed) => textOf(await chat({ temperature: 1, seed }))));
    expect(seeded[0]).toBe(seeded[1]);
    expect(seeded[0]).not.toBe(seeded[2]);
    expect(textOf(await chat({ temperature: 1 }))).not.toBe(textOf(await chat({ temperature: 1 })));
  });

  test('the stream says what the plain answer says, and counts the same', async () => {
    const plain = await chat({ seed: 5 });
    const streamed = await events(
      await post('/v1/chat/completions', {
        messages: MESSAGES,
        seed: 5,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    const deltas = streamed.flatMap((event) => event.choices as { delta: { content?: string } }[]);
    expect(deltas.map(({ delta }) => delta.content ?? '').join('')).toBe(textOf(plain));
    expect(streamed.at(-1)!.usage).toMatchObject({
      prompt_tokens: plain.usage.prompt_tokens,
      completion_tokens: plain.usage.completion_tokens,
    });
  });

  test('thinking goes into its own field, and only when asked', async () => {
    const thought = await chat({ chat_template_kwargs: { enable_thinking: true } });
    expect(thought.choices[0]!.message.reasoning).toMatch(/^Let me think/);
    expect(thought.choices[0]!.message.content).toMatch(/\.$/);
    expect((await chat({})).choices[0]!.message.reasoning).toBeNull();
  });
});

describe('prefix cache', () => {
  test('a prompt that comes again is cached, under another salt it is not', async () => {
    const messages = [{ role: 'user', content: 'The same long question again and again. '.repeat(20) }];
    const cached = async (salt: string) =>
      (await chat({ messages, cache_salt: salt, max_tokens: 2 })).usage.prompt_tokens_details.cached_tokens;
    expect(await cached('a')).toBe(0);
    expect(await cached('a')).toBeGreaterThan(100);
    expect(await cached('b')).toBe(0);
  });
});

const TOOLS = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string', maxLength: 20 }, unit: { enum: ['c', 'f'] } },
        required: ['city', 'unit'],
        additionalProperties: false,
      },
    },
  },
  {
    type: 'function',
    function: {
      name: 'get_time',
      parameters: { type: 'object', properties: { zone: { enum: ['utc'] } }, required: ['zone'] },
    },
  },
];

describe('tools', () => {
  const asking = [{ role: 'user', content: 'What is the weather like?' }];

  test('auto calls the tool that the conversation asks for, and answers in words after its result', async () => {
    const called = await chat({ messages: asking, tools: TOOLS, seed: 1 });
    const [choice] = called.choices;
    expect(choice!.finish_reason).toBe('tool_calls');
    expect(choice!.message.tool_calls![0]!.function.name).toBe('get_weather');
    expect(JSON.parse(choice!.message.tool_calls![0]!.function.arguments)).toEqual({
      city: expect.any(String),
      unit: expect.stringMatching(/^[cf]$/),
    });
    const history = [
      ...asking,
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', ...choice!.message.tool_calls![0] }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
    ];
    expect((await chat({ messages: history, tools: TOOLS })).choices[0]).toMatchObject({ finish_reason: 'stop' });
    expect((await chat({ messages: MESSAGES, tools: TOOLS })).choices[0]).toMatchObject({ finish_reason: 'stop' });
  });

  test('named and required calls stream their arguments, which add up to the plain ones', async () => {
    for (const [choice, finish] of [
      ['required', 'tool_calls'],
      [{ type: 'function', function: { name: 'get_weather' } }, 'stop'],
    ] as const) {
      const body = { messages: asking, tools: TOOLS, tool_choice: choice, seed: 3 };
      const plain = await chat(body);
      const streamed = await events(await post('/v1/chat/completions', { ...body, stream: true }));
      type Delta = { delta: { tool_calls?: { function: { arguments?: string } }[] }; finish_reason: string | null };
      const deltas = streamed.flatMap((event) => event.choices as Delta[]);
      const args = deltas.flatMap(({ delta }) => delta.tool_calls ?? []).map((call) => call.function.arguments ?? '');
      expect(JSON.parse(args.join(''))).toEqual(
        JSON.parse(plain.choices[0]!.message.tool_calls![0]!.function.arguments),
      );
      expect(deltas.at(-1)!.finish_reason).toBe(finish);
      expect(plain.choices[0]!.finish_reason).toBe(finish);
    }
  });

  test('a call that is cut looks finished in a stream and does not in a plain answer', async () => {
    const body = { messages: asking, tools: TOOLS, tool_choice: 'required', seed: 3, max_tokens: 22 };
    const plain = await chat(body);
    expect(plain.choices[0]).toMatchObject({
      finish_reason: 'length',
      message: { content: expect.stringMatching(/^<tool_call>/) },
    });
    const streamed = await events(await post('/v1/chat/completions', { ...body, stream: true }));
    expect((streamed.at(-1)!.choices as { finish_reason: string }[])[0]!.finish_reason).toBe('tool_calls');
  });
});

/** Opens a stream by hand, resolves after `count` events. */
function openStream(body: Body, count: number): Promise<{ leave(): void }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${worker.url}/v1/chat/completions`,
      { method: 'POST', headers: { 'content-type': 'application/json' } },
      (response) => {
        let seen = 0;
        response.on('data', () => {
          if (++seen === count) resolve({ leave: () => sent.destroy() });
        });
        response.on('error', () => {});
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify({ messages: MESSAGES, stream: true, ignore_eos: true, max_tokens: 20_000, ...body }));
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(condition()).toBe(true);
}

describe('a client that leaves', () => {
  test('is aborted in the engine; its tokens stay in the totals, no request counts as aborted success', async () => {
    const before = worker.totals.aborts.length;
    const { leave } = await openStream({}, 3);
    expect(worker.engine.stats().running).toBe(1);
    leave();
    await until(() => worker.totals.aborts.length === before + 1);
    expect(worker.engine.stats()).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
    const record = worker.totals.aborts.at(-1)!;
    expect(record.generatedTokens).toBeGreaterThan(0);
    expect(record.abortedMs).toBeGreaterThanOrEqual(record.noticedMs);
    const page = await (await fetch(`${worker.url}/metrics`)).text();
    expect(page).toMatch(/request_success_total\{engine="0",finished_reason="abort",[^}]*\} 0\.0/);
  });

  test('is aborted in a plain request too', async () => {
    const before = worker.totals.aborts.length;
    const controller = new AbortController();
    const asked = fetch(`${worker.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages: MESSAGES, ignore_eos: true, max_tokens: 20_000 }),
      signal: controller.signal,
    });
    await until(() => worker.engine.stats().running === 1);
    controller.abort();
    await expect(asked).rejects.toThrow();
    await until(() => worker.totals.aborts.length === before + 1);
    expect(worker.engine.stats().running).toBe(0);
  });
});

describe('faults', () => {
  const stream = (fault: string, body: Body = {}) =>
    post(
      '/v1/chat/completions',
      { messages: MESSAGES, seed: 1, stream: true, max_tokens: 8, ...body },
      { 'x-devworker-fault': fault },
    );
  const clean = async () =>
    (await (await stream('slow;factor=1')).text()).replace(/"(id|created)":("[^"]*"|\d+)/g, '$1');
  const masked = (text: string) => text.replace(/"(id|created)":("[^"]*"|\d+)/g, '$1');

  test('split and join change only where the bytes are cut', async () => {
    expect(masked(await (await stream('split;bytes=1')).text())).toBe(await clean());
    expect(masked(await (await stream('join;count=4')).text())).toBe(await clean());
    expect(masked(await (await stream('crlf')).text()).replaceAll('\r\n', '\n')).toBe(await clean());
  });

  test('die cuts the connection in the middle, truncate ends it too early but cleanly', async () => {
    await expect((await stream('die;after=3')).text()).rejects.toThrow();
    const text = await (await stream('truncate;after=3')).text();
    expect(text.split('\n\n').filter((block) => block !== '')).toHaveLength(3);
    expect(text).not.toContain('[DONE]');
  });

  test('error ends a stream with an error event and [DONE]', async () => {
    const text = await (await stream('error;after=2')).text();
    expect(text).toMatch(/data: \{"error": \{"message": "Internal server error".*\n\ndata: \[DONE\]\n\n$/);
  });

  test('garbage, comments and a missing usage come as asked', async () => {
    expect(await (await stream('garbage;after=1')).text()).toContain('\uFFFD');
    expect(await (await stream('comments')).text()).toContain(': keep-alive\n\n');
    const body = { stream_options: { include_usage: true } };
    expect(await (await stream('no-usage', body)).text()).not.toContain('"usage":{');
  });

  test('status answers before the first byte, refuse and die;at=headers close the connection', async () => {
    expect((await stream('status;code=503')).status).toBe(503);
    await expect(stream('refuse')).rejects.toThrow();
    await expect(stream('die;at=headers')).rejects.toThrow();
  });

  test('die;how=exit ends the process', async () => {
    let killed = 0;
    const mortal = await startDevworker({ speed: 50, kill: () => void killed++ });
    const response = await fetch(`${mortal.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-devworker-fault': 'die;after=2;how=exit' },
      body: JSON.stringify({ messages: MESSAGES, stream: true }),
    });
    void response.text().catch(() => {});
    await until(() => killed === 1);
    await mortal.close();
  });

  test('hang sends nothing more and keeps the connection; the engine is freed when the client leaves', async () => {
    const before = worker.totals.aborts.length;
    const controller = new AbortController();
    const response = await fetch(`${worker.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-devworker-fault': 'hang;after=2' },
      body: JSON.stringify({ messages: MESSAGES, stream: true, ignore_eos: true, max_tokens: 20_000 }),
      signal: controller.signal,
    });
    const reader = response.body!.getReader();
    let text = '';
    while (text.split('\n\n').length <= 2) text += Buffer.from((await reader.read()).value ?? []).toString();
    controller.abort();
    await until(() => worker.totals.aborts.length === before + 1);
    expect(text.split('\n\n')).toHaveLength(3);
  });

  test('a worker-wide fault is set and taken away by POST /devworker/faults; nonsense is refused', async () => {
    expect((await post('/devworker/faults', { fault: 'status;code=500' })).status).toBe(200);
    expect((await post('/v1/chat/completions', { messages: MESSAGES })).status).toBe(500);
    await post('/devworker/faults', { fault: null });
    expect((await post('/v1/chat/completions', { messages: MESSAGES, max_tokens: 1 })).status).toBe(200);
    await post('/devworker/faults', { fault: 'status;code=503;times=2' });
    const statuses = [];
    for (let i = 0; i < 3; i++)
      statuses.push((await post('/v1/chat/completions', { messages: MESSAGES, max_tokens: 1 })).status);
    expect(statuses).toEqual([503, 503, 200]);
    expect((await post('/devworker/faults', { fault: 'explode' })).status).toBe(400);
    expect((await stream('explode')).status).toBe(400);
  });
});

describe('bad habits on demand', () => {
  const schema = {
    type: 'object',
    properties: { city: { type: 'string' }, n: { type: 'integer' } },
    required: ['city', 'n'],
  };
  const body = {
    messages: MESSAGES,
    seed: 2,
    max_tokens: 80,
    response_format: { type: 'json_schema', json_schema: { name: 'x', schema } },
  };
  const ask = async (fault: string, extra: Body = {}) =>
    (
      (await (
        await post('/v1/chat/completions', { ...body, ...extra }, { 'x-devworker-fault': fault })
      ).json()) as ChatAnswer
    ).choices[0]!;

  test('white space without end is cut by max_tokens, a finite run leaves the document whole', async () => {
    expect(await ask('whitespace;count=0')).toMatchObject({
      finish_reason: 'length',
      message: { content: expect.stringMatching(/:\n+$/) },
    });
    const finite = await ask('whitespace;count=9');
    expect(finite.message.content).toContain('\r\n\r\n');
    expect(JSON.parse(finite.message.content!)).toMatchObject({ n: expect.any(Number) });
  });

  test('a special token leaks into a string, a number becomes infinite', async () => {
    expect(JSON.parse((await ask('leak')).message.content!).city).toContain('<|endoftext|>');
    expect(JSON.parse((await ask('huge-number')).message.content!).n).toBe(Number.POSITIVE_INFINITY);
  });

  test('a thought without end leaves no content, and no grammar is ever applied', async () => {
    const choice = await ask('endless-thought', { chat_template_kwargs: { enable_thinking: true } });
    expect(choice).toMatchObject({ finish_reason: 'length', message: { content: null } });
    expect(choice.message.reasoning!.length).toBeGreaterThan(100);
  });
});

describe('embeddings', () => {
  const embed = async (input: unknown, extra: Body = {}) =>
    (await (await post('/v1/embeddings', { model: 'Qwen/Qwen3-Embedding-0.6B', input, ...extra })).json()) as {
      data: { embedding: number[] }[];
      usage: { prompt_tokens: number };
    };
  const cosine = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

  test('texts about the same are near, others are far, the same is the same', async () => {
    const { data } = await embed(['How do I reset my password?', 'Resetting a password', 'The river is deep and cold']);
    const [question, near, far] = data.map(({ embedding }) => embedding) as [number[], number[], number[]];
    expect(cosine(question, question)).toBeCloseTo(1, 5);
    expect(cosine(question, near)).toBeGreaterThan(cosine(question, far) + 0.1);
    expect((await embed('The river is deep and cold')).data[0]!.embedding).toEqual(far);
  });

  test('dimensions and base64 are honoured', async () => {
    const short = (await embed('hello', { dimensions: 64 })).data[0]!.embedding;
    expect(short).toHaveLength(64);
    const encoded = (await embed('hello', { dimensions: 64, encoding_format: 'base64' })).data[0]!
      .embedding as unknown as string;
    const floats = new Float32Array(new Uint8Array(Buffer.from(encoded, 'base64')).buffer);
    expect([...floats].map((value) => value.toFixed(5))).toEqual(short.map((value) => value.toFixed(5)));
  });
});

test('two requests on one connection, one after the other, both get their answer', async () => {
  const { port } = worker;
  const body = JSON.stringify({ messages: MESSAGES, max_tokens: 2, stream: true });
  const one = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(one + one));
    let seen = '';
    socket.on('data', (part) => {
      seen += part.toString();
      if (seen.split('[DONE]').length === 3) {
        socket.destroy();
        resolve(seen);
      }
    });
    socket.on('error', reject);
  });
  expect(text.split('HTTP/1.1 200 OK')).toHaveLength(3);
});
