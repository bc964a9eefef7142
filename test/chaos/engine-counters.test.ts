/** The bills held against a worker's own counters: equal to the token, and what is not billed is told by its cause. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { differencesOf } from '@tollgate/metering/engines/difference';
import { sampleEngines } from '@tollgate/metering/engines/watch';
import { EngineCounterStore } from '@tollgate/shared/db/engine-counter-store';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { eventually } from '@tollgate/shared/testkit/eventually';
import type { TestAccount } from './metering-harness.ts';
import { ask, eventuallyPosted, MODEL, type RouterWorld, startRouterWorld } from './router-world.ts';

const HOUR_MS = 3_600_000;
let world: RouterWorld;
let folder: string;
let routerUrl: string;
let who: TestAccount;
let key: string;
let store: EngineCounterStore;

beforeAll(async () => {
  world = await startRouterWorld(50);
  folder = mkdtempSync(join(tmpdir(), 'tollgate-engines-'));
  await world.metering();
  routerUrl = (await world.startRouter(folder, { TOLLGATE_CREDIT_WAIT_MS: '20000' })).url;
  who = await world.account(1_000_000_000_000n);
  key = await world.key(who);
  store = new EngineCounterStore(world.db);
}, 120_000);
afterAll(async () => {
  await world?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, 60_000);

const fleet = () => new FleetStore(world.redis.client);

/** Samples until the store has seen so many ended requests of the worker since the first look. */
async function seen(requests: number): Promise<void> {
  await eventually(
    'the counters are seen',
    async () => {
      await sampleEngines({ db: world.db, fleet: fleet(), clock: systemClock });
      return ((await today())?.engine.requests ?? 0) >= requests;
    },
    { deadlineMs: 30_000, everyMs: 100 },
  );
}

const today = async () => {
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  return (await store.compare(hour - HOUR_MS, hour + 2 * HOUR_MS))[0];
};

test('billed tokens equal the growth of the worker counters, and a stranger at the worker is called one', async () => {
  // The first look adds nothing: from here on it is counted.
  await eventually('the first look', async () => {
    await sampleEngines({ db: world.db, fleet: fleet(), clock: systemClock });
    return (
      (
        await world.db
          .selectFrom('engine_samples' as never)
          .selectAll()
          .execute()
      ).length === 1
    );
  });
  const asked = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(routerUrl, key, 3 + i, i % 2 === 0)));
  await eventuallyPosted(world, who, asked);
  await seen(20);
  const ours = (await today())!;
  expect(ours.engine).toMatchObject(ours.billed);
  expect(ours.billed.completionTokens).toBe(asked.reduce((sum, each) => sum + each.completionTokens!, 0));
  expect(differencesOf(ours)).toEqual([]);

  const stranger = await fetch(`${world.worker.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: 'past the till' }],
      max_tokens: 40,
      ignore_eos: true,
    }),
  });
  const { usage } = (await stranger.json()) as { usage: { prompt_tokens: number } };
  await seen(21);
  expect(differencesOf((await today())!)).toEqual([
    { workerUrl: world.worker.url, kind: 'completion', cause: 'foreign', tokens: 40 },
    { workerUrl: world.worker.url, kind: 'prompt', cause: 'foreign', tokens: usage.prompt_tokens },
  ]);
});

test('an engine that began again is not counted backwards; an older look changes nothing', async () => {
  const base = { workerUrl: 'http://other', startedS: 100, requests: 5 };
  const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  await store.add({ ...base, promptTokens: 1_000, completionTokens: 500, atMs: hour + 1_000 });
  await store.add({ ...base, promptTokens: 1_100, completionTokens: 550, atMs: hour + 2_000 });
  await store.add({ ...base, promptTokens: 1_050, completionTokens: 520, atMs: hour + 1_500 });
  await store.add({ ...base, promptTokens: 1_050, completionTokens: 520, atMs: hour + 2_500 });
  await store.add({ ...base, startedS: 200, promptTokens: 30, completionTokens: 20, requests: 1, atMs: hour + 3_000 });
  const other = (await store.compare(hour, hour + HOUR_MS)).find(({ workerUrl }) => workerUrl === 'http://other')!;
  expect(other.engine).toEqual({ promptTokens: 130, completionTokens: 70, requests: 1, restarts: 1 });
});

test('workers that have been gone for long leave no rows; those that are there keep theirs', async () => {
  const day = 24 * HOUR_MS;
  const longAgo = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 40 * day;
  const look = (i: number, completionTokens: number, atMs: number) =>
    store.add({ workerUrl: `http://gone-${i}`, startedS: 1, promptTokens: 0, completionTokens, requests: 1, atMs });
  for (let i = 0; i < 20; i++) for (const tokens of [10, 20]) await look(i, tokens, longAgo + tokens);
  const then = async () => (await store.compare(longAgo, longAgo + HOUR_MS)).length;
  expect(await then()).toBe(20);
  const before = await today();
  // An hour and a last look of each.
  expect(await store.forget(longAgo + 5 * day)).toBe(40);
  expect([await then(), await today()]).toEqual([0, before]);
  expect(await store.forget(longAgo + 5 * day)).toBe(0);
});
