/** Workers that fail: what a client sees, what it pays, and that every counter returns to 0. */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { costNusd } from '@tollgate/shared/domain/money';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import {
  CATALOG_MODEL,
  chat,
  events,
  eventuallyQuiet,
  hello,
  type Surroundings,
  startSurroundings,
  type TestKey,
} from './router-kit.ts';

// Real processes on a busy machine: a test's own limit is no statement about time.
jest.setTimeout(60_000);

let around: Surroundings;
let good: Devworker;
let bad: Devworker;
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  [good, bad] = await Promise.all([startDevworker({ speed: 20 }), startDevworker({ speed: 20 })]);
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000n);
});

afterAll(async () => {
  await around.stop();
  await Promise.all([good.close(), bad.close()]);
});

afterEach(async () => {
  await fault(bad, null);
  await around.drain();
});

async function fault(worker: Devworker, text: string | null): Promise<void> {
  const response = await fetch(`${worker.url}/devworker/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ fault: text }),
  });
  expect(response.status).toBe(200);
}

async function recordOf(requestId: string | null): Promise<UsageRecord> {
  return eventually('the record', async () => (await around.records()).find((entry) => entry.requestId === requestId));
}

const alone = (env: Record<string, string> = {}): Promise<RunningRouter> => around.router([bad.url], env);

describe('before the first byte', () => {
  test.each(['refuse', 'die;at=headers', 'status;code=500', 'status;code=503'])(
    'a worker that fails by "%s" is replaced once by another, unseen by the client',
    async (text) => {
      const router = await around.router([bad.url, good.url]);
      await fault(bad, text);
      for (const stream of [false, true]) {
        // A short prompt goes to any idle worker: of these requests some meet the bad one first.
        for (let i = 0; i < 4; i++) {
          const answer = await chat(router, key.text, hello({ stream }));
          expect(answer.status).toBe(200);
          const record = await recordOf(answer.headers.get('x-request-id'));
          expect(record).toMatchObject({ outcome: 'served', workerUrl: good.url });
        }
      }
      await eventuallyQuiet(router);
      await router.stop();
    },
  );

  test('with no other worker it is 502, and nothing is billed or held', async () => {
    const router = await alone();
    await fault(bad, 'refuse');
    for (const stream of [false, true]) {
      const answer = await chat(router, key.text, hello({ stream }));
      expect(answer.status).toBe(502);
      expect(answer.json.error).toMatchObject({ code: 'worker_failed', type: 'upstream_error' });
    }
    await eventuallyQuiet(router);
    await eventually('no hold', async () => (await around.lease(key.record.accountId))?.heldNusd === 0n);
    expect(await around.records()).toEqual([]);
    await router.stop();
  });

  test('without any worker it is 503 with Retry-After, and the router is ready all the same', async () => {
    const router = await around.router([`http://127.0.0.1:${await freePort()}`]);
    const answer = await chat(router, key.text, hello());
    expect(answer.status).toBe(503);
    expect(answer.json.error).toMatchObject({ code: 'no_worker', type: 'overloaded_error' });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await fetch(`${router.url}/readyz`)).status).toBe(200);
    await router.stop();
  });

  test('a worker that says nothing is given up: 504, nothing billed', async () => {
    const router = await alone({ TOLLGATE_FIRST_TOKEN_TIMEOUT_MS: '300', TOLLGATE_PLAIN_TIMEOUT_MS: '300' });
    await fault(bad, 'hang;at=headers');
    for (const [stream, code] of [
      [true, 'first_token_timeout'],
      [false, 'stream_timeout'],
    ] as const) {
      const answer = await chat(router, key.text, hello({ stream }));
      expect(answer.status).toBe(504);
      expect(answer.json.error.code).toBe(code);
    }
    await eventuallyQuiet(router);
    expect(await around.records()).toEqual([]);
    await router.stop();
  });

  test('a long wait gets its 200 early, with comments; what fails then is told inside', async () => {
    const router = await alone({
      TOLLGATE_EARLY_ANSWER_MS: '150',
      TOLLGATE_PING_MS: '100',
      TOLLGATE_FIRST_TOKEN_TIMEOUT_MS: '700',
    });
    await fault(bad, 'hang;at=headers');
    const answer = await chat(router, key.text, hello({ stream: true }));
    expect(answer.status).toBe(200);
    expect(answer.text.split(': ping\n\n').length).toBeGreaterThan(2);
    const [only] = events(answer.text);
    expect(JSON.parse(only!).error.code).toBe('first_token_timeout');
    expect(answer.text).not.toContain('[DONE]');
    await eventuallyQuiet(router);
    expect(await around.records()).toEqual([]);
    await router.stop();
  });
});

describe('after the first byte', () => {
  test.each([
    ['die;after=4', 'worker_stream_broken', 'worker_lost'],
    ['truncate;after=4', 'worker_stream_broken', 'worker_lost'],
    ['garbage;after=4', 'worker_stream_broken', 'worker_error'],
    ['error;after=4', 'worker_stream_broken', 'worker_error'],
    ['hang;after=4', 'stream_timeout', 'timed_out'],
  ])('"%s" ends with an error event and no [DONE], billed for what was delivered', async (text, code, outcome) => {
    const router = await alone({ TOLLGATE_IDLE_TIMEOUT_MS: '400' });
    await fault(bad, text);
    const answer = await chat(router, key.text, hello({ stream: true }));
    expect(answer.status).toBe(200);
    expect(answer.text).not.toContain('[DONE]');
    const parsed = events(answer.text).map((event) => JSON.parse(event));
    const last = parsed.at(-1);
    expect(last.error).toMatchObject({ code, message: expect.any(String) });
    const record = await recordOf(answer.headers.get('x-request-id'));
    expect(record).toMatchObject({ outcome, final: true });
    const delivered = parsed.slice(0, -1).filter((event) => event.choices[0].delta.content).length;
    expect(record.completionTokens).toBe(delivered);
    // Ours to answer for: the prompt at the cached price.
    expect(record.cachedTokens).toBe(record.promptTokens);
    expect(record.amountNusd).toBe(costNusd(record, CATALOG_MODEL.prices));
    await eventuallyQuiet(router);
    await router.stop();
  });
});

test('a stream that takes longer than anything may is ended then, though it goes well, and billed for what came', async () => {
  const slow = await startDevworker({ speed: 1 });
  const router = await around.router([slow.url], { TOLLGATE_TOTAL_TIMEOUT_MS: '500' });
  const answer = await chat(router, key.text, hello({ stream: true, max_tokens: 20_000, ignore_eos: true }));
  expect([answer.status, answer.text.includes('[DONE]')]).toEqual([200, false]);
  const parsed = events(answer.text).map((event) => JSON.parse(event));
  expect(parsed.at(-1).error).toMatchObject({ code: 'stream_timeout' });
  const delivered = parsed.slice(0, -1).filter((event) => event.choices[0].delta.content).length;
  const record = await recordOf(answer.headers.get('x-request-id'));
  expect(record).toMatchObject({ outcome: 'timed_out', completionTokens: delivered });
  expect(delivered).toBeGreaterThan(0);
  await eventuallyQuiet(router);
  await router.stop();
  await slow.close();
});

describe('a request that the worker refuses', () => {
  test("in a stream, as 200 and one error event, becomes the contract's 400 and costs nothing", async () => {
    const router = await around.router([good.url]);
    // Only the engine knows how many tokens its vocabulary has.
    const logit_bias = { '9999999': 1 };
    for (const stream of [true, false]) {
      const answer = await chat(router, key.text, hello({ stream, logit_bias }));
      expect(answer.status).toBe(400);
      expect(answer.json.error).toMatchObject({ code: 'invalid_request', type: 'invalid_request_error' });
      // The engine's own words are not passed on.
      expect(answer.text).not.toContain('9999999');
    }
    await eventually('no hold', async () => (await around.lease(key.record.accountId))?.heldNusd === 0n);
    expect(await around.records()).toEqual([]);
    await router.stop();
  });

  test('because prompt and output do not fit: context_length_exceeded', async () => {
    const router = await around.router([good.url]);
    const answer = await chat(
      router,
      key.text,
      hello({ messages: [{ role: 'user', content: 'word '.repeat(30_000) }], max_tokens: 20_000 }),
    );
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatchObject({ code: 'context_length_exceeded', param: 'messages' });
    await router.stop();
  });
});

test('an output limit that was our own guess is lowered to what the context has left', async () => {
  await around.directory.publishCatalog({ version: 2, models: [{ ...CATALOG_MODEL, defaultMaxTokens: null }] });
  const router = await around.router([good.url]);
  // Tokens of less than three bytes make the guess too high.
  const content = '1 2 3 4 5 6 7 8 9 '.repeat(1_500);
  const answer = await chat(router, key.text, {
    model: CATALOG_MODEL.id,
    messages: [{ role: 'user', content }],
    stop: ['a', 'e', 'i', 'o'],
  });
  expect(answer.status).toBe(200);
  expect(answer.json.usage.prompt_tokens).toBeGreaterThan(content.length / 3);
  await router.stop();
  await around.directory.publishCatalog({ version: 3, models: [CATALOG_MODEL] });
});
