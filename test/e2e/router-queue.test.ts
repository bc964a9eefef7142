/** All workers are full: requests wait in the router, in fair order, are told so, and leave without a trace. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import {
  type Answer,
  chat,
  eventuallyQuiet,
  hello,
  MODEL,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from './router-kit.ts';

const PATIENCE_MS = 60_000;

let around: Surroundings;
let worker: Devworker;
let hog: TestKey;
let small: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  worker = await startDevworker({ speed: 4 });
  [hog, small] = [await around.key(), await around.key()];
  for (const key of [hog, small]) await around.credit(key.record.accountId, 100_000_000_000_000n);
}, PATIENCE_MS);

afterAll(async () => {
  await around.stop();
  await worker.close();
});

afterEach(async () => {
  await around.drain();
});

/** One request at a time at its one worker: everything else waits. */
const narrow = (env: Record<string, string> = {}): Promise<RunningRouter> =>
  around.router([worker.url], { TOLLGATE_WORKER_CONCURRENCY: '1', ...env });

/** Keeps the worker busy for about half a second; resolves when it is, `done` when it has answered. */
async function occupy(router: RunningRouter, tokens = 200): Promise<{ done: Promise<Answer> }> {
  const answer = chat(router, hog.text, hello({ max_tokens: tokens, ignore_eos: true }));
  await eventually('the worker is busy', () => router.counters().workers.some((count) => count > 0), { everyMs: 2 });
  return { done: answer };
}

const heldNusd = async (key: TestKey) => (await around.lease(key.record.accountId))?.heldNusd;

describe('while all workers are full', () => {
  test(
    'requests wait, unseen by the worker, and all are served',
    async () => {
      const router = await narrow();
      const before = worker.totals.requests;
      const answers = Array.from({ length: 6 }, () =>
        chat(router, hog.text, hello({ max_tokens: 40, ignore_eos: true })),
      );
      await eventually('five wait', () => router.counters().queued === 5, { everyMs: 2 });
      expect(worker.totals.requests - before).toBeLessThanOrEqual(2);
      for (const { status } of await Promise.all(answers)) expect(status).toBe(200);
      await eventuallyQuiet(router);
      expect(router.counters().queued).toBe(0);
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'a small account passes what a hog has piled up',
    async () => {
      const router = await narrow();
      const done: string[] = [];
      const ask = (name: string, key: TestKey) =>
        chat(router, key.text, hello({ max_tokens: 30, ignore_eos: true })).then(({ status }) => {
          expect(status).toBe(200);
          done.push(name);
        });
      const hogs = Array.from({ length: 8 }, () => ask('hog', hog));
      await eventually('the hog waits', () => router.counters().queued === 7, { everyMs: 2 });
      await Promise.all([ask('small', small), ask('small', small)]);
      await Promise.all(hogs);
      // One turn each: behind two or three of the hog's, not behind eight.
      expect(done.lastIndexOf('small')).toBeLessThanOrEqual(5);
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'an account with three times the weight is served three times as often',
    async () => {
      const heavy = await around.key({ weight: 3 });
      await around.credit(heavy.record.accountId, 100_000_000_000_000n);
      const router = await narrow();
      const done: string[] = [];
      const ask = (name: string, key: TestKey) =>
        chat(router, key.text, hello({ max_tokens: 30, ignore_eos: true })).then(() => done.push(name));
      const occupied = await occupy(router);
      const asked = Array.from({ length: 9 }, () => [ask('light', small), ask('heavy', heavy)]).flat();
      await eventually('all wait', () => router.counters().queued === asked.length, { everyMs: 2 });
      await occupied.done;
      await Promise.all(asked);
      // While both wait: of the first eight, six.
      expect(Math.abs(done.slice(0, 8).filter((name) => name === 'heavy').length - 6)).toBeLessThanOrEqual(1);
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'a hold is kept alive while its request waits, and given back when its client leaves',
    async () => {
      const router = await narrow({ TOLLGATE_HEARTBEAT_MS: '50' });
      const { done: busy } = await occupy(router, 400);
      const leaving = new AbortController();
      const left = fetch(`${router.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${small.text}` },
        body: JSON.stringify(hello({ stream: true })),
        signal: leaving.signal,
      }).catch((error: Error) => error.name);
      await eventually('it waits', () => router.counters().queued === 1, { everyMs: 2 });
      await eventually('its hold is renewed', async () => (await heldNusd(small)) !== 0n);
      expect(router.counters().heldBeats).toBe(2);
      leaving.abort();
      expect(await left).toBe('AbortError');
      await eventually('its place is free', () => router.counters().queued === 0);
      await eventually('its hold is given back', async () => (await heldNusd(small)) === 0n);
      expect((await busy).status).toBe(200);
      await eventuallyQuiet(router);
      const records = await eventually('the record of the other', async () => {
        const all = await around.records();
        return all.length > 0 ? all : null;
      });
      // Nothing was sent for the one that left: there is nothing to pay and nothing to record.
      expect(records.map(({ accountId }) => accountId)).toEqual([hog.record.accountId]);
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'who may not wait is refused at once, with Retry-After, and is not charged',
    async () => {
      const router = await narrow();
      const { done: busy } = await occupy(router);
      const none = await chat(router, small.text, hello(), { 'x-tollgate-max-queue-ms': '0' });
      expect(none.status).toBe(503);
      expect(none.json.error).toMatchObject({ code: 'queue_full', metadata: { reason: 'deadline' } });
      expect(Number(none.headers.get('retry-after'))).toBeGreaterThan(0);
      const soon = await chat(router, small.text, hello(), { 'x-tollgate-max-queue-ms': '50' });
      expect([soon.status, soon.json.error.code]).toEqual([503, 'queue_full']);
      const odd = await chat(router, small.text, hello(), { 'x-tollgate-max-queue-ms': 'soon' });
      expect([odd.status, odd.json.error.param]).toEqual([400, 'x-tollgate-max-queue-ms']);
      await busy;
      await eventuallyQuiet(router);
      await eventually('nothing is held', async () => (await heldNusd(small)) === 0n);
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'the queue has a bound for all and one for each account',
    async () => {
      const router = await narrow({ TOLLGATE_QUEUE_DEPTH: '3', TOLLGATE_QUEUE_DEPTH_PER_ACCOUNT: '2' });
      const { done: busy } = await occupy(router);
      const body = hello({ max_tokens: 5 });
      const waiting = [hog, hog, small].map((key) => chat(router, key.text, body));
      await eventually('they wait', () => router.counters().queued === 3, { everyMs: 2 });
      const { json, status } = await chat(router, small.text, body);
      expect([status, json.error.code, json.error.metadata.reason]).toEqual([503, 'queue_full', 'full']);
      await Promise.all([busy, ...waiting]);
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'a stream that asks for it hears its place at once, one that does not gets its status from the worker',
    async () => {
      const router = await narrow();
      const { done: busy } = await occupy(router);
      const stream = hello({ stream: true, max_tokens: 5 });
      const [told, silent] = await Promise.all([
        chat(router, small.text, stream, { 'x-tollgate-queue-updates': '1' }),
        chat(router, small.text, stream),
      ]);
      expect(told.text).toMatch(/^(: queued position=\d+( eta_ms=\d+)?\n\n)+data: \{/);
      expect(told.text).toContain('[DONE]');
      expect(silent.text).not.toContain(': queued');
      await busy;
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'work that is in no hurry may wait longer than the longest wait of the others',
    async () => {
      const router = await narrow({ TOLLGATE_QUEUE_MAX_MS: '100' });
      const { done: busy } = await occupy(router, 600);
      const [hurried, patient] = await Promise.all([
        chat(router, small.text, hello()),
        chat(router, small.text, hello(), { 'x-tollgate-priority': 'batch' }),
      ]);
      expect([hurried.status, hurried.json.error.code]).toEqual([503, 'queue_full']);
      expect(patient.status).toBe(200);
      await busy;
      await router.stop();
    },
    PATIENCE_MS,
  );

  test(
    'a long wait gets its 200 early; the refusal is then told inside',
    async () => {
      const router = await narrow({ TOLLGATE_EARLY_ANSWER_MS: '100', TOLLGATE_QUEUE_MAX_MS: '1500' });
      const { done: busy } = await occupy(router, 4_000);
      const { status, text } = await chat(router, small.text, hello({ stream: true }));
      expect(status).toBe(200);
      expect(text).toMatch(/^: queued position=1\n\n/);
      expect(JSON.parse(text.trimEnd().split('\n\n').at(-1)!.slice(6)).error.code).toBe('queue_full');
      expect(text).not.toContain('[DONE]');
      await router.stop();
      await busy;
    },
    PATIENCE_MS,
  );

  test(
    'a stop ends those that wait with an error and gives their holds back',
    async () => {
      const router = await narrow({ TOLLGATE_STOP_GRACE_MS: '500' });
      const { done: busy } = await occupy(router, 8_000);
      const waiting = chat(router, small.text, hello());
      await eventually('it waits', () => router.counters().queued === 1, { everyMs: 2 });
      const stopped = router.stop();
      expect([(await waiting).status, (await waiting).json.error.code]).toEqual([503, 'shutting_down']);
      await stopped;
      await busy;
      await eventually('nothing is held', async () => (await heldNusd(small)) === 0n);
    },
    PATIENCE_MS,
  );
});

test(
  'the first request of a model that starts from zero waits for its worker',
  async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const router = await around.router([url], {
      TOLLGATE_MODEL_RULES: JSON.stringify({ [MODEL]: { scaleFromZero: true } }),
    });
    const answer = chat(router, small.text, hello());
    await eventually('it waits', () => router.counters().queued === 1, { everyMs: 2 });
    const late = await startDevworker({ port, speed: 20 });
    expect((await answer).status).toBe(200);
    await router.stop();
    await late.close();
  },
  PATIENCE_MS,
);

test(
  'what an engine makes wait is learned from what it reports',
  async () => {
    const tight = await startDevworker({ speed: 4, maxSequences: 3 });
    const router = await around.router([tight.url]);
    const body = hello({ max_tokens: 1_000, ignore_eos: true });
    const first = Array.from({ length: 12 }, () => chat(router, hog.text, body));
    await eventually('the engine has all twelve', () => tight.engine.stats().waiting > 5, { everyMs: 2 });
    // One poll later the router knows: the next ones wait here.
    await eventually('its capacity is known', async () => {
      const extra = chat(router, small.text, hello({ max_tokens: 1 }), { 'x-tollgate-max-queue-ms': '0' });
      // Before the first poll it is sent and waits in the engine.
      const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), 250));
      return (await Promise.race([extra, late]))?.status === 503;
    });
    await tight.close();
    await Promise.all(first);
    await router.stop();
  },
  PATIENCE_MS,
);
