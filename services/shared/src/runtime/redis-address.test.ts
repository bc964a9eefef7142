import { expect, test } from '@jest/globals';
import { redisAddress } from './redis-address.ts';

test('an address without a word about a cluster stays as it is, to the letter', () => {
  for (const url of ['redis://127.0.0.1:6379', 'rediss://:p%40ss@redis.example.com:6380/2?family=6']) {
    expect(redisAddress(url)).toEqual({ url, cluster: null });
  }
  expect(redisAddress('redis://a:1?cluster=false')).toEqual({ url: 'redis://a:1', cluster: null });
});

test('user, password and TLS of a cluster hold for every node, and nodes are reached by the names of their certificates', () => {
  const { url, cluster } = redisAddress('rediss://app:p%40ss@redis.example.com?cluster=true');
  expect(url).toBe('rediss://app:p%40ss@redis.example.com');
  expect(cluster).toMatchObject({
    nodes: [{ host: 'redis.example.com', port: 6379 }],
    redisOptions: { username: 'app', password: 'p@ss', tls: {} },
  });
  const seen: unknown[] = [];
  cluster!.options.dnsLookup!('node-2.example.com', (...answer) => seen.push(answer));
  expect(seen).toEqual([[null, 'node-2.example.com']]);
});

test('without TLS and password nothing is set', () => {
  expect(redisAddress('redis://[::1]:7000?cluster=1').cluster).toEqual({
    nodes: [{ host: '::1', port: 7000 }],
    redisOptions: {},
    options: {},
  });
});
