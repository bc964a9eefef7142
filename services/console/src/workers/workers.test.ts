import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkerSnapshot } from '@tollgate/shared/domain/worker';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { globalKeys } from '@tollgate/shared/redis/keys';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { type Harness, startHarness } from '../testing/harness.ts';
import { mergeViews, VIEW_MAX_AGE_MS } from './service.ts';

const snapshot = (url: string, over: Partial<WorkerSnapshot> = {}): WorkerSnapshot => ({
  url,
  engine: 'vllm',
  models: ['m'],
  maxModelLen: 100,
  state: 'ready',
  breakerOpen: false,
  running: 0,
  waiting: 0,
  pendingPrefillTokens: 0,
  kvUsage: null,
  maxConcurrency: null,
  ...over,
});

describe('merging what routers see', () => {
  const now = 1_000_000;
  test('sums requests, takes the best state, the newest figures', () => {
    const views = [
      { atMs: now, workers: [snapshot('http://a', { running: 2, waiting: 1, kvUsage: 0.5, breakerOpen: true })] },
      { atMs: now - 10, workers: [snapshot('http://a', { running: 3, state: 'joining', kvUsage: 0.1 })] },
    ];
    expect(mergeViews(views, new Set(), now)).toEqual([
      expect.objectContaining({ running: 5, waiting: 1, state: 'ready', kvUsage: 0.5, routers: 2, breakerOpen: false }),
    ]);
  });

  test('views of routers that are gone do not count', () => {
    const views = [{ atMs: now - VIEW_MAX_AGE_MS - 1, workers: [snapshot('http://a')] }];
    expect(mergeViews(views, new Set(), now)).toEqual([]);
  });

  test('an operator drain shows, unless the worker is gone', () => {
    const views = [{ atMs: now, workers: [snapshot('http://a'), snapshot('http://b', { state: 'gone' })] }];
    const states = mergeViews(views, new Set(['http://a', 'http://b']), now).map(({ state }) => state);
    expect(states).toEqual(['draining', 'gone']);
  });
});

describe('the workers API', () => {
  let console_: Harness;
  let fleet: FleetStore;
  beforeAll(async () => {
    console_ = await startHarness();
    fleet = new FleetStore(console_.redis.client);
  });
  afterAll(() => console_?.stop());

  test('lists every worker once, by URL, in pages', async () => {
    await fleet.publishView('r1', {
      atMs: Date.now(),
      workers: [snapshot('http://10.0.0.2:8000'), snapshot('http://10.0.0.1:8000')],
    });
    await fleet.publishView('r2', { atMs: Date.now(), workers: [snapshot('http://10.0.0.1:8000', { running: 1 })] });
    await console_.redis.client.hset(globalKeys.fleet, 'r3', 'not a view');
    const first = await console_.get('/api/workers?limit=1');
    expect(first.body.data).toEqual([
      expect.objectContaining({ url: 'http://10.0.0.1:8000', running: 1, model: 'm', routers: 2 }),
    ]);
    const second = await console_.get(`/api/workers?limit=1&cursor=${first.body.next}`);
    expect(second.body.data.map(({ url }: WorkerSnapshot) => url)).toEqual(['http://10.0.0.2:8000']);
    expect(second.body.next).toBeNull();
  });

  test('a drain is published at once, survives a flush, and ends with undrain', async () => {
    const url = 'http://10.0.0.9:8000';
    await fleet.publishView('r1', { atMs: Date.now(), workers: [snapshot(url)] });
    expect((await console_.post('/api/workers/drain', { url: `${url}/` })).body).toEqual({ url, draining: true });
    expect(await fleet.draining()).toEqual(new Set([url]));
    const { body: list } = await console_.get('/api/workers');
    expect(list.data.find((worker: WorkerSnapshot) => worker.url === url).state).toBe('draining');
    await console_.redis.client.flushall();
    await eventually('the drain is back', async () => (await fleet.draining()).has(url));
    expect((await console_.post('/api/workers/undrain', { url })).body).toEqual({ url, draining: false });
    expect(await fleet.draining()).toEqual(new Set());
  });

  test('a worker that nobody knows is 404; what is no base URL is 400', async () => {
    expect((await console_.post('/api/workers/drain', { url: 'http://nobody:1' })).status).toBe(404);
    for (const url of ['nobody', 'ftp://a', 'http://u:p@a', 'http://a/?x=1', 7]) {
      expect((await console_.post('/api/workers/drain', { url })).status).toBe(400);
    }
  });
});
