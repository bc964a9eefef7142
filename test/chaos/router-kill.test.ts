/** `kill -9` of the router under load: every finished request has exactly one posting, and nothing stays held. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { freePort } from '@tollgate/shared/testkit/ports';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import type { TestAccount } from './metering-harness.ts';
import { type Asked, ask, eventuallyPosted, type RouterWorld, startRouterWorld } from './router-world.ts';

const CLIENTS = 12;
const CREDIT = 1_000_000_000_000n;
let world: RouterWorld;
let child: ChildProcess | undefined;
let port: number;
let spool: string;
let who: TestAccount;
let key: string;

beforeAll(async () => {
  spool = mkdtempSync(join(tmpdir(), 'tollgate-kill-'));
  [world, port] = await Promise.all([startRouterWorld(5), freePort()]);
  await world.metering((options) => ({
    ...options,
    // H of the router (below) is 1.5 s: holds that nobody renews for longer are ended by the reaper.
    reaper: { ...options.reaper, everyMs: 100, unbeatenMs: 2_000, silentMs: 2_000, marginMs: 500 },
  }));
  who = await world.account(CREDIT);
  key = await world.key(who);
}, 120_000);

afterAll(async () => {
  child?.kill('SIGKILL');
  await world?.stop();
  rmSync(spool, { recursive: true, force: true });
}, 60_000);

async function startProcess(): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('router-child.ts', import.meta.url));
  const started = spawn(process.execPath, ['--conditions=tollgate-source', script], {
    env: childEnvironment({
      NODE_OPTIONS: undefined,
      ...world.env({
        TOLLGATE_ROUTER_LISTEN: `127.0.0.1:${port}`,
        TOLLGATE_ROUTER_ID: 'killed',
        TOLLGATE_SPOOL_DIR: spool,
        TOLLGATE_HOLD_LOST_MS: '1500',
        LOG_LEVEL: 'error',
      }),
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

test(
  'killed again and again under load, the router loses no finished request and doubles none',
  async () => {
    const kills = counts(2, 20);
    const random = seededRandom(testSeed());
    const url = `http://127.0.0.1:${port}`;
    const finished: Asked[] = [];
    let cut = 0;
    let stopping = false;
    child = await startProcess();
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!stopping) {
        const answer = await ask(url, key, 5 + random.int(60), random.float() < 0.7).catch(() => null);
        if (answer !== null && answer.completionTokens !== null) finished.push(answer);
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
      child = await startProcess();
    }
    stopping = true;
    await Promise.all(clients);
    expect(cut).toBeGreaterThan(0);

    await eventuallyPosted(world, who, finished);
    await eventually(
      'nothing is held',
      async () => (await world.router.scripts.readLease(who.account)).lease?.heldNusd === 0n,
      { deadlineMs: 30_000 },
    );
    expect(await world.balance(who)).toMatchObject({ uncollected: 0n, receivable: 0n });
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
