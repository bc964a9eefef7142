import { afterAll, expect, test } from '@jest/globals';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';
import { isOlder } from './check.ts';
import { checkNode } from './node.ts';
import { checkRedis, judgeMode, judgeRedis, type RedisFacts } from './redis.ts';

const good: RedisFacts = {
  version: '8.2.2',
  isValkey: false,
  isNode: false,
  maxmemoryPolicy: 'noeviction',
  appendonly: 'yes',
  replBacklogTtl: '0',
  medianPingMs: 0.2,
  skewMs: 3,
};
const bad = (facts: Partial<RedisFacts>) =>
  judgeRedis({ ...good, ...facts })
    .filter((check) => !check.ok)
    .map((check) => check.name);

test('versions compare by their numbers', () => {
  expect([isOlder('7.0.15', '7.2'), isOlder('26.10.0', '26.9.9'), isOlder('7.0', '7.0.0')]).toEqual([
    true,
    false,
    false,
  ]);
});

test('each Redis setting that loses money is a failed check with a fix', () => {
  expect(bad({})).toEqual([]);
  expect(bad({ version: '6.2.7' })).toEqual(['redis version']);
  expect(bad({ maxmemoryPolicy: 'allkeys-lru' })).toEqual(['redis maxmemory-policy']);
  expect(bad({ appendonly: 'no' })).toEqual(['redis appendonly']);
  expect(bad({ replBacklogTtl: '3600' })).toEqual(['redis repl-backlog-ttl']);
  expect(bad({ medianPingMs: 12 })).toEqual(['redis latency']);
  // Routers that wait longer have room for more.
  expect(judgeRedis({ ...good, medianPingMs: 12 }, 2_000).every(({ ok }) => ok)).toBe(true);
  expect(bad({ skewMs: -4_000 })).toEqual(['redis clock']);
  for (const check of judgeRedis({ ...good, maxmemoryPolicy: 'volatile-lru' }))
    if (!check.ok) expect(check.fix).toBeTruthy();
});

test('a managed server that hides its settings passes with a word', () => {
  const checks = judgeRedis({ ...good, maxmemoryPolicy: null, appendonly: null, replBacklogTtl: null });
  expect(checks.every((check) => check.ok)).toBe(true);
  expect(checks.filter((check) => check.detail.includes('not told'))).toHaveLength(3);
});

test('an address that names a cluster where there is none, or the other way round, is said with what to change', () => {
  expect(judgeMode(true)).toMatchObject({ ok: false, fix: 'end REDIS_URL with ?cluster=true' });
  expect(judgeMode(false)).toMatchObject({ ok: false, fix: expect.stringContaining('take ?cluster=true off') });
});

test('an old Node fails; one below the security floor passes with a note', () => {
  expect(checkNode('22.20.0').ok).toBe(false);
  expect(checkNode('26.10.0')).toMatchObject({ ok: true, fix: expect.stringContaining('26.12.1') });
  expect(checkNode('26.12.1')).toMatchObject({ ok: true, fix: null });
});

let redis: TestRedis | undefined;
afterAll(() => redis?.stop());

test('a real Redis is asked and judged', async () => {
  redis = await startRedis({ args: ['--appendonly', 'yes', '--repl-backlog-ttl', '0'] });
  const checks = await checkRedis(redis.url);
  expect(checks.filter((check) => !check.ok && check.name !== 'redis latency')).toEqual([]);
  expect(checks.map((check) => check.name)).toContain('redis repl-backlog-ttl');
  expect(await checkRedis(`${redis.url}?cluster=true`)).toEqual([judgeMode(false)]);
  await redis.client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  expect((await checkRedis(redis.url)).find((check) => check.name === 'redis maxmemory-policy')?.ok).toBe(false);
  await redis.kill9();
  expect(await checkRedis(redis.url)).toMatchObject([{ name: 'redis', ok: false }]);
});
