/** One behaviour for all queues while Redis is away: nobody waits for it, nothing that runs is lost, a stop ends. */
import { afterEach, expect, jest, test } from '@jest/globals';
import { QUEUE_PREFIX } from '../redis/keys.ts';
import { systemClock } from '../runtime/clock.ts';
import { eventually } from '../testkit/eventually.ts';
import { startRedis, type TestRedis } from '../testkit/redis.ts';
import { startRedisCluster } from '../testkit/redis-cluster.ts';
import { type JobLine, type JobLineOptions, openJobLine } from './job-line.ts';
import type { QueueDefinition } from './queues.ts';

// A call into a Redis that is lost takes its 2 s.
jest.setTimeout(120_000);

type Payload = { n: number };
const definition: QueueDefinition<Payload> = {
  name: 'test',
  attempts: 1,
  backoffMs: 10,
  keepCompleted: 0,
  keepFailed: 0,
};

let redis: TestRedis;
let line: JobLine<Payload> | null = null;
afterEach(async () => {
  await line?.stop();
  line = null;
  await redis?.stop();
});

async function opened(more: Partial<JobLineOptions<Payload>> = {}) {
  redis = await startRedis();
  const ran: number[] = [];
  let ready = 0;
  line = openJobLine<Payload>({
    definition,
    redisUrl: redis.url,
    keyPrefix: QUEUE_PREFIX,
    connectionName: 'test',
    run: async ({ data }) => void ran.push(data.n),
    concurrency: 1,
    clock: systemClock,
    onReady: () => ready++,
    onError: () => {},
    ...more,
  });
  await eventually('Redis is there', () => ready === 1);
  return { line, ran, ready: () => ready };
}
const job = (n: number, id = `job-${n}`) => ({ name: 'count', data: { n }, options: { jobId: id } });

test('jobs run, one for each id', async () => {
  const { line, ran } = await opened();
  expect(await line.add([job(1), job(2), job(2)])).toBe(true);
  await eventually('both ran', () => ran.length === 2);
  expect(ran).toEqual([1, 2]);
  expect(await line.add([])).toBe(true);
});

test('a schedule is one however often it is written', async () => {
  const { line, ran } = await opened();
  const entry = { id: 'tick', everyMs: 3_600_000, data: { n: 7 } };
  for (let i = 0; i < 3; i++) expect(await line.schedule([entry])).toBe(true);
  await eventually('its first job ran', () => ran.length > 0);
  expect(await redis.client.zcard(`${QUEUE_PREFIX}:test:repeat`)).toBe(1);
});

test('while Redis is away nothing is added and nobody waits; when it is back its users are told, each time', async () => {
  const { line, ran, ready } = await opened();
  for (let loss = 1; loss <= 2; loss++) {
    await redis.kill9();
    await eventually('the loss is noticed', async () => !(await line.add([job(loss)])));
    expect(await line.schedule([{ id: 'tick', everyMs: 1_000, data: { n: 0 } }])).toBe(false);
    await redis.start();
    await eventually('it is told', () => ready() === loss + 1);
    await eventually('jobs run again', async () => {
      await line.add([job(100 + loss)]);
      return ran.includes(100 + loss);
    });
  }
});

test('a Redis that hangs in the middle of a call costs 2 s, not the caller', async () => {
  const { line } = await opened();
  redis.freeze();
  expect(await line.add([job(1)])).toBe(false);
  redis.thaw();
});

test('a stop waits for what runs', async () => {
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  let state = 'none';
  const { line } = await opened({
    run: async () => {
      state = 'running';
      await mayEnd;
      state = 'ended';
    },
  });
  await line.add([job(1)]);
  await eventually('it runs', () => state === 'running');
  const stopped = line.stop();
  end();
  await stopped;
  expect(state).toBe('ended');
  expect(await line.add([job(2)])).toBe(false);
});

test('a stop ends although Redis is gone and a job hangs', async () => {
  const { promise: longJob, resolve: end } = Promise.withResolvers<void>();
  let runs = false;
  const { line } = await opened({
    run: () => {
      runs = true;
      return longJob;
    },
  });
  await line.add([job(1)]);
  await eventually('it runs', () => runs);
  await redis.kill9();
  await eventually('the loss is noticed', async () => !(await line.add([job(2)])));
  await line.stop();
  // The job is still there: only now may it end, so that nothing of it outlives the test.
  end();
});

test('a job that fails is told', async () => {
  const failures: string[] = [];
  const { line } = await opened({
    run: async () => {
      throw new Error('no');
    },
    onFailed: (failed, error) => failures.push(`${failed?.data.n} ${error.message}`),
  });
  await line.add([job(3)]);
  await eventually('it is told', () => failures.length > 0);
  expect(failures).toEqual(['3 no']);
});

test('on a Redis Cluster jobs and schedules run, all of a queue on one node', async () => {
  const cluster = await startRedisCluster(2, { password: 'secret' });
  const ran: number[] = [];
  let ready = 0;
  const onCluster = openJobLine<Payload>({
    definition,
    redisUrl: cluster.url,
    keyPrefix: QUEUE_PREFIX,
    connectionName: 'test',
    run: async ({ data }) => void ran.push(data.n),
    concurrency: 1,
    clock: systemClock,
    onReady: () => ready++,
    onError: () => {},
  });
  try {
    await eventually('the cluster is there', () => ready === 1);
    expect(await onCluster.add([job(1), job(2)])).toBe(true);
    expect(await onCluster.schedule([{ id: 'tick', everyMs: 3_600_000, data: { n: 7 } }])).toBe(true);
    await eventually('all ran', () => ran.length === 3);
    const home = cluster.nodes[await cluster.nodeOf(`{${QUEUE_PREFIX}}`)]!;
    expect(await home.client.zcard(`{${QUEUE_PREFIX}}:test:repeat`)).toBe(1);
  } finally {
    await onCluster.stop();
    await cluster.stop();
  }
});
