/**
 * Idempotency-Key over two routers: one generation, one bill, equal bytes; when the router of the first request is
 * killed, whoever repeats it gets what was stored and the rest, and still there is one bill.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import type { TestAccount } from './metering-harness.ts';
import { MODEL, type RouterWorld, startRouterWorld } from './router-world.ts';

const CREDIT = 1_000_000_000_000n;
let world: RouterWorld;
let urls: [string, string];
let who: TestAccount;
let key: string;
const folders: string[] = [];
const folder = () => {
  const path = mkdtempSync(join(tmpdir(), 'tollgate-repeats-'));
  folders.push(path);
  return path;
};

beforeAll(async () => {
  world = await startRouterWorld(20);
  await world.metering((options) => ({
    ...options,
    reaper: { ...options.reaper, everyMs: 100, unbeatenMs: 20_000, silentMs: 20_000, marginMs: 500 },
  }));
  who = await world.account(CREDIT);
  key = await world.key(who);
  const [a, b] = await Promise.all([world.startRouter(folder()), world.startRouter(folder())]);
  urls = [a.url, b.url];
}, 120_000);

afterAll(async () => {
  await world?.stop();
  for (const path of folders) rmSync(path, { recursive: true, force: true });
}, 60_000);

interface Got {
  status: number;
  id: string;
  replayed: boolean;
  body: string;
}

interface Ask {
  stream?: boolean;
  maxTokens?: number;
  more?: Record<string, unknown>;
  signal?: AbortSignal;
}

async function send(url: string, repeatKey: string, ask: Ask = {}): Promise<Response> {
  return await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, 'idempotency-key': repeatKey },
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: `tell me of ${repeatKey}` }],
      max_tokens: ask.maxTokens ?? 20,
      ignore_eos: true,
      ...(ask.stream ? { stream: true, stream_options: { include_usage: true } } : {}),
      ...ask.more,
    }),
    ...(ask.signal ? { signal: ask.signal } : {}),
  });
}

/**
 * As an SDK asks: a 503 is tried again under the same key. On a crowded machine a lease or Redis may be late, and then a
 * router refuses before anything ran, or leaves what it took over to the next repeat.
 */
async function get(url: string, repeatKey: string, ask: Ask = {}): Promise<Got> {
  const untilMs = performance.now() + 60_000;
  let response = await send(url, repeatKey, ask);
  while (response.status === 503 && performance.now() < untilMs) {
    await response.body?.cancel();
    await sleep(Number(response.headers.get('retry-after-ms') ?? 200));
    response = await send(url, repeatKey, ask);
  }
  return {
    status: response.status,
    id: response.headers.get('x-request-id') ?? '',
    replayed: response.headers.get('idempotent-replayed') === 'true',
    body: await response.text(),
  };
}

const textOf = (body: string): string =>
  body
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)).choices?.[0]?.delta?.content ?? '')
    .join('');

/** Waits until these request ids are posted, each once, and nothing else of the account is left held. */
async function posted(ids: readonly string[]): Promise<{ request_id: string; completion_tokens: number }[]> {
  const read = () =>
    world.db
      .selectFrom('settlements')
      .select(['request_id', 'completion_tokens', 'state'])
      .where('account_id', '=', who.account)
      .execute();
  await eventually(
    'all are posted and nothing is held',
    async () => {
      const rows = new Map((await read()).map((row) => [row.request_id as string, row.state]));
      const held = (await world.router.scripts.readLease(who.account)).lease?.heldNusd ?? 0n;
      return held === 0n && ids.every((id) => rows.get(id) === 'final');
    },
    { deadlineMs: 60_000, everyMs: 50 },
  );
  return await read();
}

test('a repeat after the end gets the same bytes from either router, and nothing more is billed', async () => {
  for (const stream of [true, false]) {
    const name = `after-${stream}`;
    const first = await get(urls[0], name, { stream });
    expect(first).toMatchObject({ status: 200, replayed: false });
    for (const url of urls) {
      expect(await get(url, name, { stream })).toEqual({ ...first, replayed: true });
    }
    const before = await posted([first.id]);
    await get(urls[1], name, { stream });
    expect(await posted([first.id])).toHaveLength(before.length);
  }
});

test('another body under the same key is 422; a key that is none is 400', async () => {
  await get(urls[0], 'one-body');
  const other = await get(urls[1], 'one-body', { maxTokens: 21 });
  expect(other.status).toBe(422);
  expect(JSON.parse(other.body).error.code).toBe('idempotency_key_reused');
  expect((await get(urls[0], 'k'.repeat(256))).status).toBe(400);
});

test('a refused request is not kept: the same key runs it when it can run', async () => {
  const refused = await get(urls[0], 'refused', { more: { model: 'nothing' } });
  expect(refused.status).toBe(404);
  expect(await get(urls[1], 'refused')).toMatchObject({ status: 200, replayed: false });
});

test('a client that lost its connection asks again and gets the whole answer from its start', async () => {
  const leaving = new AbortController();
  const response = await send(urls[0], 'lost', { stream: true, maxTokens: 200, signal: leaving.signal });
  const id = response.headers.get('x-request-id')!;
  await response.body!.getReader().read();
  leaving.abort();
  const repeat = await get(urls[1], 'lost', { stream: true, maxTokens: 200 });
  expect(repeat).toMatchObject({ status: 200, id, replayed: true });
  expect(repeat.body.endsWith('data: [DONE]\n\n')).toBe(true);
  const rows = await posted([id]);
  expect(rows.find((row) => row.request_id === id)).toMatchObject({ completion_tokens: 200 });
});

test(
  'two equal requests at two routers at once: one generation, one bill, equal bytes',
  async () => {
    const races = counts(12, 200);
    const random = seededRandom(testSeed());
    const ids: string[] = [];
    const before = (await posted([])).length;
    for (let race = 0; race < races; race++) {
      const ask = { stream: random.float() < 0.6, maxTokens: 1 + random.int(60) };
      const name = `race-${race}-${testSeed()}`;
      const asked = await Promise.all(urls.map((url) => get(url, name, ask)));
      expect(asked.map(({ status }) => status)).toEqual([200, 200]);
      expect(asked[1]!.body).toBe(asked[0]!.body);
      expect(asked[1]!.id).toBe(asked[0]!.id);
      expect(asked.filter(({ replayed }) => replayed)).toHaveLength(1);
      ids.push(asked[0]!.id);
    }
    expect(await posted(ids)).toHaveLength(before + races);
    recordProof({
      name: 'two equal requests with one Idempotency-Key at two routers',
      count: races,
      seed: testSeed(),
      result: `${races} generations, ${races} bills, equal bytes`,
    });
  },
  counts(60_000, 600_000),
);

test(
  'with the router of the first killed: the survivor hands over what was stored, then the rest or an error; one bill',
  async () => {
    const kills = counts(3, 20);
    const random = seededRandom(testSeed() + 1);
    let resumed = 0;
    const ids: string[] = [];
    const before = (await posted([])).length;
    for (let round = 0; round < kills; round++) {
      const port = await freePort();
      const child = await startProcess(port);
      const name = `killed-${round}-${testSeed()}`;
      const structured = round % 3 === 2;
      const ask: Ask = {
        stream: true,
        maxTokens: 400,
        ...(structured ? { more: { response_format: { type: 'json_object' } } } : {}),
      };
      const response = await send(`http://127.0.0.1:${port}`, name, ask);
      const id = response.headers.get('x-request-id')!;
      const reader = response.body!.getReader();
      const decoder = new TextDecoder();
      let seen = '';
      const wanted = 200 + random.int(4_000);
      while (seen.length < wanted) {
        const { done, value } = await reader.read();
        if (done) break;
        seen += decoder.decode(value, { stream: true });
      }
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      await reader.cancel().catch(() => {});

      // The same request under the same id, whether a part of it had been kept or none.
      const repeat = await get(urls[random.int(2)]!, name, ask);
      expect(repeat).toMatchObject({ status: 200, id });
      if (repeat.body.endsWith('data: [DONE]\n\n')) {
        resumed++;
        expect(textOf(repeat.body).length).toBeGreaterThan(0);
      } else expect(repeat.body).toMatch(/data: \{"error":\{.*\}\}\n\n$/);
      // Whoever asks once more gets what the survivor gave.
      expect((await get(urls[0], name, ask)).body).toBe(repeat.body);
      ids.push(id);
    }
    expect(await posted(ids)).toHaveLength(before + kills);
    recordProof({
      name: 'kill -9 of the router that runs a request with an Idempotency-Key, then a repeat elsewhere',
      count: kills,
      seed: testSeed() + 1,
      result: `${kills} bills; ${resumed} streams came to their end, ${kills - resumed} ended with an error event`,
    });
  },
  counts(120_000, 900_000),
);

async function startProcess(port: number): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('router-child.ts', import.meta.url));
  const started = spawn(process.execPath, ['--conditions=tollgate-source', script], {
    env: childEnvironment({
      NODE_OPTIONS: undefined,
      ...world.env({
        TOLLGATE_ROUTER_LISTEN: `127.0.0.1:${port}`,
        TOLLGATE_SPOOL_DIR: folder(),
        LOG_LEVEL: 'error',
      }),
    }),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await once(started, 'message');
  await eventually('the router is ready', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
  return started;
}
