import { expect, test } from '@jest/globals';
import { asHostCall } from './host-call.ts';

const ROUTER = 'https://api.example.com';
const ACCOUNT = 'acct_1';
const request = (url: string, headers: Record<string, string> = {}) => ({ url, method: 'DELETE', headers });

test('a request for the host goes through the console, its method and path in the query', () => {
  const sent = asHostCall(request(`${ROUTER}/v1/files/file_1?a=b&c=d`), ROUTER, ACCOUNT);
  const url = new URL(sent.url, 'http://console');
  expect([sent.method, url.pathname]).toEqual(['POST', `/api/accounts/${ACCOUNT}/playground/call`]);
  expect(Object.fromEntries(url.searchParams)).toEqual({ method: 'DELETE', path: '/v1/files/file_1?a=b&c=d' });
});

test.each<Record<string, string>>([
  { Authorization: 'Bearer tg_live_x' },
  { authorization: 'bearer tg_live_x' },
  { 'x-api-key': 'tg_live_x' },
])('a pasted key goes beside it and is no credential of the page: %j', (headers) => {
  const sent = asHostCall(request(`${ROUTER}/v1/key`, { ...headers, accept: 'a/b' }), ROUTER, ACCOUNT);
  expect(sent.headers).toEqual({ accept: 'a/b', 'x-playground-key': 'tg_live_x' });
});

test('what is for nobody else stays as it is', () => {
  const own = request('/v1/openapi.json');
  expect(asHostCall(own, ROUTER, ACCOUNT)).toBe(own);
  expect(asHostCall(request('https://api.example.com.evil/v1/key'), ROUTER, ACCOUNT).url).toContain('evil');
});
