/** A request that brings down one worker after the other is not sent to a third, nor again. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { chat, eventuallyQuiet, hello, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

const PATIENCE_MS = 60_000;

let around: Surroundings;
let workers: Devworker[];
let keys: [TestKey, TestKey];

beforeAll(async () => {
  around = await startSurroundings();
  workers = await Promise.all([0, 1, 2].map(() => startDevworker({ speed: 20 })));
  keys = [await around.key(), await around.key()];
  for (const key of keys) await around.credit(key.record.accountId, 100_000_000_000n);
}, PATIENCE_MS);

afterAll(async () => {
  await around.stop();
  await Promise.all(workers.map((worker) => worker.close()));
});

async function faults(text: string | null): Promise<void> {
  for (const { url } of workers) {
    const response = await fetch(`${url}/devworker/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ fault: text }),
    });
    expect(response.status).toBe(200);
  }
}

/** Requests sent to workers, as the router counts them. */
async function sent(router: RunningRouter): Promise<number> {
  const text = await (await fetch(`${router.metricsUrl}/metrics`)).text();
  let sum = 0;
  for (const [, value] of text.matchAll(/^tollgate_upstream_attempts_total\{.*\} (\d+)/gm)) sum += Number(value);
  return sum;
}

test(
  'two workers fail over it: refused for its account, without a worker and without a charge; others are served',
  async () => {
    const [mine, theirs] = keys;
    const urls = workers.map(({ url }) => url);
    const router = await around.router(urls, { TOLLGATE_ROUTER_METRICS_LISTEN: '127.0.0.1:0' });
    const killer = hello({ messages: [{ role: 'user', content: 'the one that breaks engines' }] });
    await faults('die;at=headers');
    expect((await chat(router, mine.text, killer)).status).toBe(502);
    expect(await sent(router)).toBe(2);
    await faults(null);
    for (const stream of [false, true]) {
      const again = await chat(router, mine.text, { ...killer, stream });
      expect([again.status, again.json.error.code]).toEqual([400, 'poison_request']);
      expect(again.headers.get('x-should-retry')).toBe('false');
    }
    expect(await sent(router)).toBe(2);
    // The same words of somebody else, and other words of this account.
    expect((await chat(router, theirs.text, killer)).status).toBe(200);
    expect((await chat(router, mine.text, hello())).status).toBe(200);
    await eventuallyQuiet(router);
    await eventually('nothing is held', async () => (await around.lease(mine.record.accountId))?.heldNusd === 0n);
    expect((await around.drain()).map(({ outcome }) => outcome)).toEqual(['served', 'served']);
    await router.stop();
  },
  PATIENCE_MS,
);
