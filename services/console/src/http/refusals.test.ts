import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ERROR_CODES } from '../errors/pages.ts';
import { type Harness, startHarness, TOKEN } from '../testing/harness.ts';

let console_: Harness;
beforeAll(async () => {
  console_ = await startHarness();
});
afterAll(() => console_?.stop());

const error = (code: string, extra: object = {}) => ({
  error: expect.objectContaining({ code, message: expect.any(String), type: expect.any(String), ...extra }),
});

describe('who may call', () => {
  test.each(['/api/keys', '/api/accounts', '/api/models', '/api/workers', '/api/nothing'])(
    'without a token %s is 401, whatever the address',
    async (path) => {
      const answer = await fetch(console_.url + path);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      expect(await answer.json()).toEqual(error('missing_api_key'));
    },
  );

  test('a wrong token is 401 before the body is read', async () => {
    const answer = await console_.call('POST', '/api/keys', `{"name":"${'x'.repeat(300_000)}"}`, {
      authorization: `Bearer ${TOKEN}x`,
    });
    expect(answer.status).toBe(401);
    expect(answer.body).toEqual(error('invalid_api_key'));
  });

  test('a token of other bytes than ASCII is 401, not a failure', async () => {
    const status = await raw('GET', '/api/keys', { authorization: 'Bearer \u00ff\u00fe' });
    expect(status).toBe(401);
  });

  test('a change that a browser sends from a foreign page is 403', async () => {
    const foreign = { origin: 'https://evil.example' };
    const answer = await console_.post('/api/accounts', { name: 'x' }, foreign);
    expect(answer.status).toBe(403);
    expect(answer.body).toEqual(error('endpoint_not_allowed'));
    expect((await console_.call('GET', '/api/accounts', undefined, foreign)).status).toBe(200);
    expect((await console_.post('/api/accounts', { name: 'x' }, { origin: console_.url })).status).toBe(201);
    expect((await console_.post('/api/accounts', { name: 'x' }, { origin: 'null' })).status).toBe(403);
  });
});

describe('what bad input gets', () => {
  test('an unknown address is 404, a wrong method 405 with Allow', async () => {
    expect((await console_.get('/api/nothing')).body).toEqual(error('not_found'));
    const answer = await console_.call('DELETE', '/api/keys');
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('POST, GET, HEAD');
    expect((await console_.call('PUT', '/api/models/a/b/prices', {})).status).toBe(405);
  });

  test('broken JSON is 400, another media type or a compressed body 415, too large 413', async () => {
    expect((await console_.post('/api/accounts', '{"name":')).body).toEqual(error('invalid_json'));
    const text = await console_.post('/api/accounts', 'name=x', { 'content-type': 'text/plain' });
    expect([text.status, text.body.error.code]).toEqual([415, 'unsupported_media_type']);
    const zipped = await console_.post('/api/accounts', '{"name":"x"}', { 'content-encoding': 'gzip' });
    expect([zipped.status, zipped.body.error.code]).toEqual([415, 'unsupported_media_type']);
    const large = await console_.post('/api/accounts', { name: 'x'.repeat(70_000) });
    expect([large.status, large.body.error.code]).toEqual([413, 'body_too_large']);
  });

  test('every wrong field is named by its path', async () => {
    const answer = await console_.post('/api/accounts', {
      name: '',
      limits: { rpm: 0, tpm: 'many' },
      colour: 'red',
      email: 'nobody',
    });
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ code: 'invalid_request', type: 'invalid_request_error' });
    const named = answer.body.error.metadata.issues.map((issue: { param: string }) => issue.param);
    expect(named.sort()).toEqual(['colour', 'email', 'limits.rpm', 'limits.tpm', 'name']);
  });

  test.each([
    ['control characters', { name: 'a\u0000b' }],
    ['a lone surrogate', { name: '\ud800' }],
    ['null', null],
    ['an array', []],
    ['a number', 7],
    ['a prototype', JSON.parse('{"name":"x","__proto__":{"a":1}}')],
  ])('%s is 400', async (_what, body) => {
    const answer = await console_.post('/api/accounts', JSON.stringify(body));
    expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_request']);
  });

  test.each([
    'limit=0',
    'limit=1001',
    'limit=x',
    'limit=1&limit=2',
    'cursor=%00',
    'cursor=abc',
    'cursor=',
    'colour=red',
  ])('a list with ?%s is 400', async (query) => {
    const answer = await console_.get(`/api/accounts?${query}`);
    expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_request']);
  });

  test('an id of the wrong shape names nothing: 404', async () => {
    for (const path of ['/api/keys/x', '/api/keys/acct_1', '/api/accounts/%00', '/api/accounts/acct_1/usage']) {
      expect((await console_.get(path)).status).toBe(404);
    }
    expect((await console_.get('/api/keys/%E0%A4%A')).status).toBe(400);
  });
});

describe('every answer', () => {
  test('carries a request id and the security headers, errors too', async () => {
    for (const path of ['/api/keys', '/api/nothing', '/healthz', '/openapi.json', '/docs/errors/no_worker']) {
      const { headers } = await console_.get(path);
      expect(headers.get('x-request-id')).toMatch(/^req_[0-9A-Za-z]{20}$/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });

  test('probes, the API document and error pages need no token', async () => {
    const open = async (path: string) => (await fetch(console_.url + path)).status;
    expect(await open('/healthz')).toBe(200);
    expect(await open('/readyz')).toBe(200);
    expect(await open('/openapi.json')).toBe(200);
    for (const code of ERROR_CODES) expect(await open(`/docs/errors/${code}`)).toBe(200);
    expect(await open('/docs/errors/no_such_code')).toBe(404);
    const markdown = await fetch(`${console_.url}/docs/errors/no_worker.md`);
    expect(markdown.headers.get('content-type')).toContain('text/markdown');
    expect(await markdown.text()).toContain('## What to do');
  });
});

describe('the log', () => {
  test('names who changed what, and holds neither the token nor a key', async () => {
    const { body } = await console_.post('/api/keys', { name: 'logged', creditUsd: '1' });
    await console_.post(`/api/keys/${body.keyId}/revoke`);
    const logs = console_.logs();
    expect(logs).toContain('"operation":"keys.create"');
    expect(logs).toContain('"actor":"admin-token"');
    expect(logs).toContain(body.keyId);
    expect(logs).not.toContain(TOKEN);
    expect(logs).not.toContain(body.key);
    expect(logs).not.toContain(body.key.slice(21, 53));
  });
});

/** For header bytes that `fetch` refuses to send. */
function raw(method: string, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(console_.url + path, { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
