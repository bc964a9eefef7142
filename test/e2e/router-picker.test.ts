/** Which worker a request goes to: where its prefix lies, by every policy or its session, and with sums that return to zero. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { POLICIES } from '@tollgate/router/routing/policies/index';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { chat, eventuallyQuiet, hello, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

const PATIENCE_MS = 60_000;
const CLIENTS = 12;

let around: Surroundings;
let workers: Devworker[];
let mine: TestKey;
let theirs: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  workers = await Promise.all([0, 1, 2].map(() => startDevworker({ speed: 20 })));
  [mine, theirs] = [await around.key(), await around.key()];
  for (const key of [mine, theirs]) await around.credit(key.record.accountId, 100_000_000_000n);
}, PATIENCE_MS);

afterEach(async () => {
  await around.drain();
});

afterAll(async () => {
  await around.stop();
  await Promise.all(workers.map((worker) => worker.close()));
});

const urls = () => workers.map((worker) => worker.url);

interface Turn {
  answer: string;
  record: UsageRecord;
}

async function ask(router: RunningRouter, key: TestKey, messages: unknown[], stream = false): Promise<Turn> {
  const answer = await chat(router, key.text, hello({ messages, stream, max_tokens: 24 }));
  expect(answer.status).toBe(200);
  const requestId = answer.headers.get('x-request-id');
  const record = await eventually('the record', async () =>
    (await around.records()).find((entry) => entry.requestId === requestId),
  );
  return { answer: stream ? '' : answer.json.choices[0].message.content, record };
}

const start = (name: string) => [
  { role: 'system', content: `You are the clerk of the town of ${name}. `.repeat(600) },
  { role: 'user', content: `Which papers does ${name} ask of a newcomer?` },
];

test(
  "a conversation's next turn goes where its prefix is, another account's same words do not, and hits are foreseen",
  async () => {
    const router = await around.router(urls());
    const towns = ['Aberdeen', 'Bologna', 'Cartagena', 'Dunedin'];
    const talks = towns.map((town) => ({ town, messages: start(town), homes: new Set<string | null>() }));
    for (let turn = 0; turn < 3; turn++) {
      for (const talk of talks) {
        const { answer, record } = await ask(router, mine, talk.messages);
        talk.homes.add(record.workerUrl);
        if (turn > 0) expect(record.cachedTokens / record.promptTokens).toBeGreaterThan(0.9);
        talk.messages.push(
          { role: 'assistant', content: answer },
          { role: 'user', content: `And after paper ${turn}, what else do they ask?` },
        );
      }
    }
    expect(talks.map(({ homes }) => homes.size)).toEqual([1, 1, 1, 1]);
    for (const town of towns) expect((await ask(router, theirs, start(town))).record.cachedTokens).toBe(0);
    // Had the router thought that the other account's prompts were cached, these alone would be 25 points.
    expect(router.hitErrorPoints()).toBeLessThanOrEqual(5);
    expect(router.hitErrorPoints()).toBeGreaterThan(0);
    await eventuallyQuiet(router);
    await router.stop();
  },
  PATIENCE_MS,
);

describe('every policy', () => {
  test.each(Object.keys(POLICIES))(
    '%s serves, streamed and plain, and leaves nothing behind',
    async (policy) => {
      const router = await around.router(urls(), { TOLLGATE_ROUTING_POLICY: policy });
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, i) => ask(router, mine, start(`Town ${i % 2}`), i % 2 === 0)),
      );
      for (const { record } of answers) expect(record).toMatchObject({ outcome: 'served' });
      await eventuallyQuiet(router);
      await router.stop();
    },
    PATIENCE_MS,
  );
});

test('a name that is no policy ends the start', async () => {
  await expect(around.router(urls(), { TOLLGATE_ROUTING_POLICY: 'fastest' })).rejects.toThrow(
    /TOLLGATE_ROUTING_POLICY/,
  );
});

test(
  'after clients that leave, retries and a worker that dies, every sum is zero and the rest serves on',
  async () => {
    const slow = { speed: 4 };
    const [steady, failing, mortal] = await Promise.all([0, 1, 2].map(() => startDevworker(slow)));
    const router = await around.router([steady!.url, failing!.url, mortal!.url]);
    await fetch(`${failing!.url}/devworker/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ fault: 'status;code=500;times=2' }),
    });
    const running = Array.from({ length: CLIENTS }, async (_, i) => {
      const body = hello({ messages: start(`Port ${i % 5}`), stream: i % 3 !== 0, max_tokens: 400 });
      const response = await fetch(`${router.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${mine.text}` },
        body: JSON.stringify(body),
        signal: i % 2 === 0 ? AbortSignal.timeout(20 + 40 * i) : null,
      });
      await response.text();
    });
    await eventually('the mortal one works', () => mortal!.engine.stats().running > 0 || router.counters().running < 6);
    await mortal!.close();
    await Promise.allSettled(running);
    await eventuallyQuiet(router);
    expect((await ask(router, mine, start('Port 1'))).record.outcome).toBe('served');
    await eventuallyQuiet(router);
    await router.stop();
    await Promise.all([steady!.close(), failing!.close()]);
  },
  PATIENCE_MS,
);

describe("a client's name of its conversation", () => {
  const NAMES = Array.from({ length: 16 }, (_, i) => `canary-session-${i}`);
  let sticky: RunningRouter;
  let log = '';
  let kept = '';

  beforeAll(async () => {
    sticky = await around.router(urls(), { TOLLGATE_ROUTING_POLICY: 'session-hash' }, (line) => {
      log += line;
    });
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
        const answer = await chat(sticky, key.text, hello({ messages, max_tokens: 2, ...body }), headers);
        expect(answer.status).toBe(200);
        return answer.headers.get('x-request-id');
      }),
    );
    const records = await eventually('all records', async () => {
      const all = await around.records();
      const found = ids.flatMap((id) => all.find(({ requestId }) => requestId === id) ?? []);
      return found.length === ids.length ? found : null;
    });
    kept += JSON.stringify(records, (_, value) => (typeof value === 'bigint' ? String(value) : value));
    return records.map(({ workerUrl }) => workerUrl);
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
    for (const text of [kept, log]) {
      expect(text).toContain(mine.record.accountId);
      expect(text).not.toMatch(/canary-session|xxxxxxxx/);
    }
  });
});
