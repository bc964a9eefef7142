import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startRedis, type TestRedis } from '../testkit/redis.ts';
import { compileScript, loadScript, runScript, scriptNames } from './script-loader.ts';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

test('every script loads, names its keys and its answer, and Redis accepts it', async () => {
  expect(scriptNames()).toContain('admit');
  for (const name of scriptNames()) {
    const script = loadScript(name);
    expect(script.text).not.toContain('@include');
    expect(await redis.client.script('LOAD', script.text)).toBe(script.sha);
  }
});

test('scripts that end or give back run at maxmemory; those that take do not', () => {
  const flagged = scriptNames().filter((name) => loadScript(name).text.startsWith('#!lua flags=allow-oom\n'));
  expect(flagged).toEqual(
    expect.arrayContaining(['settle', 'void', 'reap', 'heartbeat', 'drain_ack', 'reclaim', 'close_lease']),
  );
  for (const name of ['admit', 'grant', 'ensure_era']) expect(flagged).not.toContain(name);
});

test('a server that does not know the script is told it', async () => {
  const script = loadScript('read_holds');
  await redis.client.script('FLUSH');
  expect(await runScript(redis.client, script, ['tg:{b0}:holds'], [])).toHaveLength(3);
  expect(await runScript(redis.client, script, ['tg:{b0}:holds'], [])).toHaveLength(3);
});

test('a script without a full header, or called with another number of keys, is a mistake', async () => {
  expect(() => compileScript('x', '\n--- KEYS: none\n--- ARGV: none\nreturn 1')).toThrow('RETURNS');
  await expect(runScript(redis.client, loadScript('read_holds'), [], [])).rejects.toThrow('takes 1 keys');
});

test('money that a script computes and returns stays exact up to 2^53 - 1', async () => {
  // Through HSET with a computed number, as all scripts write money; it comes back as the text that Redis holds. (As an
  // integer ioredis 6 would read 2^53 - 1 as 2^53.)
  const exact = compileScript(
    'exact',
    '\n--- KEYS: hash\n--- ARGV: number\n--- RETURNS: number\n--- @include lease\n' +
      "local n = tonumber(ARGV[1])\nlocal write = redis['call']\n" +
      "write('HSET', KEYS[1], 'leaseId', 'l', 'seq', n, 'history', 'h', 'exp', n - 1 + 1, 'granted', n, 'free', n, 'held', 0," +
      " 'spent', 0, 'returned', 0)\nreturn lease_view(KEYS[1])\n",
  );
  for (const number of ['150000000000001', '100000000000000', '9007199254740991', '0']) {
    const view = (await runScript(redis.client, exact, ['h'], [number])) as string[];
    expect([view[1], view[3], view[4]]).toEqual([number, number, number]);
  }
});
