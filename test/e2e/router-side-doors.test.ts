/** What a worker serves is reached only through what is metered; what an operator opens has its price; a quote is free. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { routerShape } from '@tollgate/router/config';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import {
  CATALOG_MODEL,
  chat,
  eventuallyQuiet,
  hello,
  MODEL,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from './router-kit.ts';

// Real processes on a busy machine: a test's own limit is no statement about time.
jest.setTimeout(60_000);

/** 200,000 nano-USD a call: the price of a million calls is 200 USD. */
const CALL: CatalogModel = {
  ...CATALOG_MODEL,
  id: 'tokenize-call',
  priceId: 'price_call',
  prices: { inputNusd: 200_000_000_000n, cachedInputNusd: 200_000_000_000n, outputNusd: 0n },
};
const OPENED = [{ path: '/v1/tokenize', workerPath: '/tokenize', model: MODEL, soldAs: CALL.id, scope: 'tokenize' }];

let around: Surroundings;
let worker: Devworker;
let router: RunningRouter;
let opened: RunningRouter;
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings([CATALOG_MODEL, CALL]);
  worker = await startDevworker({ speed: 20 });
  router = await around.router([worker.url]);
  opened = await around.router([worker.url], { TOLLGATE_PASS_THROUGH: JSON.stringify(OPENED) });
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000n);
});

afterAll(async () => {
  await around.stop();
  await worker.close();
});

async function call(to: RunningRouter, path: string, body: object | null, more: RequestInit = {}) {
  const response = await fetch(to.url + path, {
    method: body === null ? 'GET' : 'POST',
    ...(body === null ? {} : { body: JSON.stringify(body) }),
    ...more,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}`, ...more.headers },
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  let json: any = null;
  try {
    json = JSON.parse(text);
  } catch {}
  return { status: response.status, headers: response.headers, text, json };
}

/** Every path that vLLM, SGLang or the devworker is known to have (facts/engines.md section 4, goldens). */
const WORKER_PATHS = [
  ...['/health', '/ping', '/version', '/load', '/metrics', '/v1/models', '/tokenize', '/detokenize', '/v1/tokenize'],
  ...['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/responses/x', '/v1/messages'],
  ...[
    '/v1/messages/count_tokens',
    '/rerank',
    '/v1/rerank',
    '/v2/rerank',
    '/score',
    '/v1/score',
    '/pooling',
    '/classify',
  ],
  ...['/v1/audio/transcriptions', '/v1/audio/translations', '/v1/moderations', '/invocations', '/generate', '/encode'],
  ...['/inference/v1/generate', '/v1/chat/completions/render', '/v1/completions/render', '/v1/chat/completions/batch'],
  ...[
    '/server_info',
    '/get_server_info',
    '/model_info',
    '/get_model_info',
    '/v1/loads',
    '/get_load',
    '/health_generate',
  ],
  ...[
    '/abort_request',
    '/flush_cache',
    '/reset_prefix_cache',
    '/sleep',
    '/wake_up',
    '/is_sleeping',
    '/pause',
    '/resume',
  ],
  ...['/update_weights', '/v1/load_lora_adapter', '/v1/unload_lora_adapter', '/load_lora_adapter', '/start_profile'],
  ...['/openapi.json', '/docs', '/redoc', '/devworker/state', '/devworker/faults', '/api/chat', '/api/generate'],
];
const METERED = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/messages']);
/** The router's own, which never reach a worker. */
const OWN = new Set(['/v1/models', '/healthz', '/readyz']);

describe('no side door', () => {
  test.each(WORKER_PATHS)('%s: nothing of a worker is reached but what is metered', async (path) => {
    const before = { ...worker.totals };
    for (const [method, body] of [
      ['GET', null],
      ['POST', { model: MODEL }],
      ['PUT', {}],
      ['DELETE', {}],
    ] as const) {
      const answer = await call(router, path, body, { method });
      if (METERED.has(path)) expect([405, 400]).toContain(answer.status);
      else if (OWN.has(path)) expect([200, 405]).toContain(answer.status);
      // A model's id is the rest of the path, and this is none.
      else expect([method, answer.status]).toEqual([method, 404]);
    }
    expect({ ...worker.totals }).toEqual(before);
  });

  test('a model without a price is sold at no endpoint', async () => {
    const bodies: Record<string, object> = {
      '/v1/chat/completions': { messages: [{ role: 'user', content: 'x' }] },
      '/v1/completions': { prompt: 'x' },
      '/v1/embeddings': { input: 'x' },
      '/v1/responses': { input: 'x' },
      '/v1/messages': { max_tokens: 4, messages: [{ role: 'user', content: 'x' }] },
    };
    for (const path of METERED) {
      expect([path, (await call(router, path, { model: 'unpriced', ...bodies[path] })).status]).toEqual([path, 404]);
    }
  });
});

describe('an opened endpoint', () => {
  const bill = async (run: () => Promise<unknown>): Promise<UsageRecord[]> => {
    await around.drain();
    await run();
    await eventuallyQuiet(opened);
    const records: UsageRecord[] = [];
    await eventually('it is settled', async () => {
      // Before the outbox is read: what is settled by now is in it.
      const { heldNusd } = (await around.lease(key.record.accountId))!;
      records.push(...(await around.drain()));
      return heldNusd === 0n;
    });
    return records;
  };

  test('passes the answer on, at the price of one call', async () => {
    const records = await bill(async () => {
      const answer = await call(opened, '/v1/tokenize', { model: MODEL, prompt: 'hello there' });
      expect([answer.status, typeof answer.json.count]).toEqual([200, 'number']);
      expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
    });
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      endpoint: '/pass-through',
      model: CALL.id,
      outcome: 'served',
      amountNusd: 200_000n,
    });
  });

  test('a refusal of the worker costs nothing and is passed on', async () => {
    const records = await bill(async () => {
      expect((await call(opened, '/v1/tokenize', { model: 'nope', prompt: 'x' })).status).toBeGreaterThanOrEqual(400);
    });
    expect(records).toEqual([]);
  });

  test('needs a key with its scope, and credit', async () => {
    expect((await fetch(`${opened.url}/v1/tokenize`, { method: 'POST', body: '{}' })).status).toBe(401);
    const narrow = await around.key({ scopes: ['chat'] });
    const refused = await call(opened, '/v1/tokenize', {}, { headers: { authorization: `Bearer ${narrow.text}` } });
    expect([refused.status, refused.json.error.code]).toEqual([403, 'endpoint_not_allowed']);
    const limited = await around.key({ accountId: key.record.accountId, capDayNusd: '100' });
    const capped = await call(opened, '/v1/tokenize', {}, { headers: { authorization: `Bearer ${limited.text}` } });
    expect([capped.status, capped.json.error.code]).toEqual([402, 'key_limit_reached']);
  });

  test('is limited like any request', async () => {
    const limits = { requestsPerMinute: 1, tokensPerMinute: null, concurrency: null };
    const slow = await around.key({ accountId: key.record.accountId, limits });
    const ask = () =>
      call(
        opened,
        '/v1/tokenize',
        { model: MODEL, prompt: 'x' },
        { headers: { authorization: `Bearer ${slow.text}` } },
      );
    expect((await ask()).status).toBe(200);
    const refused = await ask();
    expect([refused.status, refused.json.error.code]).toEqual([429, 'rate_limit_exceeded']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  test.each([
    ['a metered path', { workerPath: '/v1/completions' }],
    ['a path that controls the worker', { workerPath: '/update_weights' }],
    ['a path with dots', { workerPath: '/v1/../metrics' }],
    ['a path outside /v1', { path: '/x' }],
    ['no sold model', { soldAs: undefined }],
  ])('%s cannot be opened', (_name, change) => {
    const text = JSON.stringify([{ ...OPENED[0], ...change }]);
    expect(() =>
      parseConfig({ TOLLGATE_PASS_THROUGH: routerShape.TOLLGATE_PASS_THROUGH }, { TOLLGATE_PASS_THROUGH: text }),
    ).toThrow();
  });
});

test('no worker hears who the client is: no credential, no cookie, no name, of a generation or of an opened call', async () => {
  const heard: { path: string; headers: string }[] = [];
  const answers: Record<string, object> = {
    '/v1/models': { data: [{ id: MODEL, owned_by: 'vllm', max_model_len: 32_768 }] },
    '/version': { version: '0.30.0' },
    '/tokenize': { count: 1, max_model_len: 32_768, tokens: [1] },
    '/v1/chat/completions': {
      ...{ id: 'x', object: 'chat.completion', created: 1, model: MODEL },
      choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 },
    },
  };
  const recorder = createServer((request, response) => {
    if (request.method === 'POST') heard.push({ path: request.url!, headers: request.rawHeaders.join('\n') });
    request.resume();
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answers[request.url!] ?? {}));
  });
  await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(recorder.address() as AddressInfo).port}`;
  const to = await around.router([url], { TOLLGATE_PASS_THROUGH: JSON.stringify(OPENED) });
  const names = [
    'cookie',
    'user-agent',
    'x-request-id',
    'x-session-id',
    'x-tollgate-session',
    'x-forwarded-for',
    'referer',
  ];
  const headers = Object.fromEntries(names.map((name) => [name, 'canary=1']));
  expect((await call(to, '/v1/chat/completions', hello(), { headers })).status).toBe(200);
  expect((await call(to, '/v1/tokenize', { model: MODEL, prompt: 'x' }, { headers })).status).toBe(200);
  expect(heard.map(({ path }) => path)).toEqual(['/v1/chat/completions', '/tokenize']);
  for (const { headers: text } of heard) {
    expect(text).not.toMatch(/canary|authorization|cookie|x-tollgate/i);
    expect(text).not.toContain(key.text);
  }
  await to.stop();
  recorder.close();
  recorder.closeAllConnections();
});

describe('a quote', () => {
  test('is the hold that the request then takes, and is free', async () => {
    const before = await around.lease(key.record.accountId);
    const { json, status } = await call(router, '/v1/quote', hello());
    expect(status).toBe(200);
    expect(json).toMatchObject({
      object: 'quote',
      model: MODEL,
      output_tokens_limit: 24,
      would_pass: true,
      refused_by: null,
    });
    expect(json.first_token_ms_expected).toBeGreaterThan(0);
    expect(await around.lease(key.record.accountId)).toEqual(before);
    await around.drain();
    const answer = await chat(router, key.text, hello());
    expect(json.prompt_tokens_bound).toBeGreaterThanOrEqual(answer.json.usage.prompt_tokens);
    await eventuallyQuiet(router);
    const records: UsageRecord[] = [];
    await eventually('the record', async () => records.push(...(await around.drain())) > 0);
    expect(json.max_cost_nusd).toBe(String(records[0]!.heldNusd));
  });

  test('names the limit that refuses, and when it frees', async () => {
    const slow = await around.key({
      accountId: key.record.accountId,
      limits: { requestsPerMinute: 1, tokensPerMinute: null, concurrency: null },
    });
    const asked = { headers: { authorization: `Bearer ${slow.text}` } };
    expect((await call(router, '/v1/quote', hello(), asked)).json.would_pass).toBe(true);
    expect((await call(router, '/v1/quote', hello(), asked)).json.would_pass).toBe(true);
    expect((await call(router, '/v1/chat/completions', hello(), asked)).status).toBe(200);
    const { json } = await call(router, '/v1/quote', hello(), asked);
    expect(json).toMatchObject({
      would_pass: false,
      refused_by: { code: 'rate_limit_exceeded', status: 429, scope: 'key' },
    });
    expect(json.refused_by.frees_in_ms).toBeGreaterThan(0);
    const broke = await around.key();
    await around.credit(broke.record.accountId, 10n);
    const short = await call(router, '/v1/quote', hello(), { headers: { authorization: `Bearer ${broke.text}` } });
    expect(short.json).toMatchObject({ credit: 'fetched', would_pass: true });
  });

  test('speaks for every endpoint of the contract, and refuses what the request itself would be refused for', async () => {
    const text = await call(router, '/v1/quote', {
      endpoint: '/v1/completions',
      model: MODEL,
      prompt: ['a', 'b'],
      max_tokens: 5,
    });
    expect(text.json).toMatchObject({ endpoint: '/completions', choices: 2, output_tokens_limit: 5 });
    expect((await call(router, '/v1/quote', { endpoint: '/images', model: MODEL })).json.error.param).toBe('endpoint');
    expect((await call(router, '/v1/quote', hello({ temperature: 9 }))).json.error.param).toBe('temperature');
  });
});
