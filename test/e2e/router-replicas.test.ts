/** Two routers over one Redis: each knows what the other sent where, and what happens when they do not hear each other. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { Registrar } from '@tollgate/shared/redis/registrar';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { chat, eventuallyQuiet, hello, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

const PATIENCE_MS = 60_000;
const long = { deadlineMs: 30_000 };
let around: Surroundings;
let workers: Devworker[] = [];
let routers: RunningRouter[] = [];
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000n);
}, PATIENCE_MS);

afterEach(async () => {
  for (const router of routers) await router.stop();
  for (const worker of workers) await worker.close().catch(() => {});
  routers = [];
  workers = [];
});

afterAll(() => around.stop());

const start = async (urls: string[], env: Record<string, string> = {}) => {
  const router = await around.router(urls, env);
  routers.push(router);
  return router;
};
const worker = async (options: Parameters<typeof startDevworker>[0]) => {
  const started = await startDevworker(options);
  workers.push(started);
  return started;
};
const sum = (counts: number[]) => counts.reduce((a, b) => a + b, 0);
const ask = (router: RunningRouter) => chat(router, key.text, hello({ max_tokens: 2 }));

/** Opens a stream and answers how to end it. */
async function open(router: RunningRouter): Promise<() => Promise<void>> {
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
    body: JSON.stringify(hello({ stream: true, max_tokens: 400 })),
  });
  expect(response.status).toBe(200);
  const reader = response.body!.getReader();
  await reader.read();
  return () => reader.cancel();
}

test(
  "each router counts the other's requests while they run, and no longer; also those from before it came",
  async () => {
    const slow = await worker({ speed: 0.01 });
    const a = await start([slow.url]);
    const streams = [await open(a), await open(a)];
    const b = await start([slow.url]);
    await eventually('b knows what ran before it came', () => b.others().inFlight === 2, long);
    expect(b.others().routers).toBe(1);
    streams.push(await open(b));
    await eventually('a knows of b', () => a.others().inFlight === 1, long);
    // What routers tell the console is their own part.
    expect(sum(a.counters().workers)).toBeGreaterThanOrEqual(2);
    expect(a.counters().running + b.counters().running).toBe(3);
    for (const end of streams) await end();
    await eventually('nothing is left in either', () => a.others().inFlight === 0 && b.others().inFlight === 0, long);
    await eventuallyQuiet(a);
    await eventuallyQuiet(b);
    await b.stop();
    await eventually('b said good-bye', () => a.others().routers === 0, long);
  },
  PATIENCE_MS,
);

test(
  'after Redis was away they hear each other again, and all of it',
  async () => {
    const slow = await worker({ speed: 0.01 });
    const [a, b] = [await start([slow.url]), await start([slow.url])];
    await eventually('they hear each other', () => a.others().routers === 1 && b.others().routers === 1, long);
    const end = await open(a);
    await eventually('b knows', () => b.others().inFlight === 1, long);
    around.redis.freeze();
    await eventually('b forgets whom it does not hear', () => b.others().routers === 0, long);
    expect(b.others().inFlight).toBe(0);
    around.redis.thaw();
    await eventually('b knows again', () => b.others().inFlight === 1, long);
    await end();
    await eventually('and it ends', () => b.others().inFlight === 0, long);
    await eventuallyQuiet(a);
  },
  PATIENCE_MS,
);

test(
  'switched off, a router says nothing and counts nobody',
  async () => {
    const slow = await worker({ speed: 0.01 });
    const a = await start([slow.url]);
    const b = await start([slow.url], { TOLLGATE_SHARE_BOOKS: 'off' });
    const end = await open(b);
    const other = await start([slow.url]);
    await eventually('the third is heard', () => a.others().routers === 1, long);
    expect([a.others().inFlight, b.others()]).toEqual([0, { routers: 0, inFlight: 0 }]);
    await end();
    await eventuallyQuiet(b);
    await other.stop();
  },
  PATIENCE_MS,
);

test(
  'a worker that registers gets traffic, one that leaves gets no more, one that falls silent is forgotten',
  async () => {
    const router = await start([]);
    expect((await ask(router)).status).toBe(503);
    const quick = await worker({ speed: 20 });
    const registrar = new Registrar(new FleetStore(around.redis.client), systemClock, {
      registration: { url: quick.url, engine: 'vllm' },
      ttlMs: 2_000,
    });
    await registrar.announce();
    await eventually('it serves', async () => (await ask(router)).status === 200, long);
    await registrar.leave();
    await eventually('nothing new', async () => (await ask(router)).status === 503, long);
    await registrar.announce();
    await eventually('it serves again', async () => (await ask(router)).status === 200, long);
    await around.directory.publishDraining([quick.url]);
    await eventually('drained by hand', async () => (await ask(router)).status === 503, long);
    // The drain outlives the router.
    await router.stop();
    const next = await start([]);
    await eventually('it is known there', () => next.counters().workers.length === 1, long);
    expect((await ask(next)).status).toBe(503);
    await around.directory.publishDraining([]);
    await eventually('undrained', async () => (await ask(next)).status === 200, long);
    await around.redis.client.flushall();
    await registrar.withdraw();
    await eventually('forgotten', () => next.counters().workers.length === 0, long);
  },
  PATIENCE_MS,
);
