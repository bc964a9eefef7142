import { afterAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { fakeClock } from './fake-clock.ts';
import { havePostgres, startPglite, startPostgres, type TestDatabase } from './postgres.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { seededRandom } from './seeded-random.ts';

describe('fake clock', () => {
  test('timers fire in order of due time, also those set by other timers', async () => {
    const clock = fakeClock(1_000);
    const seen: string[] = [];
    clock.setTimeout(() => seen.push('b'), 20);
    clock.setTimeout(() => {
      seen.push('a');
      clock.setTimeout(() => seen.push('c'), 15);
    }, 10);
    const every = clock.setInterval(() => seen.push(`t${clock.monotonicMs()}`), 8);
    await clock.advance(25);
    expect(seen).toEqual(['t8', 'a', 't16', 'b', 't24', 'c']);
    every.cancel();
    expect(clock.pendingTimers).toBe(0);
    expect(clock.nowMs()).toBe(1_025);
  });

  test('a wall clock step moves neither timers nor monotonic time', async () => {
    const clock = fakeClock(0);
    let fired = false;
    clock.setTimeout(() => {
      fired = true;
    }, 100);
    clock.stepWall(3_600_000);
    await clock.advance(99);
    expect([fired, clock.monotonicMs(), clock.nowMs()]).toEqual([false, 99, 3_600_099]);
  });

  test('an aborted sleep rejects and leaves no timer', async () => {
    const clock = fakeClock();
    const controller = new AbortController();
    const slept = clock.sleep(50, controller.signal);
    controller.abort(new Error('enough'));
    await expect(slept).rejects.toThrow('enough');
    expect(clock.pendingTimers).toBe(0);
  });
});

test('seeded randomness repeats and spreads', () => {
  const first = seededRandom(7);
  const second = seededRandom(7);
  expect([first.uuid(), first.int(1000), first.float()]).toEqual([second.uuid(), second.int(1000), second.float()]);
  const random = seededRandom(1);
  const hits = Array.from({ length: 8 }, () => 0);
  for (let i = 0; i < 8000; i++) hits[random.int(8)]! += 1;
  for (const hit of hits) expect(Math.abs(hit - 1000)).toBeLessThan(150);
});

describe('real Redis', () => {
  let redis: TestRedis | undefined;
  afterAll(() => redis?.stop());

  test('keeps its port over restart and kill, and its data when asked to persist', async () => {
    redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
    await redis.client.set('a', '1');
    await redis.restart();
    expect(await redis.client.get('a')).toBe('1');
    const before = /run_id:(\w+)/.exec(await redis.client.info('server'))![1];
    await redis.kill9();
    await redis.start();
    expect(await redis.client.get('a')).toBe('1');
    expect(/run_id:(\w+)/.exec(await redis.client.info('server'))![1]).not.toBe(before);
  });
});

describe('real databases', () => {
  const databases: TestDatabase[] = [];
  afterAll(async () => {
    for (const database of databases) await database.stop();
  });

  async function sumOnTwoConnections(url: string): Promise<string> {
    const pool = new pg.Pool({ connectionString: url, max: 2 });
    pool.on('error', () => {});
    await pool.query('CREATE TABLE t (n int8 NOT NULL)');
    await Promise.all([1, 2, 3, 4].map((n) => pool.query('INSERT INTO t VALUES ($1)', [n])));
    const { rows } = await pool.query('SELECT sum(n)::int8 AS s FROM t');
    await pool.end();
    return rows[0].s;
  }

  test('PGlite serves several pg connections', async () => {
    const database = await startPglite();
    databases.push(database);
    expect(await sumOnTwoConnections(database.url)).toBe('10');
  });

  (havePostgres() ? test : test.skip)(
    "PostgreSQL's own server starts, gives fresh databases and survives a crash",
    async () => {
      const server = await startPostgres();
      databases.push(server);
      expect(await sumOnTwoConnections(await server.createDatabase())).toBe('10');
      const url = await server.createDatabase();
      expect(await sumOnTwoConnections(url)).toBe('10');
      await server.crash();
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      expect((await client.query('SELECT count(*)::int AS c FROM t')).rows[0].c).toBe(4);
      await client.end();
    },
    60_000,
  );
});
