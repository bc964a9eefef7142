/** `kill -9` of the router under load: every finished request has exactly one posting, and nothing stays held. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Devworker, startDevworker } from '@tollgate/devworker/app';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import type { RequestId } from '@tollgate/shared/domain/ids';
import { mintKey } from '@tollgate/shared/domain/key';
import { NO_LIMITS } from '@tollgate/shared/domain/limits';
import { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import { keyDigest } from '@tollgate/shared/redis/digest';
import { globalKeys } from '@tollgate/shared/redis/keys';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { PEPPER } from '../e2e/router-kit.ts';
import { BUCKETS, MODEL, PRICE, startWorld, type TestAccount, type World } from './metering-harness.ts';

/** A request that its client got whole. */
interface Finished {
  id: RequestId;
  completionTokens: number;
}

const CLIENTS = 12;
const CREDIT = 1_000_000_000_000n;
let world: World;
let worker: Devworker;
let child: ChildProcess | undefined;
let port: number;
let spool: string;
let who: TestAccount;
let keyText: string;

beforeAll(async () => {
  spool = mkdtempSync(join(tmpdir(), 'tollgate-kill-'));
  [world, worker, port] = await Promise.all([startWorld(), startDevworker({ model: MODEL, speed: 5 }), freePort()]);
  await world.metering((options) => ({
    ...options,
    // H of the router (below) is 1.5 s: holds that nobody renews for longer are ended by the reaper.
    reaper: { ...options.reaper, everyMs: 100, unbeatenMs: 2_000, silentMs: 2_000, marginMs: 500 },
  }));
  who = await world.account(CREDIT);
  const minted = mintKey((count) => systemRandom.bytes(count));
  keyText = minted.text;
  const directory = new ConsoleDirectory(world.redis.client);
  const model = {
    id: MODEL,
    createdAt: 1,
    ownedBy: 'test',
    maxModelLen: 32_768,
    defaultMaxTokens: 64,
    templateTokens: 32,
    templateTokensPerMessage: 16,
    priceId: PRICE.id,
    prices: PRICE.prices,
    enabled: true,
  };
  await directory.publishCatalog({ version: 1, models: [model] });
  const record = {
    keyId: who.key,
    accountId: who.account,
    projectId: null,
    userId: null,
    kind: 'api' as const,
    models: null,
    scopes: [],
    allowGrammars: false,
    limits: NO_LIMITS,
    accountLimits: NO_LIMITS,
    modelLimits: {},
    capDayNusd: null,
    capMonthNusd: null,
    expiresAtMs: null,
    revokedAtMs: null,
    accountFrozen: false,
    weight: 1,
  };
  await directory.publishKeys([{ digest: keyDigest(keyText, PEPPER), record }]);
  await world.redis.client.set(globalKeys.keysReady, '1');
}, 120_000);

afterAll(async () => {
  child?.kill('SIGKILL');
  await world?.stop();
  await worker?.close();
  rmSync(spool, { recursive: true, force: true });
}, 60_000);

async function startRouterProcess(): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('router-child.ts', import.meta.url));
  const started = spawn(process.execPath, ['--conditions=tollgate-source', script], {
    env: childEnvironment({
      NODE_OPTIONS: undefined,
      REDIS_URL: world.redis.url,
      TOLLGATE_ROUTER_LISTEN: `127.0.0.1:${port}`,
      TOLLGATE_ROUTER_ID: 'killed',
      TOLLGATE_KEY_PEPPER: PEPPER,
      TOLLGATE_BUCKETS: String(BUCKETS),
      TOLLGATE_WORKERS: worker.url,
      TOLLGATE_SPOOL_DIR: spool,
      TOLLGATE_PROBE_MS: '100',
      TOLLGATE_CONFIRM_MS: '50',
      TOLLGATE_HEARTBEAT_MS: '300',
      TOLLGATE_HOLD_LOST_MS: '1500',
      TOLLGATE_REDIS_DEADLINE_MS: '2000',
      LOG_LEVEL: 'error',
    }),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let complaint = '';
  started.stderr!.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  await Promise.race([
    once(started, 'message'),
    once(started, 'exit').then(() => {
      throw new Error(`the router ended at once: ${complaint}`);
    }),
  ]);
  await eventually('the router is ready', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
  return started;
}

/** One request to its end; null when its client did not get it whole. */
async function ask(stream: boolean, maxTokens: number): Promise<Finished | null> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${keyText}` },
    body: JSON.stringify({
      model: MODEL,
      messages: [{ role: 'user', content: 'hi there friend' }],
      max_tokens: maxTokens,
      ignore_eos: true,
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    }),
  });
  const id = response.headers.get('x-request-id') as RequestId;
  const text = await response.text();
  if (response.status !== 200) return null;
  if (!stream) return { id, completionTokens: JSON.parse(text).usage.completion_tokens };
  if (!text.endsWith('data: [DONE]\n\n')) return null;
  const closing = JSON.parse(text.split('\n\n').at(-3)!.slice(6));
  return { id, completionTokens: closing.usage.completion_tokens };
}

test(
  'killed again and again under load, the router loses no finished request and doubles none',
  async () => {
    const kills = counts(2, 20);
    const random = seededRandom(testSeed());
    const finished: Finished[] = [];
    let cut = 0;
    let stopping = false;
    child = await startRouterProcess();
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!stopping) {
        const answer = await ask(random.float() < 0.7, 5 + random.int(60)).catch(() => null);
        if (answer) finished.push(answer);
        else {
          cut++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    });
    for (let round = 0; round < kills; round++) {
      const target = finished.length + 20 + random.int(60);
      await eventually('some requests finish', () => finished.length >= target, { everyMs: 1, deadlineMs: 60_000 });
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      child = await startRouterProcess();
    }
    stopping = true;
    await Promise.all(clients);
    expect(cut).toBeGreaterThan(0);

    await eventually(
      'every finished request is posted, as its client saw it',
      async () => {
        const rows = await world.db
          .selectFrom('settlements')
          .select(['request_id', 'state', 'completion_tokens', 'outcome'])
          .where('account_id', '=', who.account)
          .execute();
        const byId = new Map(rows.map((row) => [row.request_id, row]));
        return finished.every(({ id, completionTokens }) => {
          const row = byId.get(id);
          return row?.state === 'final' && row.outcome === 'served' && row.completion_tokens === completionTokens;
        });
      },
      { deadlineMs: 30_000 },
    );
    await eventually(
      'nothing is held',
      async () => (await world.router.scripts.readLease(who.account)).lease?.heldNusd === 0n,
      {
        deadlineMs: 30_000,
      },
    );
    // One posting per request, and the books add up.
    const postings = await world.db
      .selectFrom('transactions')
      .select('idem_key')
      .where('account_id', '=', who.account)
      .where('kind', '=', 'settlement')
      .execute();
    expect(new Set(postings.map((row) => row.idem_key)).size).toBe(postings.length);
    const posted = new Set(postings.map((row) => row.idem_key));
    for (const { id } of finished) expect(posted.has(id)).toBe(true);
    const balance = await world.balance(who);
    expect(balance).toMatchObject({ uncollected: 0n, receivable: 0n });
    expect((await new ReconcileStore(world.db).auditLedger(1_000)).findings).toEqual([]);

    // A graceful end leaves no record behind.
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const [code] = await gone;
    expect(code).toBe(0);
    recordProof({
      name: `kill -9 of the router under load (${world.real ? 'PostgreSQL' : 'PGlite'})`,
      count: kills,
      seed: testSeed(),
      result: `${finished.length} finished requests, each posted once; ${cut} cut; held 0`,
    });
  },
  counts(120_000, 900_000),
);
