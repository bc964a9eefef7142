/** Lines 3.1 to 3.13: DMind (seed 003). */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CONTRACTS_FOLDER, loadProfiles } from '@tollgate/router/contract/load-profiles';
import { ask, ENGINES, lastOf, startWorld, TOOL, type World, wholeAnswer } from './kit.ts';

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  const call = (more: Record<string, unknown>, key?: string) =>
    world.call('dmind', ask(more), key === undefined ? {} : { key });
  const refused = async (more: Record<string, unknown>) => {
    const answer = await call(more);
    expect([answer.status, answer.json.error.param]).toEqual([400, Object.keys(more)[0]]);
  };

  test('3.1 POST /v1/chat/completions with a Bearer key', async () => {
    expect((await call({})).status).toBe(200);
  });

  test('3.2 null means absent for every optional parameter', async () => {
    const names =
      'stream max_tokens temperature top_p top_k min_p frequency_penalty presence_penalty stop tool_choice logprobs top_logprobs';
    expect((await call(Object.fromEntries(names.split(' ').map((name) => [name, null])))).status).toBe(200);
    const penalties = { presence_penalty: 0, frequency_penalty: 0 };
    expect(lastOf(world.sent)).toMatchObject({ temperature: 1, top_p: 1, top_k: -1, min_p: 0, ...penalties });
  });

  test('3.3 max_tokens from 1', async () => {
    await refused({ max_tokens: 0 });
    expect((await call({ max_tokens: 1 })).json.usage.completion_tokens).toBe(1);
  });

  test('3.4 temperature 1 by default, 0 to 2; top_p 1 by default, at most 1, no stated minimum', async () => {
    await refused({ temperature: -0.1 });
    await refused({ top_p: 1.01 });
    expect((await call({ temperature: 0 })).status).toBe(200);
    expect((await call({ top_p: 0 })).status).toBe(200);
    expect(lastOf(world.sent).top_p).toBeGreaterThan(0);
  });

  test('3.5 top_k from -1, which is no limit; 0 is never told to an engine', async () => {
    await refused({ top_k: -2 });
    await refused({ top_k: 1.5 });
    expect((await call({ top_k: 0 })).status).toBe(200);
    expect(lastOf(world.sent).top_k).toBe(-1);
  });

  test('3.6 min_p from 0 to 1', async () => {
    await refused({ min_p: 1.01 });
    expect((await call({ min_p: 1 })).status).toBe(200);
  });

  test('3.7 top_k and min_p reach the engine', async () => {
    expect((await call({ top_k: 40, min_p: 0.1 })).status).toBe(200);
    expect(lastOf(world.sent)).toMatchObject({ top_k: 40, min_p: 0.1 });
  });

  test('3.8 stop is text or a list of up to four', async () => {
    for (const stop of ['x', ['1', '2', '3', '4']]) expect((await call({ stop })).status).toBe(200);
    await refused({ stop: ['1', '2', '3', '4', '5'] });
  });

  test('3.9 tool_choice is a word or an object', async () => {
    for (const tool_choice of ['auto', { type: 'function', function: { name: 'get_weather' } }]) {
      const answer = await wholeAnswer((seed) => call({ tools: [TOOL], tool_choice, max_tokens: 300, seed }));
      expect(answer.status).toBe(200);
    }
  });

  test('3.10 top_logprobs from 0 to 20, and at most so many per token', async () => {
    await refused({ top_logprobs: 21 });
    const { json } = await call({ logprobs: true, top_logprobs: 3 });
    const { content } = json.choices[0].logprobs;
    expect(content.length).toBeGreaterThan(0);
    for (const entry of content) expect(entry.top_logprobs.length).toBeLessThanOrEqual(3);
    // Not said what it means alone: nothing.
    expect((await call({ top_logprobs: 3 })).status).toBe(200);
  });

  test('3.11 statuses 200, 400, 401, 429 and 500 alone', async () => {
    expect((await call({ model: 'no/such' })).status).toBe(400);
    expect((await call({}, 'junk')).status).toBe(401);
    expect((await call({}, (await world.paidKey({ capDayNusd: '1' })).text)).status).toBe(429);
    expect((await call({}, (await world.paidKey({ accountFrozen: true })).text)).status).toBe(401);
    expect((await call({ model: 'tests/other' })).status).toBe(500);
  });

  /** The product's own profiles with the waits of dmind made short. */
  function hasty(times: string): string {
    const folder = world.around.folder();
    cpSync(CONTRACTS_FOLDER, folder, { recursive: true });
    const file = join(folder, 'dmind.yaml');
    const text = readFileSync(file, 'utf8');
    const changed = text.replace(/^keepAlive: .*$/m, `keepAlive: ${times}`);
    expect(changed).not.toBe(text);
    writeFileSync(file, changed);
    return folder;
  }

  describe('a client that waits', () => {
    const waiting = async (times: string, more: Record<string, unknown>) => {
      const router = await world.around.router([world.worker.url], { TOLLGATE_CONTRACTS_DIR: hasty(times) });
      const headers = { authorization: `Bearer ${world.key.text}`, 'content-type': 'application/json' };
      const body = JSON.stringify(ask({ max_tokens: 40, ...more }));
      return fetch(`${router.url}/dmind/v1/chat/completions`, { method: 'POST', headers, body });
    };

    test('3.12 gets blank lines before its JSON, comments before its events', async () => {
      await world.fault('slow;factor=120');
      const times = '{ afterMs: 1, everyMs: 1, totalMs: 1800000 }';
      const plain = await (await waiting(times, {})).text();
      expect(plain).toMatch(/^\n+\{/);
      expect(JSON.parse(plain)).toMatchObject({ object: 'chat.completion' });
      await world.fault('hang;at=headers;times=1');
      const stream = await waiting('{ afterMs: 1, everyMs: 1, totalMs: 1500 }', { stream: true });
      expect(stream.status).toBe(200);
      expect(await stream.text()).toMatch(/^(: ping\n\n)+data: \{"error"/);
    }, 60_000);

    test('3.13 is let go at the end of the time, with an error', async () => {
      await world.fault('hang;at=headers;times=1');
      const answer = await waiting('{ afterMs: 1, everyMs: 1, totalMs: 600 }', {});
      const { error } = (await answer.json()) as { error: { message: string } };
      expect(error.message.length).toBeGreaterThan(0);
      expect(loadProfiles({ docsBase: '' }).find(({ name }) => name === 'dmind')?.keepAlive?.totalMs).toBe(1_800_000);
    }, 60_000);
  });
});
