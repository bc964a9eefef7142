/** What bad input gets: each has a decided answer, in OpenAI's error object, and nothing reaches a worker or the bill. */
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { chat, hello, MODEL, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

let around: Surroundings;
let worker: Devworker;
let router: RunningRouter;
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  worker = await startDevworker({ speed: 50 });
  router = await around.router([worker.url], { TOLLGATE_BODY_LIMIT_BYTES: '100000' });
  key = await around.key();
  await around.credit(key.record.accountId, 1_000_000_000n);
});

afterAll(async () => {
  await around.stop();
  await worker.close();
});

/** Sends bytes as they are and reads until the connection closes. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(router.url);
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
const withMessages = (json: string) => `{"model":"${MODEL}","messages":${json}}`;

describe('a request is refused', () => {
  test.each([
    ['without a key', null, 'missing_api_key'],
    ['with a key of a wrong shape', 'sk-123', 'invalid_api_key'],
    ['with a key whose checksum is wrong', `tg_live_${'a'.repeat(12)}_${'b'.repeat(38)}`, 'invalid_api_key'],
  ])('%s: 401, whatever the body', async (_name, text, code) => {
    const answer = await chat(router, text, 'x'.repeat(200_000));
    expect(answer.status).toBe(401);
    expect(answer.json.error).toMatchObject({ type: 'authentication_error', code, param: null });
    expect(answer.json.error.metadata.doc_url).toBe(`/docs/errors/${code}`);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
  });

  test('with two Authorization headers: 401', async () => {
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n`;
    const auth = `authorization: Bearer ${key.text}\r\n`;
    expect(await raw(`${head}${auth}${auth}\r\n{}`)).toMatch(/^HTTP\/1\.1 401 .*"code":"invalid_api_key"/s);
  });

  test('that is no HTTP, or has headers without end: 400 and 431 in JSON', async () => {
    const nonsense = await raw('NONSENSE\r\n\r\n');
    expect(nonsense).toMatch(
      /^HTTP\/1\.1 400 .*"code":"invalid_request".*"doc_url":"\/docs\/errors\/invalid_request"/s,
    );
    expect(nonsense).toMatch(/\r\nx-request-id: req_\w+\r\n/);
    const head = `GET /v1/models HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`;
    expect(await raw(head)).toMatch(/^HTTP\/1\.1 431 /);
    // Two lengths that disagree are how requests are smuggled past a proxy.
    const both =
      'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
    expect(await raw(both)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('with a body over the limit: 413, told or streamed, and the connection closes', async () => {
    const answer = await chat(router, key.text, hello({ messages: [{ role: 'user', content: 'x'.repeat(200_000) }] }));
    expect(answer.status).toBe(413);
    expect(answer.json.error.code).toBe('body_too_large');
    expect(answer.headers.get('connection')).toBe('close');
    const chunked = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key.text}\r\ntransfer-encoding: chunked\r\n\r\n30d40\r\n${'x'.repeat(200_000)}\r\n0\r\n\r\n`;
    expect(await raw(chunked)).toMatch(/^HTTP\/1\.1 413 /);
  });

  test.each([
    ['gzip', { 'content-encoding': 'gzip' }],
    ['form data', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['another charset', { 'content-type': 'application/json; charset=utf-16' }],
  ])('as %s: 415', async (_name, headers: Record<string, string>) => {
    const response = await fetch(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}`, ...headers },
      body: gzipSync(JSON.stringify(hello())),
    });
    expect(response.status).toBe(415);
    expect(await response.json()).toMatchObject({ error: { code: 'unsupported_media_type' } });
  });

  test.each([
    ['broken JSON', '{"model":', 'invalid_json'],
    ['no body', '', 'invalid_json'],
    ['a byte order mark', `\ufeff${JSON.stringify(hello())}`, 'invalid_json'],
    ['Infinity', `{"model":"${MODEL}","messages":[],"temperature":Infinity}`, 'invalid_json'],
    ['a body nested 65 deep', deep(65), 'json_too_deep'],
    ['a field nested thousands deep', withMessages(deep(5_000)), 'json_too_deep'],
  ])('with %s: 400', async (_name, body, code) => {
    const answer = await chat(router, key.text, body);
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatchObject({ type: 'invalid_request_error', code });
  });

  test.each([
    ['a list as body', '[]', 'body'],
    ['a missing model', '{"messages":[]}', 'model'],
    ['messages: null', withMessages('null'), 'messages'],
    ['no messages', withMessages('[]'), 'messages'],
    ['an unknown role', withMessages('[{"role":"wizard","content":"x"}]'), 'messages[0].role'],
    ['content that is a number', withMessages('[{"role":"user","content":1}]'), 'messages[0].content'],
    ['a user without content', withMessages('[{"role":"user"}]'), 'messages[0].content'],
    [
      'a picture',
      withMessages('[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]'),
      'messages[0].content[0].type',
    ],
    ['half a surrogate pair', withMessages('[{"role":"user","content":"a\\ud800b"}]'), 'messages[0].content'],
    [
      'a temperature of 1e999',
      `{"model":"${MODEL}","messages":[{"role":"user","content":"x"}],"temperature":1e999}`,
      'temperature',
    ],
  ])('with %s: 400 that names the field', async (_name, body, param) => {
    const answer = await chat(router, key.text, body);
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatchObject({ type: 'invalid_request_error', code: 'invalid_request', param });
  });

  test.each([
    [{ temperature: 2.01 }, 'temperature'],
    [{ temperature: '1' }, 'temperature'],
    [{ top_p: 0 }, 'top_p'],
    [{ presence_penalty: -2.01 }, 'presence_penalty'],
    [{ n: 9 }, 'n'],
    [{ n: 2, temperature: 0 }, 'n'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_tokens: 1.5 }, 'max_tokens'],
    [{ max_completion_tokens: 5 }, 'max_tokens'],
    [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    [{ stop: '' }, 'stop'],
    [{ stream: 'true' }, 'stream'],
    [{ stream_options: { include_usage: true } }, 'stream_options'],
    [{ top_logprobs: 2 }, 'top_logprobs'],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    [{ logit_bias: { x: 1 } }, 'logit_bias'],
    [{ tools: [] }, 'tools'],
    [{ tools: [{ type: 'function', function: { name: 'no spaces' } }] }, 'tools[0].function.name'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema'],
    [{ response_format: { type: 'xml' } }, 'response_format.type'],
  ])('for %j: 400 that names the field', async (more, param) => {
    const answer = await chat(router, key.text, hello(more));
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatchObject({ code: 'invalid_request', param });
  });

  test.each([
    [{ made_up: 1 }, 'made_up'],
    [{ functions: [] }, 'functions'],
    [{ chat_template: 'x' }, 'chat_template'],
    [{ chat_template_kwargs: { tokenize: true } }, 'chat_template_kwargs.tokenize'],
    [{ structured_outputs: { regex: 'x' } }, 'structured_outputs.regex'],
    [{ cache_salt: 'mine' }, 'cache_salt'],
    [{ priority: -1 }, 'priority'],
    [{ store: true }, 'store'],
    [{ __proto__: undefined, constructor: 1 }, 'constructor'],
  ])('for the unsupported %j: 400 by name', async (more, param) => {
    const answer = await chat(router, key.text, hello(more));
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatchObject({ code: 'unsupported_parameter', param });
  });

  test('for an output limit beyond the context: 400 before any worker is asked', async () => {
    const answer = await chat(router, key.text, hello({ max_tokens: 40_000 }));
    expect(answer.json.error).toMatchObject({ code: 'context_length_exceeded', param: 'max_tokens' });
  });

  test('at unknown addresses 404, with other methods 405 and what is allowed', async () => {
    const nowhere = await fetch(`${router.url}/v1/nowhere`, { method: 'POST' });
    expect(nowhere.status).toBe(404);
    expect(await nowhere.json()).toMatchObject({ error: { code: 'not_found' } });
    for (const [method, path, allow] of [
      ['GET', '/v1/chat/completions', 'POST'],
      ['DELETE', '/v1/models', 'GET, HEAD'],
      ['PUT', '/healthz', 'GET, HEAD'],
    ] as const) {
      const response = await fetch(router.url + path, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe(allow);
      expect(await response.json()).toMatchObject({ error: { code: 'method_not_allowed' } });
    }
    const preflight = await fetch(`${router.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: { origin: 'http://x', 'access-control-request-method': 'POST' },
    });
    expect(preflight.status).toBe(405);
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    expect(
      (await fetch(`${router.url}/v1/models/%ff`, { headers: { authorization: `Bearer ${key.text}` } })).status,
    ).toBe(404);
  });
});

describe('a request is accepted', () => {
  test('with a key in x-api-key, with duplicate JSON keys (the last counts), with nulls for "not said"', async () => {
    const body = JSON.stringify(hello({ temperature: null, stop: null, tools: null, stream: null, max_tokens: 4 }));
    const twice = body.replace('"max_tokens":4', '"max_tokens":9999999,"max_tokens":4');
    const answer = await chat(router, null, twice, { 'x-api-key': key.text });
    expect(answer.status).toBe(200);
    expect(answer.json.usage.completion_tokens).toBeLessThanOrEqual(4);
  });

  test('with what SDKs send back of an assistant, and with fields that change nothing', async () => {
    const messages = [
      { role: 'developer', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
      {
        role: 'assistant',
        content: null,
        refusal: null,
        annotations: null,
        audio: null,
        function_call: null,
        reasoning: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: '42' },
    ];
    const more = { user: 'u', metadata: { a: 'b' }, store: false, service_tier: 'auto', modalities: ['text'] };
    expect((await chat(router, key.text, hello({ messages, max_tokens: 2, ...more }))).status).toBe(200);
  });
});

test('nothing of all this was billed or held, but what was answered', async () => {
  await eventually('no hold is left', async () => (await around.lease(key.record.accountId))?.heldNusd === 0n);
  expect((await around.records()).every((record) => record.outcome === 'served')).toBe(true);
  expect(await around.records()).toHaveLength(2);
  expect(worker.totals.requests).toBe(2);
});

test('keys say what they may: GET /v1/key without touching any limit', async () => {
  const response = await fetch(`${router.url}/v1/key`, { headers: { authorization: `Bearer ${key.text}` } });
  expect(await response.json()).toMatchObject({
    object: 'key',
    id: key.record.keyId,
    account_id: key.record.accountId,
    running: { key: 0, account: 0 },
    credit: { held_nusd: '0' },
  });
  expect((await fetch(`${router.url}/v1/key`)).status).toBe(401);
});
