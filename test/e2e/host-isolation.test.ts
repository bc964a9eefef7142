/**
 * The API's host keeps organisations and projects apart, route by route: the list comes from the routers themselves, so
 * that a new route without a case fails here. And, after everything that a customer can do with prompts, documents,
 * batches, repeats and kept bodies: nothing of it, and no credential, lies anywhere it should not.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { hostDocumentText } from '@tollgate/shared/runtime/host-document';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { PASSWORD, TOKEN } from '../../services/console/src/testing/harness.ts';
import { atRest, placesOf } from './at-rest.ts';
import { type ConsoleWorld, type Customer, EMBEDDER, SERVICE_TOKEN, startConsoleWorld } from './console-world.ts';
import { watchAnswers } from './host-answers.ts';
import { routerRoutes, serviceRoutes } from './host-routes.ts';
import type { Reply } from './reply.ts';
import { hello, MODEL } from './router-kit.ts';

jest.setTimeout(300_000);

/** Ids of what somebody has. */
interface Things {
  file: string;
  batchFile: string;
  store: string;
  fileBatch: string;
  batch: string;
  request: string;
}

/**
 * hidden: what is asked about is the owner's, so the answer is the one that a made-up id gets.
 * own: the caller's own things alone. open: nothing of anybody, no key needed.
 */
type How = 'hidden' | 'own' | 'open';
interface Case {
  how: How;
  path: (t: Things) => string;
  body?: (t: Things) => unknown;
  headers?: Record<string, string>;
}

const at = (path: string) => () => path;
const ofStore = (rest: string) => (t: Things) => `/v1/vector_stores/${t.store}${rest}`;
/** Sent by the owner under the same name before: a stranger gets an answer of their own. */
const repeat = (path: string) => ({ 'idempotency-key': `a name that both use for ${path}` });
const GENERATIONS: Record<string, unknown> = {
  '/v1/chat/completions': hello({
    ...{ max_tokens: 24, messages: [{ role: 'user', content: 'canary-repeat-prompt-31' }] },
  }),
  '/v1/completions': { model: MODEL, prompt: 'canary-repeat-prompt-32', max_tokens: 24 },
  '/v1/embeddings': { model: EMBEDDER, input: 'canary-repeat-prompt-33' },
  '/v1/responses': { model: MODEL, input: 'canary-repeat-prompt-34', max_output_tokens: 24 },
  '/v1/messages': {
    ...{ model: MODEL, max_tokens: 24 },
    messages: [{ role: 'user', content: 'canary-repeat-prompt-35' }],
  },
};
const grounded = ({ store }: Things) => hello({ rag_params: { vector_store_ids: [store] } });

const CASES: Record<string, Case> = {
  'GET /v1/files': { how: 'own', path: at('/v1/files?limit=1000') },
  'POST /v1/files': { how: 'own', path: at('/v1/files'), body: () => form('mine.txt', 'mine') },
  'GET /v1/files/:id': { how: 'hidden', path: (t) => `/v1/files/${t.file}` },
  'GET /v1/files/:id/content': { how: 'hidden', path: (t) => `/v1/files/${t.file}/content` },
  'DELETE /v1/files/:id': { how: 'hidden', path: (t) => `/v1/files/${t.file}` },
  'GET /v1/usage': { how: 'own', path: at('/v1/usage') },
  'GET /v1/requests': { how: 'own', path: at('/v1/requests?limit=100') },
  'GET /v1/requests/:id': { how: 'hidden', path: (t) => `/v1/requests/${t.request}` },
  'GET /v1/key/history': { how: 'own', path: at('/v1/key/history') },
  'GET /v1/batches': { how: 'own', path: at('/v1/batches?limit=100') },
  'POST /v1/batches': {
    ...{ how: 'hidden', path: at('/v1/batches') },
    body: (t) => ({ input_file_id: t.batchFile, endpoint: '/v1/chat/completions', completion_window: '24h' }),
  },
  'GET /v1/batches/:id': { how: 'hidden', path: (t) => `/v1/batches/${t.batch}` },
  'POST /v1/batches/:id/cancel': { how: 'hidden', path: (t) => `/v1/batches/${t.batch}/cancel`, body: () => ({}) },
  'GET /v1/vector_stores': { how: 'own', path: at('/v1/vector_stores?limit=100') },
  'POST /v1/vector_stores': { how: 'hidden', path: at('/v1/vector_stores'), body: (t) => ({ file_ids: [t.file] }) },
  'GET /v1/vector_stores/:store': { how: 'hidden', path: ofStore('') },
  'POST /v1/vector_stores/:store': { how: 'hidden', path: ofStore(''), body: () => ({ name: 'taken' }) },
  'DELETE /v1/vector_stores/:store': { how: 'hidden', path: ofStore('') },
  'POST /v1/vector_stores/:store/search': { how: 'hidden', path: ofStore('/search'), body: () => ({ query: 'heron' }) },
  'GET /v1/vector_stores/:store/files': { how: 'hidden', path: ofStore('/files') },
  'POST /v1/vector_stores/:store/files': {
    ...{ how: 'hidden', path: ofStore('/files') },
    body: (t) => ({ file_id: t.file }),
  },
  'GET /v1/vector_stores/:store/files/:file': { how: 'hidden', path: (t) => ofStore(`/files/${t.file}`)(t) },
  'GET /v1/vector_stores/:store/files/:file/content': {
    ...{ how: 'hidden', path: (t: Things) => ofStore(`/files/${t.file}/content`)(t) },
  },
  'POST /v1/vector_stores/:store/files/:file': {
    ...{ how: 'hidden', path: (t: Things) => ofStore(`/files/${t.file}`)(t) },
    body: () => ({ attributes: { a: 'b' } }),
  },
  'DELETE /v1/vector_stores/:store/files/:file': { how: 'hidden', path: (t) => ofStore(`/files/${t.file}`)(t) },
  'POST /v1/vector_stores/:store/file_batches': {
    ...{ how: 'hidden', path: ofStore('/file_batches') },
    body: (t) => ({ file_ids: [t.file] }),
  },
  'GET /v1/vector_stores/:store/file_batches/:batch': {
    ...{ how: 'hidden', path: (t) => ofStore(`/file_batches/${t.fileBatch}`)(t) },
  },
  'POST /v1/vector_stores/:store/file_batches/:batch/cancel': {
    ...{ how: 'hidden', path: (t: Things) => ofStore(`/file_batches/${t.fileBatch}/cancel`)(t), body: () => ({}) },
  },
  'GET /v1/vector_stores/:store/file_batches/:batch/files': {
    ...{ how: 'hidden', path: (t) => ofStore(`/file_batches/${t.fileBatch}/files`)(t) },
  },
  ...Object.fromEntries(
    Object.entries(GENERATIONS).map(([path, body]): [string, Case] => [
      `POST ${path}`,
      { how: 'own', path: at(path), body: () => body, headers: repeat(path) },
    ]),
  ),
  'POST /v1/quote': { how: 'own', path: at('/v1/quote'), body: () => hello() },
  'GET /v1/models': { how: 'own', path: at('/v1/models') },
  'GET /^\\/v1\\/models\\/(.+)$/': { how: 'own', path: at(`/v1/models/${MODEL}`) },
  'GET /v1/key': { how: 'own', path: at('/v1/key') },
  'GET /v1/openapi.json': { how: 'open', path: at('/v1/openapi.json') },
  'GET /healthz': { how: 'open', path: at('/healthz') },
  'GET /readyz': { how: 'open', path: at('/readyz') },
  'GET /.well-known/jwks.json': { how: 'open', path: at('/.well-known/jwks.json') },
};
/** Ways to somebody's things beside a route's own. */
const FURTHER: Record<string, Case> = {
  'POST /v1/chat/completions on a collection': { how: 'hidden', path: at('/v1/chat/completions'), body: grounded },
  'GET /v1/requests/:id with its bodies': { how: 'hidden', path: (t) => `/v1/requests/${t.request}?include=body` },
};

let world: ConsoleWorld;
let owner: Customer;
let things: Things;
const made: Things = {
  ...{ file: 'file_0', batchFile: 'file_1', store: 'vs_0', fileBatch: 'vsfb_0', batch: 'batch_0', request: 'req_0' },
};
/** Who asks: name -> key. */
const strangers = new Map<string, string>();
/** What only the owner may ever see. */
let marks: string[] = [];
/** The answer that each of the owner's requests under the shared name got. */
const answers = new Map<string, Reply>();
let collector: Server;
const watch = watchAnswers();
let spans = '';

function form(name: string, content: string): FormData {
  const data = new FormData();
  data.append('purpose', 'assistants');
  data.append('file', new Blob([content]), name);
  return data;
}

const document = JSON.parse(hostDocumentText()) as { paths: Record<string, Record<string, { operationId: string }>> };
const methodOf = (name: string) => name.slice(0, name.indexOf(' '));
const send = (name: string, { path, body, headers }: Case, key: string | null, t: Things) =>
  world.call(key, methodOf(name), path(t), body?.(t), headers);

beforeAll(async () => {
  collector = createServer((request, response) => {
    request.setEncoding('latin1').on('data', (text: string) => {
      spans += text;
    });
    request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const otlp = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  world = await startConsoleWorld({ router: { OTEL_EXPORTER_OTLP_ENDPOINT: otlp } });
  const { call } = world;
  world.call = async (key, method, path, ...rest) => {
    const reply = await call(key, method, path, ...rest);
    watch.look(method, path, reply);
    return reply;
  };
  owner = await world.customer('first@example.com');
  const other = await world.customer('stranger@example.com');
  strangers.set('another organisation', other.key);
  const { accountId, browser } = owner;
  const { projectId } = (await browser.post(`/api/accounts/${accountId}/projects`, { name: 'p' })).body;
  const inProject = (await browser.post('/api/keys', { accountId, name: 'p', projectId })).body;
  strangers.set('another project', inProject.key);

  const mine = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    const answer = await world.call(owner.key, method, path, body, headers);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.text}`);
    return answer;
  };
  const file = await world.upload(owner.key, 'bird.txt', 'The heron canarydocument stands on one leg.', 'assistants');
  const line = (content: string) =>
    JSON.stringify({
      ...{ custom_id: 'a', method: 'POST', url: '/v1/chat/completions' },
      body: hello({ messages: [{ role: 'user', content }] }),
    });
  const batchFile = await world.upload(owner.key, 'batch.jsonl', line('canary-batch-line-44'), 'batch');
  const store = (await mine('POST', '/v1/vector_stores', { name: 'birds', file_ids: [file] })).json.id;
  const second = await world.upload(owner.key, 'tree.txt', 'A beech keeps its leaves in winter.', 'assistants');
  const fileBatch = (await mine('POST', `/v1/vector_stores/${store}/file_batches`, { file_ids: [second] })).json.id;
  const input = { input_file_id: batchFile, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const batch = (await mine('POST', '/v1/batches', input)).json.id;
  const kept = await browser.post(`/api/accounts/${accountId}/body-retention`, { enabled: true });
  if (kept.status !== 200) throw new Error(`keeping bodies: ${kept.text}`);
  for (const [path, body] of Object.entries(GENERATIONS)) {
    answers.set(path, await mine('POST', path, body, repeat(path)));
  }
  const request = answers.get('/v1/chat/completions')!.headers.get('x-request-id')!;
  things = { file, batchFile, store, fileBatch, batch, request };
  await eventually('all of it is done', async () => {
    const read = (await mine('GET', `/v1/vector_stores/${store}`)).json.status;
    const run = (await mine('GET', `/v1/batches/${batch}`)).json.status;
    const posted = (await world.call(owner.key, 'GET', `/v1/requests/${request}`)).status;
    return read === 'completed' && run === 'completed' && posted === 200;
  });
  const requests = [...answers.values()].map(({ headers }) => headers.get('x-request-id')!);
  marks = [...Object.values(things), ...requests, owner.keyId, owner.userId, 'first@example.com', 'canarydocument'];
});
afterAll(async () => {
  await world?.stop();
  collector?.closeAllConnections();
  collector?.close();
});

test('every route of the host and of the services behind it has a case here, and no case is of a route that is gone', () => {
  const { own } = routerRoutes();
  expect(Object.keys(CASES).sort()).toEqual([...own, ...serviceRoutes().forKeys].sort());
});

test('what the router passes on is what the services answer', () => {
  const roots = routerRoutes().passed.filter((name) => !name.endsWith('/*rest'));
  const paths = serviceRoutes().forKeys.map((name) => name.slice(name.indexOf(' ') + 1));
  const under = (root: string) => paths.filter((path) => path === root || path.startsWith(`${root}/`));
  for (const name of roots) expect(under(name.slice('ALL '.length)).length).toBeGreaterThan(0);
  const reached = new Set(roots.flatMap((name) => under(name.slice('ALL '.length))));
  expect(paths.filter((path) => !reached.has(path))).toEqual([]);
});

describe.each(['another organisation', 'another project'])('%s', (who) => {
  test.each(Object.entries({ ...CASES, ...FURTHER }))('%s', async (name, entry) => {
    const key = strangers.get(who)!;
    const answer = await send(name, entry, key, things);
    if (entry.how === 'hidden') {
      expect([404, 403]).toContain(answer.status);
      // Nor is there a word that tells an id of somebody else's from one of nobody's.
      const madeUp = await send(name, entry, key, made);
      const without = (text: string, t: Things) =>
        Object.values(t).reduce((left, id: string) => left.replaceAll(id, 'ID'), text);
      expect([answer.status, without(answer.text, things)]).toEqual([madeUp.status, without(madeUp.text, made)]);
      return;
    }
    expect(answer.status).toBe(200);
    for (const mark of marks) expect(answer.text).not.toContain(mark);
    if (who === 'another organisation') expect(answer.text).not.toContain(owner.accountId);
    if (!entry.headers) return;
    expect(answer.headers.get('idempotent-replayed')).toBeNull();
    expect(answer.headers.get('x-request-id')).not.toBe(answers.get(entry.path(things))!.headers.get('x-request-id'));
  });
});

test('nobody at all gets 401, but where there is nothing of anybody', async () => {
  for (const [name, entry] of Object.entries({ ...CASES, ...FURTHER })) {
    const expected = entry.how === 'open' ? 200 : 401;
    for (const key of [null, 'tg_live_nonsense', SERVICE_TOKEN]) {
      expect([name, key, (await send(name, entry, key, things)).status]).toEqual([name, key, expected]);
    }
  }
});

test('what services ask each other is no address of the host, and answers no key at its own', async () => {
  const paths = [...serviceRoutes().internal, 'POST /ingest', 'POST /internal/bodies', 'POST /internal/ground'];
  expect(paths.length).toBeGreaterThan(4);
  for (const name of new Set(paths)) {
    const path = name.slice(name.indexOf(' ') + 1).replace(/:\w+/g, things.file);
    const body = methodOf(name) === 'DELETE' ? undefined : {};
    for (const key of strangers.values()) {
      expect([name, (await world.call(key, methodOf(name), path, body)).status]).toEqual([name, 404]);
      for (const url of Object.values(world.services)) {
        const headers = { authorization: `Bearer ${key}`, 'x-tollgate-account-id': owner.accountId };
        const answer = await fetch(url + path, { method: methodOf(name), headers });
        await answer.arrayBuffer();
        expect([401, 404]).toContain(answer.status);
      }
    }
  }
});

test('after all that the owner has everything as it was, and was billed for no stranger', async () => {
  const { file, store, batch, request } = things;
  for (const path of [`/v1/files/${file}`, `/v1/batches/${batch}`, `/v1/requests/${request}`]) {
    expect((await world.call(owner.key, 'GET', path)).status).toBe(200);
  }
  expect((await world.call(owner.key, 'GET', `/v1/vector_stores/${store}`)).json).toMatchObject({ name: 'birds' });
  const found = await world.call(owner.key, 'POST', `/v1/vector_stores/${store}/search`, {
    query: 'heron',
    mode: 'text',
  });
  expect(found.json.data).toHaveLength(1);
  const { data } = (await world.call(owner.key, 'GET', '/v1/requests?limit=100')).json;
  const own = new Set([...answers.values()].map(({ headers }) => headers.get('x-request-id')));
  const generated = data.filter(({ id, endpoint }: { id: string; endpoint: string }) => own.has(id) && endpoint);
  expect(generated).toHaveLength(own.size);
  for (const [path, first] of answers) {
    const again = await world.call(owner.key, 'POST', path, GENERATIONS[path], repeat(path));
    expect([again.text, again.headers.get('idempotent-replayed')]).toEqual([first.text, 'true']);
  }
});

test('every answer has the shape that the OpenAPI document tells', async () => {
  const { file, store, fileBatch } = things;
  const ask = (method: string, path: string, body?: unknown) => world.call(owner.key, method, path, body);
  const at = `/v1/vector_stores/${store}`;
  for (const path of [
    '',
    '/files',
    `/files/${file}`,
    `/files/${file}/content`,
    `/file_batches/${fileBatch}`,
    `/file_batches/${fileBatch}/files`,
  ]) {
    expect([path, (await ask('GET', at + path)).status]).toEqual([path, 200]);
  }
  await ask('POST', at, { name: 'birds', metadata: { a: 'b' }, expires_after: { anchor: 'last_active_at', days: 7 } });
  await ask('POST', `${at}/files/${file}`, { attributes: { a: 'b', c: 1, d: true } });
  await ask('POST', `${at}/file_batches/${fileBatch}/cancel`, {});
  await ask('GET', at);
  await ask('GET', '/v1/vector_stores');
  await ask('GET', '/v1/batches');
  for (const path of ['', '/content']) await ask('GET', `/v1/files/${file}${path}`);
  await ask('GET', '/v1/usage?by=hour');
  await ask('GET', '/v1/key/history');
  await ask('GET', `/v1/requests/${things.request}?include=body`);
  const spare = await world.upload(owner.key, 'spare.txt', 'Nothing of note.', 'assistants');
  const other = (await ask('POST', '/v1/vector_stores', { name: 'spare' })).json.id;
  await ask('POST', `/v1/vector_stores/${other}/files`, { file_id: spare });
  await ask('DELETE', `/v1/vector_stores/${other}/files/${spare}`);
  await ask('DELETE', `/v1/vector_stores/${other}`);
  await ask('DELETE', `/v1/files/${spare}`);
  expect([...watch.faults]).toEqual([]);
  // A batch that is over cannot be cancelled; the rest was all answered.
  const all = Object.values(document.paths).flatMap((of) => Object.values(of).map(({ operationId }) => operationId));
  expect(all.filter((name) => !watch.seen.has(name))).toEqual(['batches.cancel']);
});

describe('what was said and shown', () => {
  /** Text -> where it may lie, and must: else this looks in the wrong places. */
  const allowed = new Map<string, RegExp[]>([
    ['canarydocument', [/^files /, /^table chunks$/, /^table terms$/]],
    ['canary-batch-line-44', [/^files /]],
  ]);
  let places: Map<string, string>;

  beforeAll(async () => {
    const { key } = owner;
    const chat = (body: unknown, headers: Record<string, string> = {}) =>
      world.call(key, 'POST', '/v1/chat/completions', body, headers);
    const say = (content: string, more: object = {}) => hello({ messages: [{ role: 'user', content }], ...more });
    await chat(say('canary-plain-prompt-01'));
    await chat(say('canary-streamed-prompt-02', { stream: true }));
    await chat(say('canary-repeat-prompt-03', { stream: true }), { 'idempotency-key': 'canary-name-of-repeat-04' });
    await chat(say('canary-refused-prompt-05', { max_tokens: -1 }));
    await chat(say('canary-model-prompt-06', { model: 'no/such-model' }));
    await chat(say('who is canary-question-07?', { rag_params: { vector_store_ids: [things.store] } }));
    await chat(`{"messages": "canary-broken-json-08`);
    const schema = { type: 'object', properties: { a: { const: 'canary-schema-text-09' } }, required: ['a'] };
    const response_format = { type: 'json_schema', json_schema: { name: 's', schema } };
    await chat(say('canary-schema-prompt-10', { response_format }));
    const tools = [{ type: 'function', function: { name: 'canary_tool_name_11', parameters: { type: 'object' } } }];
    await chat(say('canary-tool-prompt-12', { tools, tool_choice: 'auto' }));
    await world.call(key, 'POST', '/v1/quote', say('canary-quoted-prompt-13'));
    await world.call(key, 'POST', '/v1/embeddings', { model: EMBEDDER, input: 'canary-embedded-text-14' });
    await world.call(key, 'POST', `/v1/vector_stores/${things.store}/search`, { query: 'canary-searched-text-15' });
    await world.call(key, 'POST', '/v1/batches', { input_file_id: 'canary-wrong-field-16', endpoint: 'x' });
    await owner.browser.post(`/api/accounts/${owner.accountId}/playground/chat`, say('canary-playground-prompt-17'));
    // A key in the address, where it does not belong.
    await world.call(null, 'GET', `/v1/models?api_key=${strangers.get('another project')}`);
    await world.call(null, 'GET', `/v1/requests/${strangers.get('another organisation')}`);
    await eventually('spans were sent', () => spans.includes('chat/completions'));
    await eventually('every request is posted and every line of a batch is over', async () => {
      places = await atRest({
        ...world.h,
        folders: { spool: world.spool, files: world.files },
        texts: { log: world.logs(), spans },
      });
      const { log, lines } = { log: places.get('table request_log')!, lines: places.get('table batch_lines')! };
      return log.includes('/embeddings') && !lines.includes('"pending"');
    });
  });

  test('is found where it is kept on purpose: the search sees', () => {
    for (const [text, where] of allowed) {
      const found = placesOf(text, places);
      for (const pattern of where)
        expect([text, pattern, found.some((place) => pattern.test(place))]).toEqual([text, pattern, true]);
    }
    expect([...places.keys()].some((place) => /^redis (tg-queue|bull):/.test(place))).toBe(true);
    expect(places.get('spans')).toContain('gen_ai.request.model');
    expect(places.get('table kept_bodies')!.length).toBeGreaterThan(100);
    expect([...places.keys()].some((place) => place.includes(':repeat-parts:'))).toBe(true);
  });

  test('lies nowhere else: no log line, span, table, key of Redis, queue job, spool or file', () => {
    const said = [...JSON.stringify(GENERATIONS).matchAll(/canary-[\w-]+/g)].map(([text]) => text);
    const numbered = [
      ...['plain-prompt-01', 'streamed-prompt-02', 'repeat-prompt-03', 'name-of-repeat-04', 'refused-prompt-05'],
      ...['model-prompt-06', 'question-07', 'broken-json-08', 'schema-text-09', 'schema-prompt-10', 'tool-prompt-12'],
      ...['quoted-prompt-13', 'embedded-text-14', 'searched-text-15', 'wrong-field-16', 'playground-prompt-17'],
    ].map((rest) => `canary-${rest}`);
    const answered = [...answers.values()].flatMap(({ json }) => textsOf(json));
    // Some answers are too short to be told from other text.
    expect(answered.length).toBeGreaterThan(1);
    const found: string[] = [];
    for (const text of [...said, ...numbered, 'canary_tool_name_11', ...answered, ...allowed.keys()]) {
      const where = allowed.get(text) ?? [];
      const wrong = placesOf(text, places).filter((place) => !where.some((pattern) => pattern.test(place)));
      found.push(...wrong.map((place) => `${text} in ${place}`));
    }
    expect(found).toEqual([]);
  });

  test('no credential lies anywhere', () => {
    const secrets = new Map([
      ...[...strangers].map(([who, key]): [string, string] => [`key of ${who}`, key]),
      ['key', owner.key],
      ['session', owner.browser.cookie!],
      ['CSRF token', owner.browser.csrf!],
      ['password', PASSWORD],
      ['admin token', TOKEN],
      ['service token', SERVICE_TOKEN],
      ['acting key', 'tga_eyJ'],
      ['header', 'Bearer tg_'],
    ]);
    const found = [...secrets].flatMap(([what, text]) => placesOf(text, places).map((place) => `${what} in ${place}`));
    expect(found).toEqual([]);
  });
});

/** What the model said, in any endpoint's answer: long enough to be found by chance nowhere. */
function textsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    typeof inner === 'string' && ['content', 'text'].includes(name) && inner.length > 11 ? [inner] : textsOf(inner),
  );
}
