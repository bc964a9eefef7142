/** The router as a process: bad configuration, and how it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { startRouterProcess } from './router-child-kit.ts';
import { chat, events, hello, type Surroundings, startSurroundings, type TestKey } from './router-kit.ts';

let around: Surroundings;
let worker: Devworker;
let key: TestKey;

beforeAll(async () => {
  around = await startSurroundings();
  worker = await startDevworker({ speed: 2 });
  key = await around.key();
  await around.credit(key.record.accountId, 100_000_000_000n);
});

afterAll(async () => {
  await around.stop();
  await worker.close();
});

async function run(
  env: Record<string, string>,
  args: string[] = [],
): Promise<{ code: number; out: string; err: string }> {
  const script = fileURLToPath(new URL('../../services/router/src/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=tollgate-source', script, ...args], {
    env: childEnvironment({ NODE_OPTIONS: undefined, ...env }),
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = await once(child, 'close');
  return { code: code as number, out, err };
}

describe('configuration', () => {
  test('that is bad is listed whole and ends the process with 78, before any port opens', async () => {
    const { code, err } = await run({
      REDIS_URL: 'http://wrong',
      TOLLGATE_KEY_PEPPER: 'short',
      TOLLGATE_WORKERS: 'ftp://x',
      TOLLGATE_ROUTER_LISTEN: 'nowhere',
    });
    expect(code).toBe(78);
    for (const name of [
      'REDIS_URL',
      'TOLLGATE_KEY_PEPPER',
      'TOLLGATE_WORKERS',
      'TOLLGATE_ROUTER_LISTEN',
      'TOLLGATE_SPOOL_DIR',
    ]) {
      expect(err).toContain(name);
    }
    expect(err).not.toContain('short\n');
  }, 60_000);

  test('is shown without its secrets on demand', async () => {
    const pepper = 'p'.repeat(40);
    const env = {
      REDIS_URL: 'redis://:hidden@127.0.0.1:1',
      TOLLGATE_KEY_PEPPER: pepper,
      TOLLGATE_SPOOL_DIR: around.folder(),
    };
    const { code, out } = await run(env, ['--check-config']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ TOLLGATE_KEY_PEPPER: '[redacted]', TOLLGATE_BUCKETS: 256 });
    expect(out).not.toContain(pepper);
    expect(out).not.toContain('hidden');
  }, 60_000);
});

function stream(url: string, maxTokens: number): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key.text}` },
    body: JSON.stringify(hello({ stream: true, max_tokens: maxTokens, ignore_eos: true })),
  });
}

describe('a stop', () => {
  test('lets running streams end whole, is not ready meanwhile, and leaves no record behind', async () => {
    const router = await around.router([worker.url], {
      TOLLGATE_STOP_GRACE_MS: '20000',
      TOLLGATE_DRAIN_DELAY_MS: '300',
      TOLLGATE_ROUTER_METRICS_LISTEN: '127.0.0.1:0',
    });
    const running = await stream(router.url, 120);
    const reading = running.text();
    const stopped = router.stop();
    await eventually(
      'it says that it is not ready',
      async () => (await fetch(`${router.metricsUrl}/readyz`)).status === 503,
    );
    // The port still answers for a moment: balancers have not noticed yet.
    expect((await chat(router, key.text, hello({ max_tokens: 2 }))).status).toBe(200);
    const confirming = setInterval(() => void around.drain(), 20);
    expect((await reading).endsWith('data: [DONE]\n\n')).toBe(true);
    await stopped;
    clearInterval(confirming);
    expect(router.counters()).toMatchObject({ running: 0, unconfirmed: 0 });
    await expect(fetch(`${router.url}/healthz`)).rejects.toThrow();
  }, 30_000);

  test('ends at its deadline what still runs: error event, no [DONE], billed', async () => {
    const router = await around.router([worker.url], { TOLLGATE_STOP_GRACE_MS: '1000' });
    const running = await stream(router.url, 30_000);
    const reading = running.text();
    await router.stop();
    const text = await reading;
    expect(text).not.toContain('[DONE]');
    expect(JSON.parse(events(text).at(-1)!).error.code).toBe('shutting_down');
    const id = running.headers.get('x-request-id');
    const record = (await around.records()).find((entry) => entry.requestId === id);
    expect(record).toMatchObject({ outcome: 'drained' });
    expect(record!.completionTokens).toBeGreaterThan(0);
    expect(record!.cachedTokens).toBe(record!.promptTokens);
  }, 30_000);
});

describe('a signal', () => {
  /** A metering that confirms; without it a stop waits for its records. */
  let confirming: NodeJS.Timeout;
  beforeAll(() => {
    confirming = setInterval(() => void around.drain(), 20);
  });
  afterAll(() => clearInterval(confirming));

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s, though it comes three times at once, lets streams end whole and the process with 0',
    async (name) => {
      const router = await startRouterProcess(around, [worker.url], { TOLLGATE_STOP_GRACE_MS: '20000' });
      await eventually('it is ready', async () => (await fetch(`${router.url}/readyz`)).ok);
      const running = await stream(router.url, 120);
      expect(running.status).toBe(200);
      const reading = running.text();
      for (let i = 0; i < 3; i++) router.signal(name);
      expect((await reading).endsWith('data: [DONE]\n\n')).toBe(true);
      expect(await router.exited()).toBe(0);
    },
    30_000,
  );

  test('that is repeated after more than a second ends the process at once, with 130', async () => {
    const router = await startRouterProcess(around, [worker.url], { TOLLGATE_STOP_GRACE_MS: '600000' });
    await eventually('it is ready', async () => (await fetch(`${router.url}/readyz`)).ok);
    const running = await stream(router.url, 30_000);
    const reading = running.text().catch(() => 'cut');
    const impatient = setInterval(() => router.signal('SIGTERM'), 100);
    expect(await router.exited()).toBe(130);
    clearInterval(impatient);
    expect(await reading).not.toContain('[DONE]');
  }, 30_000);
});

test('a hold that cannot be renewed for H ends its stream, and the record waits in the spool', async () => {
  const own = await startSurroundings();
  try {
    const router = await own.router([worker.url], {
      TOLLGATE_HEARTBEAT_MS: '100',
      TOLLGATE_HOLD_LOST_MS: '500',
      TOLLGATE_REDIS_DEADLINE_MS: '200',
    });
    const mine = await own.key();
    await own.credit(mine.record.accountId, 100_000_000_000n);
    const response = await fetch(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${mine.text}` },
      body: JSON.stringify(hello({ stream: true, max_tokens: 30_000, ignore_eos: true })),
    });
    await own.redis.kill9();
    const text = await response.text();
    expect(text).not.toContain('[DONE]');
    expect(JSON.parse(events(text).at(-1)!).error).toMatchObject({
      code: 'credit_unavailable',
      message: expect.stringContaining('billed'),
    });
    expect(router.counters()).toMatchObject({ unconfirmed: 1, heldBeats: 0 });
  } finally {
    await own.stop();
  }
}, 30_000);
