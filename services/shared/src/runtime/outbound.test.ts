import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isInside, postOutside, TargetRefused, targetProblem } from './outbound.ts';

describe('addresses that no customer may reach through us', () => {
  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    'fc00::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'not an address',
  ])('%s', (address) => {
    expect(isInside(address)).toBe(true);
  });

  test.each(['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111'])('%s is outside', (address) => {
    expect(isInside(address)).toBe(false);
  });
});

test.each([
  ['https://example.com/x', false],
  ['http://127.0.0.1/', true],
  ['http://[::1]:80/', true],
  ['http://localhost/', true],
  ['http://redis.internal/', true],
  // Other spellings of 127.0.0.1: the address parser makes them one.
  ['http://2130706433/', true],
  ['http://0x7f.1/', true],
  ['http://0177.0.0.1/', true],
  ['ftp://example.com/', true],
  ['https://user:pw@example.com/', true],
])('%s refused: %s', (url, refused) => {
  expect(targetProblem(url, false) !== null).toBe(refused);
});

describe('a request', () => {
  let server: Server;
  let port = 0;
  const seen: { url: string | undefined; host: string | undefined; body: string }[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        seen.push({ url: request.url, host: request.headers.host, body });
        if (request.url === '/redirect') response.writeHead(302, { location: '/elsewhere' });
        else response.writeHead(204);
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => void server.close());

  const request = (url: string, more = {}) =>
    postOutside({ url, headers: {}, body: 'x', deadlineMs: 5_000, allowInside: false, ...more });

  test('a name that leads inside is refused, also when only one of its addresses does', async () => {
    const inside = { resolve: async () => [{ address: '127.0.0.1', family: 4 }] };
    await expect(request(`http://hooks.example:${port}/`, inside)).rejects.toThrow(TargetRefused);
    const both = {
      resolve: async () => [
        { address: '1.1.1.1', family: 4 },
        { address: '10.0.0.1', family: 4 },
      ],
    };
    await expect(request(`http://hooks.example:${port}/`, both)).rejects.toThrow(TargetRefused);
    expect(seen).toEqual([]);
  });

  test('the connection goes to the address that was checked; a redirection is an answer, not a way', async () => {
    const allowed = { allowInside: true, resolve: async () => [{ address: '127.0.0.1', family: 4 }] };
    expect(await request(`http://hooks.example:${port}/hook`, allowed)).toEqual({ status: 204 });
    expect(await request(`http://hooks.example:${port}/redirect`, allowed)).toEqual({ status: 302 });
    expect(seen).toEqual([
      { url: '/hook', host: `hooks.example:${port}`, body: 'x' },
      { url: '/redirect', host: `hooks.example:${port}`, body: 'x' },
    ]);
  });
});
