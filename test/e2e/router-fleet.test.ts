/** What a router knows of its workers, tells the console, and does when an operator or a crash takes one away. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, type DevworkerOptions, startDevworker } from '@tollgate/devworker/app';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import {
  CATALOG_MODEL,
  chat,
  eventuallyQuiet,
  hello,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from './router-kit.ts';

const PATIENCE_MS = 60_000;
const long = { deadlineMs: 30_000 };
let around: Surroundings;
let worker: Devworker;
let key: TestKey;
let others: Devworker[] = [];

beforeAll(async () => {
  around = await startSurroundings();
  worker = await startDevworker({ speed: 20 });
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000n);
}, PATIENCE_MS);

afterEach(async () => {
  for (const each of others) await each.close().catch(() => {});
  others = [];
});

afterAll(async () => {
  await around.stop();
  await worker.close();
});

async function another(options: DevworkerOptions): Promise<Devworker> {
  const started = await startDevworker(options);
  others.push(started);
  return started;
}

const ask = async (router: { url: string }) => (await chat(router, key.text, hello({ max_tokens: 2 }))).status;

test(
  'its view of the fleet lies in Redis for the console, and goes with a clean stop',
  async () => {
    const router = await around.router([worker.url]);
    const view = await eventually('a view with a ready worker', async () => {
      const now = (await around.directory.fleet()).views.get(router.routerId);
      return now?.workers[0]?.state === 'ready' ? now : null;
    });
    expect(view.workers).toEqual([
      expect.objectContaining({
        url: worker.url,
        state: 'ready',
        models: [CATALOG_MODEL.id],
        running: 0,
        breakerOpen: false,
      }),
    ]);
    await router.stop();
    expect((await around.directory.fleet()).views.has(router.routerId)).toBe(false);
  },
  PATIENCE_MS,
);

test(
  'a drained worker gets nothing new until the drain ends',
  async () => {
    const router = await around.router([worker.url]);
    expect(await ask(router)).toBe(200);
    await around.directory.publishDraining([worker.url]);
    await eventually('it is refused', async () => (await ask(router)) === 503, long);
    await around.directory.publishDraining([]);
    await eventually('it serves again', async () => (await ask(router)) === 200, long);
    await eventuallyQuiet(router);
    await router.stop();
  },
  PATIENCE_MS,
);

test(
  'a worker that is gone is taken out and comes back by itself',
  async () => {
    const port = await freePort();
    const mortal = await another({ port, speed: 20 });
    const router = await around.router([mortal.url]);
    expect(await ask(router)).toBe(200);
    await mortal.close();
    await eventually('no worker', async () => (await ask(router)) === 503, long);
    await another({ port, speed: 20 });
    await eventually('it serves again', async () => (await ask(router)) === 200, long);
    await eventuallyQuiet(router);
    await router.stop();
  },
  PATIENCE_MS,
);

test(
  'a worker with less context than the catalogue promises gets no traffic',
  async () => {
    const small = await another({ speed: 20, maxModelLen: 1_024 });
    const router = await around.router([small.url], { TOLLGATE_PROBE_MS: '20' });
    await eventually('it is not used', async () => (await ask(router)) === 503, long);
    await router.stop();
  },
  PATIENCE_MS,
);

test(
  'a router that is ready has examined who registered: its first request is answered',
  async () => {
    const registered = await another({ speed: 20 });
    await new FleetStore(around.redis.client).register({
      url: registered.url,
      engine: 'vllm',
      atMs: Date.now(),
      ttlMs: 600_000,
    });
    for (let i = 0; i < 3; i++) expect(await ask(await around.router([]))).toBe(200);
    await new FleetStore(around.redis.client).unregister(registered.url);
  },
  PATIENCE_MS,
);
