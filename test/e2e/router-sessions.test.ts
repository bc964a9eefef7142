/** A client's name of its conversation: it keeps requests together where the policy goes by it, and is seen nowhere else. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { chat, hello, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

const PATIENCE_MS = 60_000;
const NAMES = Array.from({ length: 16 }, (_, i) => `canary-session-${i}`);

let around: Surroundings;
let workers: Devworker[];
let router: RunningRouter;
let mine: TestKey;
let theirs: TestKey;
let log = '';

beforeAll(async () => {
  around = await startSurroundings();
  workers = await Promise.all([0, 1, 2, 3].map(() => startDevworker({ speed: 100 })));
  router = await around.router(
    workers.map(({ url }) => url),
    { TOLLGATE_ROUTING_POLICY: 'session-hash' },
    (line) => {
      log += line;
    },
  );
  [mine, theirs] = [await around.key(), await around.key()];
  for (const key of [mine, theirs]) await around.credit(key.record.accountId, 100_000_000_000n);
}, PATIENCE_MS);

afterAll(async () => {
  await around.stop();
  await Promise.all(workers.map((worker) => worker.close()));
});

interface Said {
  headers?: Record<string, string>;
  body?: Record<string, unknown>;
}

/** The worker of each of the requests, which all say something else. */
async function homes(key: TestKey, requests: readonly Said[]): Promise<(string | null)[]> {
  const ids = await Promise.all(
    requests.map(async ({ headers = {}, body = {} }, i) => {
      const messages = [{ role: 'user', content: `${i}: ${crypto.randomUUID()} `.repeat(20) }];
      const answer = await chat(router, key.text, hello({ messages, max_tokens: 2, ...body }), headers);
      expect(answer.status).toBe(200);
      return answer.headers.get('x-request-id');
    }),
  );
  return eventually('all records', async () => {
    const records = await around.records();
    const found = ids.map((id) => records.find(({ requestId }) => requestId === id));
    return found.every((record) => record !== undefined) ? found.map((record) => record!.workerUrl) : null;
  });
}

test(
  'requests of a session go to one worker, however it is named; sessions of another account are others',
  async () => {
    const ways: ((name: string) => Said)[] = [
      (name) => ({ headers: { 'x-tollgate-session': name } }),
      (name) => ({ headers: { 'x-session-id': name } }),
      (name) => ({ body: { prompt_cache_key: name } }),
      (name) => ({ headers: { 'x-tollgate-session': name }, body: { prompt_cache_key: 'another', user: 'one' } }),
    ];
    const byWay: (string | null)[][] = [];
    for (const way of ways) byWay.push(await homes(mine, NAMES.map(way)));
    for (const found of byWay) expect(found).toEqual(byWay[0]);
    expect(new Set(byWay[0]).size).toBeGreaterThan(1);
    expect(await homes(theirs, NAMES.map(ways[0]!))).not.toEqual(byWay[0]);
    const unnamed = await homes(
      mine,
      NAMES.map(() => ({ body: { user: 'one' } })),
    );
    expect(new Set(unnamed).size).toBeGreaterThan(1);
  },
  PATIENCE_MS,
);

test(
  'a name that cannot be one is no error: empty, of any length, of any type',
  async () => {
    const odd: Said[] = [
      { headers: { 'x-tollgate-session': '' } },
      { headers: { 'x-session-id': 'x'.repeat(4_000) } },
      ...[null, '', 7, { a: 1 }, 'x'.repeat(100_000)].map((name) => ({ body: { prompt_cache_key: name } })),
    ];
    expect(await homes(mine, odd)).toHaveLength(odd.length);
  },
  PATIENCE_MS,
);

test('no log line and no record holds a name', async () => {
  const records = JSON.stringify(await around.records(), (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  expect(records).toContain(mine.record.accountId);
  await eventually('the log has its requests', () => log.includes('"msg":"request"'));
  for (const text of [records, log]) expect(text).not.toMatch(/canary-session|xxxxxxxx/);
});
