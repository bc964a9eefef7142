/** Lines 1.1 to 1.25: DOS AI (seed 001). */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask, BASES, chunksOf, ENGINES, lastOf, startWorld, TOOL, type World, wholeAnswer } from './kit.ts';

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  const call = (more: Record<string, unknown>, key?: string) =>
    world.call('dos-ai', ask(more), key === undefined ? {} : { key });
  const refused = async (more: Record<string, unknown>) => {
    const answer = await call(more);
    expect([more, answer.status]).toEqual([more, 400]);
    return answer;
  };

  test('1.1 base /v1; another scheme or a bare key is 401', async () => {
    expect((await call({})).status).toBe(200);
    for (const authorization of [`Basic ${world.key.text}`, world.key.text]) {
      expect((await world.call('dos-ai', ask(), { key: null, headers: { authorization } })).status).toBe(401);
    }
  });

  test('1.2 a body without Content-Type: application/json is refused', async () => {
    const text = JSON.stringify(ask());
    const head = `POST ${BASES['dos-ai']}/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n`;
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(world.router.url).port), '127.0.0.1', () =>
        socket.write(`${head}authorization: Bearer ${world.key.text}\r\ncontent-length: ${text.length}\r\n\r\n${text}`),
      );
      let got = '';
      socket.on('data', (chunk) => {
        got += chunk.toString();
      });
      socket.on('close', () => resolve(got));
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect((await world.call('dos-ai', ask(), { headers: { 'content-type': 'text/plain' } })).status).toBe(400);
  });

  test('1.3 temperature is 1 by default, from 0 to 2, with its own words', async () => {
    await call({});
    expect(lastOf(world.sent).temperature).toBe(1);
    expect((await call({ temperature: 0 })).status).toBe(200);
    for (const temperature of [-0.1, 2.1]) {
      expect((await refused({ temperature })).json.error.message).toBe(
        'Invalid value for temperature: must be between 0 and 2.',
      );
    }
  });

  test("1.4 max_tokens is the model's by default; negative or above the context is 400", async () => {
    await call({ max_tokens: undefined });
    expect(lastOf(world.sent).max_tokens).toBe(512);
    await refused({ max_tokens: -1 });
    await refused({ max_tokens: 40_000 });
  });

  test('1.5 defaults: top_p 1, penalties 0, n 1, no stream; stop, tools and response_format null', async () => {
    const answer = await call({ stop: null, tools: null, response_format: null });
    expect(answer.json.choices).toHaveLength(1);
    expect(answer.json.object).toBe('chat.completion');
    expect(lastOf(world.sent)).toMatchObject({ top_p: 1, frequency_penalty: 0, presence_penalty: 0 });
    for (const name of ['stop', 'tools', 'response_format']) expect(lastOf(world.sent)).not.toHaveProperty(name);
  });

  test('1.6 stop is text or a list of up to four', async () => {
    for (const stop of ['x', ['1', '2', '3', '4']]) expect((await call({ stop })).status).toBe(200);
    await refused({ stop: ['1', '2', '3', '4', '5'] });
  });

  test('1.7 tool_choice auto by default, none, required, named; never sent without tools', async () => {
    const named = { type: 'function', function: { name: 'get_weather' } };
    for (const tool_choice of ['auto', 'none', 'required', named]) {
      const answer = await wholeAnswer((seed) => call({ tools: [TOOL], tool_choice, max_tokens: 300, seed }));
      expect(answer.status).toBe(200);
    }
    expect((await call({ tool_choice: 'auto' })).status).toBe(200);
    expect(lastOf(world.sent)).not.toHaveProperty('tool_choice');
  });

  test('1.8 json_object is JSON, and wants the word in a message', async () => {
    const response_format = { type: 'json_object' };
    await refused({ response_format });
    const messages = [{ role: 'user', content: 'Answer in JSON.' }];
    const answer = await call({ response_format, messages, max_tokens: 300 });
    expect(answer.status).toBe(200);
    const [choice] = answer.json.choices;
    if (choice.finish_reason === 'stop') expect(typeof JSON.parse(choice.message.content)).toBe('object');
  });

  test('1.9 strict: true wants every field required and no others, at every depth', async () => {
    const format = (schema: object) => ({
      max_tokens: 300,
      response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } },
    });
    const inner = {
      type: 'object',
      properties: { b: { type: 'boolean' } },
      required: ['b'],
      additionalProperties: false,
    };
    const whole = { type: 'object', properties: { a: inner }, required: ['a'], additionalProperties: false };
    const answer = await call(format(whole));
    expect(JSON.parse(answer.json.choices[0].message.content)).toEqual({ a: { b: expect.any(Boolean) } });
    await refused(format({ ...whole, required: [] }));
    await refused(format({ ...whole, additionalProperties: true }));
    await refused(format({ ...whole, properties: { a: { ...inner, required: [] } } }));
  });

  test('1.10 roles system, user, assistant, tool; null content with tool_calls alone', async () => {
    const tool_calls = [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }];
    const good = [
      { role: 'system', content: 's' },
      { role: 'user', content: 'u', name: 'ann' },
      { role: 'assistant', content: null, tool_calls },
      { role: 'tool', tool_call_id: 'c1', content: 't' },
    ];
    expect((await call({ messages: good })).status).toBe(200);
    await refused({ messages: [{ role: 'developer', content: 'x' }] });
    await refused({ messages: [{ role: 'user', content: null }] });
  });

  test('1.11 no messages, broken JSON and an unknown model are 400', async () => {
    await refused({ messages: [] });
    expect((await world.call('dos-ai', '{"model":')).status).toBe(400);
    await refused({ model: 'no/such' });
  });

  test('1.12 a tool call: finish_reason tool_calls, content null; its answer is taken', async () => {
    const { json } = await wholeAnswer((seed) =>
      call({ tools: [TOOL], tool_choice: 'required', max_tokens: 300, seed }),
    );
    const [choice] = json.choices;
    expect(choice.finish_reason).toBe('tool_calls');
    expect(choice.message.content || null).toBeNull();
    const { tool_calls } = choice.message;
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: null, tool_calls },
      ...tool_calls.map(({ id }: { id: string }) => ({ role: 'tool', tool_call_id: id, content: 'sunny' })),
    ];
    expect((await call({ messages, tools: [TOOL] })).status).toBe(200);
  });

  // What the model says is up to the look-alikes; real weights call once or never.
  (engine === 'real vLLM' ? test.skip : test)(
    '1.12 several calls in one message, whole and streamed by index, and the results of all of them',
    async () => {
      const cities = ['Oslo', 'Rome'];
      const call_ = (city: string) =>
        `<tool_call>\n{"name": "get_weather", "arguments": {"city": "${city}"}}\n</tool_call>`;
      const words = encodeURIComponent(cities.map(call_).join('\n'));
      const asked = async (stream: boolean) => {
        await world.fault(`say;text=${words};times=1`);
        return call({ tools: [TOOL], max_tokens: 400, stream });
      };
      const [{ finish_reason, message }] = (await asked(false)).json.choices;
      expect([finish_reason, message.content]).toEqual(['tool_calls', null]);
      const argumentsOf = (calls: { function: { arguments: string } }[]) =>
        calls.map(({ function: fn }) => JSON.parse(fn.arguments).city);
      expect(argumentsOf(message.tool_calls)).toEqual(cities);
      expect(new Set(message.tool_calls.map(({ id }: { id: string }) => id)).size).toBe(2);

      const streamed: { id: string; function: { name: string; arguments: string } }[] = [];
      const chunks = chunksOf((await asked(true)).text);
      for (const { index, ...part } of chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? [])) {
        const known = streamed[index];
        if (known === undefined) {
          expect(part).toEqual({
            id: expect.any(String),
            type: 'function',
            function: { name: 'get_weather', arguments: '' },
          });
          streamed[index] = part;
        } else {
          expect(part).toEqual({ function: { arguments: expect.any(String) } });
          known.function.arguments += part.function.arguments;
        }
      }
      expect(argumentsOf(streamed)).toEqual(cities);
      expect(chunks.at(-1).choices[0].finish_reason).toBe('tool_calls');

      const results = message.tool_calls.map(({ id }: { id: string }) => ({
        role: 'tool',
        tool_call_id: id,
        content: 'sunny',
      }));
      const messages = [{ role: 'user', content: 'hi' }, { role: 'assistant', ...message }, ...results];
      expect((await call({ messages, tools: [TOOL] })).status).toBe(200);
      expect(lastOf(world.sent).messages[1].tool_calls).toHaveLength(2);
    },
  );

  test('1.13 streamed tool calls come by index, arguments in pieces', async () => {
    const { text } = await call({ tools: [TOOL], tool_choice: 'required', max_tokens: 200, stream: true });
    const pieces = chunksOf(text).flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    expect(pieces.every((piece) => piece.index === 0)).toBe(true);
    expect(pieces.length).toBeGreaterThan(2);
    const whole = pieces.map((piece) => piece.function?.arguments ?? '').join('');
    expect(JSON.parse(whole)).toHaveProperty('city');
  });

  test('1.14 first the role, then content, at the end an empty delta with the finish reason', async () => {
    for (const max_tokens of [1, 12]) {
      const choices = chunksOf((await call({ stream: true, max_tokens })).text).map((chunk) => chunk.choices[0]);
      expect(choices[0].delta.role).toBe('assistant');
      const last = choices.pop();
      expect([last.delta, last.finish_reason]).toEqual([{}, expect.stringMatching(/^(stop|length)$/)]);
      expect(choices.map(({ finish_reason }) => finish_reason)).toEqual(choices.map(() => null));
      for (const { delta } of choices.slice(1)) expect(['', 'content']).toContain(Object.keys(delta).join());
    }
  });

  test('1.14 of several answers too', async () => {
    const choices = chunksOf((await call({ stream: true, n: 2 })).text).map((chunk) => chunk.choices[0]);
    const ends = choices.filter(({ finish_reason }) => finish_reason !== null);
    expect(ends.map(({ index }) => index).sort()).toEqual([0, 1]);
    expect(ends.map(({ delta }) => delta)).toEqual([{}, {}]);
  });

  test('1.15 the final chunk has the finish reason and the usage, unasked', async () => {
    const chunks = chunksOf((await call({ stream: true })).text);
    const last = chunks.at(-1);
    expect(last.choices[0].finish_reason).toMatch(/^(stop|length)$/);
    expect(last.usage.total_tokens).toBe(last.usage.prompt_tokens + last.usage.completion_tokens);
    expect(chunks.slice(0, -1).every((chunk) => !('usage' in chunk) || chunk.usage === null)).toBe(true);
  });

  test('1.16 asked for, usage is in an extra chunk without choices', async () => {
    const chunks = chunksOf((await call({ stream: true, stream_options: { include_usage: true } })).text);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: expect.any(Number) } });
  });

  test('1.17 types by status, and the status as code', async () => {
    const seen: [number, string, unknown][] = [];
    const note = async (answer: Promise<{ status: number; json: { error: { type: string; code: unknown } } }>) => {
      const { status, json } = await answer;
      seen.push([status, json.error.type, json.error.code]);
    };
    await note(call({ temperature: 9 }));
    await note(world.call('dos-ai', ask(), { key: 'junk' }));
    await note(call({}, (await world.paidKey({ capDayNusd: '1' })).text));
    const slow = await world.paidKey({ limits: { requestsPerMinute: 1, tokensPerMinute: null, concurrency: null } });
    await call({}, slow.text);
    await note(call({}, slow.text));
    await note(call({ model: 'tests/other' }));
    expect(seen).toEqual([
      [400, 'invalid_request_error', 400],
      [401, 'authentication_error', 401],
      [402, 'payment_required', 402],
      [429, 'rate_limit_error', 429],
      [503, 'service_unavailable', 503],
    ]);
  });

  test('1.19 X-RateLimit-Limit and -Remaining, and Retry-After with a 429', async () => {
    const slow = await world.paidKey({ limits: { requestsPerMinute: 1, tokensPerMinute: null, concurrency: null } });
    const good = await call({}, slow.text);
    expect(good.headers.get('x-ratelimit-limit')).toBe('1');
    expect(good.headers.get('x-ratelimit-remaining')).toBe('0');
    expect(good.headers.get('x-ratelimit-limit-requests')).toBeNull();
    const bad = await call({}, slow.text);
    expect(bad.status).toBe(429);
    expect(bad.headers.get('x-ratelimit-limit')).toBe('1');
    expect(Number(bad.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  test('1.20 60 requests pass at once, the 61st is 429 and costs nothing; a stream counts as one', async () => {
    const key = await world.paidKey({ limits: { requestsPerMinute: 60, tokensPerMinute: null, concurrency: null } });
    const started = world.sent.length;
    const answers = await Promise.all(
      Array.from({ length: 70 }, (_, i) => call({ max_tokens: 1, stream: i === 0 }, key.text)),
    );
    const passed = answers.filter(({ status }) => status === 200).length;
    // The bucket fills by one each second: a slow machine may let a few more through, never fewer.
    expect(passed).toBeGreaterThanOrEqual(60);
    expect(passed).toBeLessThan(70);
    expect(world.sent.length - started).toBe(passed);
  });

  test.each([
    ['Free', 60, 100_000],
    ['Plus', 120, 500_000],
    ['Pro', 300, 2_000_000],
  ])('1.21 the plan %s as limits of a key', async (_name, requestsPerMinute, tokensPerMinute) => {
    const key = await world.paidKey({ limits: { requestsPerMinute, tokensPerMinute, concurrency: null } });
    const { status, headers } = await call({}, key.text);
    expect([status, headers.get('x-ratelimit-limit')]).toEqual([200, String(requestsPerMinute)]);
    expect(Number(headers.get('x-ratelimit-remaining'))).toBeLessThan(requestsPerMinute);
  });

  test('1.22 models, the catalogue with prices, and dos-auto', async () => {
    expect((await world.get('/dos-ai/v1/models')).json.data).toHaveLength(2);
    expect((await world.get('/dos-ai/v1/models', null)).status).toBe(401);
    const { data } = (await world.get('/dos-ai/v1/catalog')).json;
    expect(data[0].pricing).toMatchObject({ input: '100000000', output: '400000000' });
    expect((await call({ model: 'dos-auto' })).status).toBe(200);
  });

  test('1.23 a key whose credit is used up gets 402', async () => {
    const empty = await world.paidKey({ capMonthNusd: '1' });
    expect((await call({}, empty.text)).status).toBe(402);
  });
});
