/** Line 1.25: a conversation stays where its beginning is cached. Needs two workers, so look-alikes show it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import type { RunningRouter } from '@tollgate/router/app';
import { chat, hello, type Surroundings, startSurroundings, type TestKey } from '../../e2e/router-kit.ts';

let around: Surroundings;
let workers: Devworker[];
let router: RunningRouter;
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  workers = [await startDevworker({ speed: 50 }), await startDevworker({ speed: 50 })];
  router = await around.router(workers.map(({ url }) => url));
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000n);
});
afterAll(async () => {
  await around.stop();
  for (const worker of workers) await worker.close();
});

test('1.25 each turn of a conversation above 3,000 tokens goes to the worker that has its beginning', async () => {
  for (let conversation = 0; conversation < 6; conversation++) {
    const said = `Conversation ${conversation}: the quick brown fox jumps over the lazy dog. `.repeat(220);
    const messages: { role: string; content: string }[] = [{ role: 'user', content: said }];
    const before = workers.map(({ totals }) => totals.requests);
    const cached: number[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const { status, json } = await chat(router, key.text, hello({ messages, max_tokens: 8 }));
      expect(status).toBe(200);
      expect(json.usage.prompt_tokens).toBeGreaterThan(3_000);
      cached.push(json.usage.prompt_tokens_details?.cached_tokens ?? 0);
      messages.push({ role: 'assistant', content: 'I see.' }, { role: 'user', content: `And turn ${turn}?` });
    }
    // Probes are requests too, but generations alone have caches: the later turns found nearly all of the first there.
    expect(cached[1]).toBeGreaterThan(2_500);
    expect(cached[2]).toBeGreaterThan(2_500);
    expect(workers.map(({ totals }) => totals.requests)).not.toEqual(before);
  }
});
