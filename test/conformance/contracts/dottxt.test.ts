/** Lines 0.1 to 0.21: .txt (seed 000). */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadProfiles } from '@tollgate/router/contract/load-profiles';
import { AppError } from '@tollgate/shared/domain/errors';
import { counts } from '@tollgate/shared/testkit/counts';
import { Ajv } from 'ajv';
import { CATALOG_MODEL, MODEL } from '../../e2e/router-kit.ts';
import { ask, ENGINES, lastOf, startWorld, TICKET, TOOL, type World, wholeAnswer } from './kit.ts';

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  const call = (more: Record<string, unknown>, key?: string) =>
    world.call('dottxt', ask(more), key === undefined ? {} : { key });
  const schema = (value: unknown, more: Record<string, unknown> = {}) => ({
    max_tokens: 600,
    response_format: { type: 'json_schema', json_schema: { name: 'ticket', schema: value } },
    ...more,
  });
  const fits = (value: object) => new Ajv().compile(value);

  test('0.1 base /v1: chat completions and models', async () => {
    expect((await call({})).status).toBe(200);
    expect((await world.get('/dottxt/v1/models')).status).toBe(200);
  });

  test('0.2 the list shows the four fields of the models that this key may use', async () => {
    const key = await world.paidKey({ models: [MODEL] });
    expect((await world.get('/dottxt/v1/models', key.text)).json).toEqual({
      object: 'list',
      data: [{ id: MODEL, object: 'model', created: CATALOG_MODEL.createdAt, owned_by: 'tests' }],
    });
    expect((await world.get('/dottxt/v1/models')).json.data).toHaveLength(2);
  });

  test('0.3 a schema without strict is enforced', async () => {
    const answer = await call(schema(TICKET));
    expect(answer.json.choices[0].finish_reason).toBe('stop');
    const valid = fits(TICKET);
    expect(valid(JSON.parse(answer.json.choices[0].message.content))).toBe(true);
  });

  test("0.4 the seed's own schema holds on every run", async () => {
    const valid = fits(TICKET);
    for (let seed = 0; seed < counts(8, 200); seed++) {
      const { json } = await call(schema(TICKET, { seed, temperature: 1 }));
      const document = JSON.parse(json.choices[0].message.content);
      expect([document, valid(document)]).toEqual([document, true]);
    }
  });

  test('0.5 a field outside required may be absent, and is never null for it', async () => {
    const loose = {
      type: 'object',
      properties: { a: { type: 'integer', minimum: 0, maximum: 9 }, b: { type: 'integer', minimum: 0, maximum: 9 } },
      required: ['a'],
      additionalProperties: false,
    };
    const valid = fits(loose);
    const seen = new Set<boolean>();
    for (let seed = 0; seed < 20; seed++) {
      const { json } = await call(schema(loose, { seed, temperature: 1 }));
      const document = JSON.parse(json.choices[0].message.content);
      expect(valid(document)).toBe(true);
      seen.add('b' in document);
    }
    expect(seen).toEqual(new Set([true, false]));
  });

  test('0.6 an unsupported keyword is refused by name, before anything is generated', async () => {
    const before = world.sent.length;
    const object = (more: object) => ({ type: 'object', properties: { a: { type: 'integer' } }, ...more });
    for (const [keyword, value] of Object.entries({
      not: object({ not: { required: ['b'] } }),
      if: object({ if: { required: ['a'] }, else: { required: ['b'] } }),
      dependentRequired: object({ dependentRequired: { a: ['b'] } }),
    })) {
      const answer = await call(schema(value));
      expect([keyword, answer.status, answer.json.error.code]).toEqual([keyword, 400, 'invalid_schema']);
      expect(answer.json.error.message).toContain(keyword);
    }
    expect(world.sent.length).toBe(before);
  });

  test('0.7 json_object and text are accepted', async () => {
    const answer = await call({ response_format: { type: 'json_object' }, max_tokens: 200 });
    expect(answer.status).toBe(200);
    if (answer.json.choices[0].finish_reason === 'stop') JSON.parse(answer.json.choices[0].message.content);
    expect((await call({ response_format: { type: 'text' } })).status).toBe(200);
  });

  test('0.8 stream: true is SSE; false, absent and null are one JSON body', async () => {
    expect((await call({ stream: true })).headers.get('content-type')).toMatch(/^text\/event-stream/);
    for (const stream of [false, null, undefined]) expect((await call({ stream })).json.object).toBe('chat.completion');
  });

  const patch = (more: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
    world.call('dottxt', ask(schema(TICKET, { stream: 'patch', seed: 3, ...more })), { headers });

  test('0.9 stream: "patch" is one add operation per line, and builds the very document', async () => {
    const answer = await patch();
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
    expect(answer.text.endsWith('\n')).toBe(true);
    const ops = answer.text.trimEnd().split('\n').map(readOp);
    expect(ops[0]).toEqual({ op: 'add', path: '', value: {} });
    const paths = ops.map(({ path }) => path);
    expect(paths.slice(0, 4)).toEqual(['', '/category', '/summary', '/tags']);
    expect(ops[3]!.value).toEqual([]);
    expect(paths.slice(4)).toEqual(paths.slice(4).map((_, i) => `/tags/${i}`));
    const built = applied(ops);
    expect(fits(TICKET)(built)).toBe(true);
    const plain = await call(schema(TICKET, { seed: 3 }));
    // A real engine on a CPU does not promise the same text twice; the look-alike does.
    if (engine !== 'real vLLM') expect(built).toEqual(JSON.parse(plain.json.choices[0].message.content));
  });

  test('0.9 in the order of the schema, containers before what is in them', async () => {
    const item = {
      type: 'object',
      properties: { z: { type: 'boolean' }, a: { type: 'integer', minimum: 0, maximum: 9 } },
      required: ['z', 'a'],
      additionalProperties: false,
    };
    const list = { type: 'array', items: item, minItems: 2, maxItems: 2 };
    const nested = { type: 'object', properties: { list }, required: ['list'], additionalProperties: false };
    const answer = await call(schema(nested, { stream: 'patch' }));
    const ops = answer.text.trimEnd().split('\n').map(readOp);
    expect(ops.map(({ path }) => path)).toEqual([
      ...['', '/list', '/list/0', '/list/0/z', '/list/0/a', '/list/1', '/list/1/z', '/list/1/a'],
    ]);
    expect(fits(nested)(applied(ops))).toBe(true);
  });

  test('0.10 with Accept: text/event-stream it is one event per operation, closed by event: done', async () => {
    const answer = await patch({}, { accept: 'text/event-stream' });
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = answer.text.split('\n\n');
    expect(events.pop()).toBe('');
    expect(events.pop()).toBe('event: done\ndata: {}');
    const ops = events.map((event) => readOp(event.replace(/^data: /, '')));
    expect(fits(TICKET)(applied(ops))).toBe(true);
  });

  test('0.10 without a schema it is 400 before any record, as is what has no place in a patch stream', async () => {
    const before = world.sent.length;
    for (const [more, param] of [
      [{ response_format: undefined }, 'stream'],
      [{ response_format: { type: 'json_object' } }, 'stream'],
      [{ n: 2, temperature: 1 }, 'n'],
      [{ tools: [TOOL] }, 'tools'],
      [{ stream_options: { include_usage: true } }, 'stream_options'],
      [{ logprobs: true }, 'logprobs'],
    ] as const) {
      const answer = await patch(more);
      expect([param, answer.status, answer.json.error.param]).toEqual([param, 400, param]);
    }
    expect(world.sent.length).toBe(before);
    for (const stream of ['PATCH', 'yes', 1]) expect((await call({ stream })).status).toBe(400);
  });

  test('0.10 a document that is cut ends without a terminator, and inside an open chunk', async () => {
    const whole = await patch();
    for (const accept of ['application/json', 'text/event-stream']) {
      const text = await openEnd(world, ask(schema(TICKET, { stream: 'patch', seed: 3, max_tokens: 8 })), accept);
      expect(text).not.toContain('event: done');
      expect(text.length).toBeLessThan(whole.text.length);
    }
  });

  test('0.11 stop: a list of up to 4, or null; five and a bare string are refused', async () => {
    expect((await call({ stop: ['q1', 'q2', 'q3', 'q4'] })).status).toBe(200);
    expect(lastOf(world.sent).stop).toEqual(['q1', 'q2', 'q3', 'q4']);
    expect((await call({ stop: null })).status).toBe(200);
    for (const stop of [['1', '2', '3', '4', '5'], 'x']) {
      const answer = await call({ stop });
      expect([answer.status, answer.json.error.param]).toEqual([400, 'stop']);
    }
  });

  test('0.12 every parameter but model and messages may be null', async () => {
    const names =
      'frequency_penalty logit_bias logprobs max_tokens n presence_penalty response_format seed stop stream stream_options temperature tool_choice tools top_logprobs top_p user';
    const nulls = Object.fromEntries(names.split(' ').map((name) => [name, null]));
    expect((await call(nulls)).status).toBe(200);
    for (const name of ['model', 'messages']) {
      const answer = await call({ [name]: null });
      expect([answer.status, answer.json.error.param]).toEqual([400, name]);
    }
  });

  test('0.13 temperature 0 to 2, whole numbers for max_tokens and n, nothing is added, max_tokens 0 is refused', async () => {
    await call({});
    for (const name of ['temperature', 'top_p', 'n', 'frequency_penalty', 'presence_penalty']) {
      expect(lastOf(world.sent)).not.toHaveProperty(name);
    }
    for (const more of [{ temperature: -0.01 }, { max_tokens: 1.5 }, { n: 1.5 }, { max_tokens: 0 }]) {
      const answer = await call(more);
      expect([answer.status, answer.json.error.param]).toEqual([400, Object.keys(more)[0]]);
    }
  });

  test('0.14 tools of type function alone; arguments are a JSON string', async () => {
    const { json } = await wholeAnswer((seed) =>
      call({ tools: [TOOL], tool_choice: 'required', max_tokens: 300, seed }),
    );
    const [first] = json.choices[0].message.tool_calls;
    expect(typeof first.function.arguments).toBe('string');
    expect(JSON.parse(first.function.arguments)).toHaveProperty('city');
    expect((await call({ tools: [{ type: 'retrieval' }] })).status).toBe(400);
  });

  test('0.15 roles system, user, assistant, tool, function; content is text or null', async () => {
    const tool_calls = [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }];
    const messages = [
      { role: 'system', content: 's' },
      { role: 'user', content: 'u' },
      { role: 'assistant', content: null, tool_calls },
      { role: 'tool', tool_call_id: 'c1', content: 't' },
      { role: 'function', name: 'f', content: 'r' },
    ];
    expect((await call({ messages })).status).toBe(200);
    const roles = lastOf(world.sent).messages.map((message: { role: string }) => message.role);
    expect(roles).toEqual(['system', 'user', 'assistant', 'tool', 'tool']);
    expect((await call({ messages: [{ role: 'wizard', content: 'x' }] })).status).toBe(400);
  });

  test('0.16 user is accepted and stays here; the same seed gives the same answer', async () => {
    const said = async () => (await call({ user: 'u1', seed: 7, temperature: 1 })).json.choices[0].message.content;
    expect(await said()).toBe(await said());
    expect(lastOf(world.sent)).not.toHaveProperty('user');
  });

  test('0.17 id, object, created, model and choices are always there', async () => {
    expect((await call({})).json).toMatchObject({
      id: expect.any(String),
      object: 'chat.completion',
      created: expect.any(Number),
      model: MODEL,
      choices: expect.any(Array),
    });
  });

  test('0.18 statuses 400, 401, 402, 403, 404, 429, 500, and the code of a bad key', async () => {
    expect((await call({ temperature: 9 })).status).toBe(400);
    const bad = await world.call('dottxt', ask(), { key: null });
    expect([bad.status, bad.json.error.code, bad.json.error.type]).toEqual([
      401,
      'invalid_api_key',
      'authentication_error',
    ]);
    const narrow = await world.paidKey({ models: ['tests/other'] });
    expect((await call({}, narrow.text)).status).toBe(403);
    expect((await call({ model: 'no/such' })).status).toBe(404);
    const capped = await world.paidKey({ capDayNusd: '1' });
    expect((await call({}, capped.text)).status).toBe(402);
    const limits = { requestsPerMinute: 1, tokensPerMinute: null, concurrency: null };
    const slow = await world.paidKey({ limits });
    await call({}, slow.text);
    expect((await call({}, slow.text)).status).toBe(429);
    for (const key of ['junk', (await world.paidKey({ expiresAtMs: 1 })).text]) {
      const { status, json } = await call({}, key);
      expect([status, json.error.code, json.error.type]).toEqual([401, 'invalid_api_key', 'authentication_error']);
    }
    // Nothing of ours fails on demand: the status is that of the profile.
    const profile = loadProfiles({ docsBase: '' }).find(({ name }) => name === 'dottxt')!;
    expect(profile.renderError(new AppError('internal_error')).status).toBe(500);
  });

  test('0.19 the body of an error has message, type, param and code', async () => {
    const { json } = await call({ temperature: 9 });
    expect(json.error).toMatchObject({
      message: expect.any(String),
      type: 'invalid_request_error',
      param: 'temperature',
      code: 'invalid_request',
    });
  });

  test('0.20 /responses points to chat completions', async () => {
    const answer = await world.get('/dottxt/v1/responses');
    expect(answer.status).toBe(404);
    expect(answer.json.error.message).toMatch(/chat completions/);
  });
});

interface Op {
  op: string;
  path: string;
  value: unknown;
}

function readOp(text: string): Op {
  const op = JSON.parse(text) as Op;
  expect(Object.keys(op)).toEqual(['op', 'path', 'value']);
  expect(op.op).toBe('add');
  return op;
}

/** The document that operations build; no key here needs escaping. */
function applied(ops: readonly Op[]): unknown {
  const holder: Record<string, unknown> = {};
  for (const { path, value } of ops) {
    const keys = ['root', ...path.split('/').slice(1)];
    const last = keys.pop()!;
    let at = holder;
    for (const key of keys) at = at[key] as Record<string, unknown>;
    at[last] = value;
  }
  return holder.root;
}

/** The bytes of an answer whose connection closes before its end; rejects when the answer ends properly. */
function openEnd(world: World, body: unknown, accept: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${world.key.text}`, accept };
    const url = `${world.router.url}/dottxt/v1/chat/completions`;
    const asked = request(url, { method: 'POST', headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => reject(new Error(`the answer ended properly: ${text}`)));
      answer.on('error', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end(JSON.stringify(body));
  });
}
