/** The local start as a person and as scripts meet it (DESIGN section 10), with every part real. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { cleanUp, type LocalStart, newHome, runStart, startLocal } from './local-start.ts';

const LIMIT_MS = 240_000;
const MODEL = 'Qwen/Qwen3-30B-A3B-FP8';
afterAll(cleanUp, LIMIT_MS);

const marksOf = (home: string) =>
  JSON.parse(readFileSync(join(home, 'processes.json'), 'utf8')) as Record<string, { pid: number }>;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** One request; while the local start says "not now" (503 with Retry-After), again, as every SDK does. */
async function chat(local: LocalStart, key: string): Promise<Response> {
  return eventually(
    'an answer other than 503',
    async () => {
      const answer = await ask(local, key);
      return answer.status === 503 ? null : answer;
    },
    { deadlineMs: 90_000, everyMs: 500 },
  );
}

const ask = (local: LocalStart, key: string) =>
  fetch(`${local.dev.routerUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: MODEL, max_tokens: 12, messages: [{ role: 'user', content: 'Say hello' }] }),
  });

interface Shown {
  creditedNusd: string;
  postedNusd: string;
  heldNusd: string;
  availableNusd: string;
}

/** Waits until nothing is in flight, checks the identity, and returns what was seen. */
async function settledCredits(local: LocalStart, accountId: string, postedNusd?: string): Promise<Shown> {
  const shown = (await eventually(
    'nothing is held',
    async () => {
      const credits = (await local.json('credits', 'show', '--account', accountId)) as Shown;
      const isRight = credits.heldNusd === '0' && (postedNusd === undefined || credits.postedNusd === postedNusd);
      return isRight ? credits : null;
    },
    { deadlineMs: 120_000, everyMs: 500 },
  )) as Shown;
  const [credited, posted, held, available] = [
    shown.creditedNusd,
    shown.postedNusd,
    shown.heldNusd,
    shown.availableNusd,
  ].map(BigInt);
  expect(credited).toBe(posted! + held! + available!);
  return shown;
}

describe('a local start', () => {
  let local: LocalStart;
  let key: { key: string; keyId: string; accountId: string };
  let postedNusd: string;
  let requestIds: string[];

  beforeAll(async () => {
    // What a first start that was killed leaves behind.
    const home = newHome();
    mkdirSync(join(home, 'pg'));
    writeFileSync(join(home, 'pg', 'PG_VERSION'), '18\n');
    local = await startLocal({ home });
  }, LIMIT_MS);

  test('half a database of a start that was cut short is put aside', () => {
    expect(existsSync(join(local.home, 'pg.incomplete', 'PG_VERSION'))).toBe(true);
    expect(existsSync(join(local.home, 'pg.complete'))).toBe(true);
  });

  test('writes what it prints into dev.json, for its owner only', () => {
    const path = join(local.home, 'dev.json');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(local.dev);
    expect(Object.keys(local.dev)).toEqual([
      'routerUrl',
      'consoleUrl',
      'metricsUrl',
      'apiKey',
      'adminToken',
      'adminEmail',
      'adminPassword',
    ]);
    for (const file of ['dev.json', 'state.json']) expect(statSync(join(local.home, file)).mode & 0o777).toBe(0o600);
  });

  test(
    'started twice prints the same and exits 0',
    async () => {
      const again = await runStart(['--json'], { TOLLGATE_HOME: local.home });
      expect([again.code, JSON.parse(again.stdout)]).toEqual([0, local.dev]);
    },
    LIMIT_MS,
  );

  test(
    'its ready key is answered, and its metrics are on a port of their own',
    async () => {
      const answer = await chat(local, local.dev.apiKey);
      expect([answer.status, ((await answer.json()) as { usage: unknown }).usage]).toEqual([200, expect.any(Object)]);
      const metrics = await (await fetch(local.dev.metricsUrl)).text();
      expect(metrics).toContain('tollgate_build_info{service="router"');
    },
    LIMIT_MS,
  );

  test(
    'keys create: a new account with spendable credit, every request billed once',
    async () => {
      key = await local.json('keys', 'create', '--name', 'e2e', '--credit-usd', '1.5', '--rpm', '600');
      expect(Object.keys(key)).toEqual(['key', 'keyId', 'accountId']);
      for (let i = 0; i < 3; i++) expect((await chat(local, key.key)).status).toBe(200);
      const usage = await eventually(
        'three requests in the ledger',
        async () => {
          const page = await local.json('usage', '--account', key.accountId);
          return page.data.length >= 3 ? page : null;
        },
        { deadlineMs: 60_000, everyMs: 500 },
      );
      expect(usage).toEqual({ data: expect.any(Array), next: null });
      expect(usage.data).toHaveLength(3);
      expect(Object.keys(usage.data[0])).toEqual([
        'requestId',
        'model',
        'outcome',
        'promptTokens',
        'cachedTokens',
        'completionTokens',
        'amountNusd',
      ]);
      requestIds = usage.data.map((line: { requestId: string }) => line.requestId).sort();
      const billed = usage.data.reduce(
        (sum: bigint, line: { amountNusd: string }) => sum + BigInt(line.amountNusd),
        0n,
      );
      postedNusd = (await settledCredits(local, key.accountId, String(billed))).postedNusd;
      expect(BigInt(postedNusd)).toBeGreaterThan(0n);
    },
    LIMIT_MS,
  );

  test(
    'credits add is shown at once',
    async () => {
      const before = await settledCredits(local, key.accountId);
      const after = await local.json('credits', 'add', '--account', key.accountId, '--usd', '2', '--reason', 'e2e');
      expect(BigInt(after.creditedNusd) - BigInt(before.creditedNusd)).toBe(2_000_000_000n);
    },
    LIMIT_MS,
  );

  test(
    'workers are listed, drained and taken back',
    async () => {
      const { data } = await local.json('workers', 'list');
      expect(data.map((worker: object) => Object.keys(worker))).toEqual(
        Array(2).fill(['url', 'engine', 'model', 'state', 'running', 'waiting', 'kvUsage']),
      );
      const [first] = data as { url: string }[];
      const stateOf = async () =>
        (await local.json('workers', 'list')).data.find((worker: { url: string }) => worker.url === first!.url).state;
      await local.json('workers', 'drain', first!.url);
      await eventually('it drains', async () => (await stateOf()) === 'draining', { everyMs: 300 });
      expect((await chat(local, key.key)).status).toBe(200);
      await local.json('workers', 'undrain', first!.url);
      await eventually('it takes requests', async () => (await stateOf()) === 'ready', { everyMs: 300 });
    },
    LIMIT_MS,
  );

  test(
    'keys rotate and revoke take effect',
    async () => {
      const rotated = await local.json('keys', 'rotate', key.keyId, '--overlap', '1h');
      expect(Object.keys(rotated)).toEqual(['key', 'keyId']);
      for (const each of [key.key, rotated.key]) expect((await chat(local, each)).status).toBe(200);
      const revoked = await local.json('keys', 'revoke', key.keyId);
      expect(Object.keys(revoked)).toEqual(['keyId', 'revokedAt']);
      await eventually('the old key is refused', async () => (await chat(local, key.key)).status === 401);
      expect((await chat(local, rotated.key)).status).toBe(200);
      const { data, next } = await local.json('keys', 'list', '--account', key.accountId);
      expect(next).toBeNull();
      expect(Object.keys(data[0])).toEqual([
        'keyId',
        'accountId',
        'name',
        'prefix',
        'last4',
        'createdAt',
        'expiresAt',
        'revokedAt',
      ]);
      key = { ...key, ...rotated };
    },
    LIMIT_MS,
  );

  test(
    'doctor finds nothing wrong',
    async () => {
      // How fast Redis answers says something about the machine, which also runs other tests now.
      await eventually(
        'nothing wrong but the pace',
        async () => {
          const { code, stdout, stderr } = await local.cli('doctor', '--json');
          const { checks } = JSON.parse(stdout) as { checks: { name: string; ok: boolean; fix: string | null }[] };
          const wrong = checks.filter((check) => !check.ok);
          expect([code, stderr]).toEqual([wrong.length === 0 ? 0 : 1, '']);
          for (const check of wrong) expect(check.fix).toBeTruthy();
          return wrong.every((check) => check.name === 'redis latency');
        },
        { deadlineMs: 60_000, everyMs: 1_000 },
      );
    },
    LIMIT_MS,
  );

  test(
    'a failure of the console is a failure of the command, in its own words',
    async () => {
      const { code, stdout, stderr } = await local.cli('keys', 'revoke', 'key_nothere', '--json');
      expect([code, stdout]).toEqual([1, '']);
      expect(JSON.parse(stderr).error).toEqual({ code: 'not_found', message: expect.any(String) });
    },
    LIMIT_MS,
  );

  test(
    'Ctrl-C stops every process, and the next start has credits, keys and usage as they were',
    async () => {
      const page = await eventually('all requests are in the ledger', async () => {
        const usage = await local.json('usage', '--account', key.accountId);
        return usage.data.length >= 7 ? usage : null;
      });
      const before = await settledCredits(local, key.accountId);
      const pids = Object.values(marksOf(local.home)).map((mark) => mark.pid);
      expect(pids.length).toBe(8);
      expect(await local.stop()).toBe(0);
      expect(pids.filter(isRunning)).toEqual([]);

      const old = local;
      local = await startLocal({ home: old.home });
      expect(local.dev).toEqual(old.dev);
      const after = await settledCredits(local, key.accountId);
      expect(after).toEqual(before);
      expect(await local.json('usage', '--account', key.accountId)).toEqual(page);
      expect(page.data.map((line: { requestId: string }) => line.requestId)).toEqual(
        expect.arrayContaining(requestIds),
      );
      await eventually('the key is answered', async () => (await chat(local, key.key)).status === 200, {
        deadlineMs: 60_000,
      });
    },
    LIMIT_MS,
  );

  test(
    'a service that is killed is started again',
    async () => {
      const before = marksOf(local.home).metering!.pid;
      process.kill(before, 'SIGKILL');
      await eventually('a new process', () => marksOf(local.home).metering!.pid !== before);
      expect((await chat(local, key.key)).status).toBe(200);
      await settledCredits(local, key.accountId);
    },
    LIMIT_MS,
  );

  test(
    'a supervisor that is killed leaves nothing behind, and the next start keeps the data',
    async () => {
      const { creditedNusd } = await settledCredits(local, key.accountId);
      const pids = Object.values(marksOf(local.home)).map((mark) => mark.pid);
      process.kill(local.supervisorPid(), 'SIGKILL');
      await local.ended;
      const { home } = local;
      local = await startLocal({ home });
      const fresh = new Set(Object.values(marksOf(home)).map((mark) => mark.pid));
      expect(pids.filter((pid) => !fresh.has(pid) && isRunning(pid))).toEqual([]);
      expect((await settledCredits(local, key.accountId)).creditedNusd).toBe(creditedNusd);
      await eventually('the key is answered', async () => (await chat(local, key.key)).status === 200, {
        deadlineMs: 90_000,
      });
    },
    LIMIT_MS,
  );

  test(
    '--reset while it runs is refused; afterwards it wipes data and secrets',
    async () => {
      const refused = await runStart(['--reset', '--json'], { TOLLGATE_HOME: local.home });
      expect([refused.code, refused.stdout, JSON.parse(refused.stderr.trim().split('\n').at(-1)!).error.code]).toEqual([
        1,
        '',
        'running',
      ]);
      expect(await local.stop()).toBe(0);
      const old = local.dev;
      local = await startLocal({ home: local.home, args: ['--reset'] });
      expect([local.dev.apiKey === old.apiKey, local.dev.adminToken === old.adminToken]).toEqual([false, false]);
      expect((await chat(local, old.apiKey)).status).toBe(401);
      expect(await local.stop()).toBe(0);
    },
    LIMIT_MS,
  );
});

test(
  'a taken port is named, and nothing is left running',
  async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { code, stdout, stderr } = await runStart(['--router-port', String(port), '--json'], {
      TOLLGATE_HOME: newHome(),
    });
    server.close();
    expect([code, stdout]).toEqual([1, '']);
    const { error } = JSON.parse(stderr.trim().split('\n').at(-1)!);
    expect(error).toEqual({
      code: 'port_taken',
      message: expect.stringContaining(`port ${port} on 127.0.0.1 (router)`),
    });
  },
  LIMIT_MS,
);
