/** `kill -9` of metering in the middle of a drain: afterwards every finished request has exactly one posting. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { BUCKETS, priceOf, recordOf, startWorld, type World } from './metering-harness.ts';

let world: World;
let child: ChildProcess | undefined;

beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(async () => {
  child?.kill('SIGKILL');
  await world?.stop();
});

async function startProcess(): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('metering-child.ts', import.meta.url));
  const started = spawn(process.execPath, ['--conditions=tollgate-source', script], {
    env: childEnvironment({
      NODE_OPTIONS: undefined,
      DATABASE_URL: world.databaseUrl,
      REDIS_URL: world.redis.url,
      TOLLGATE_METERING_LISTEN: '127.0.0.1:0',
      TOLLGATE_METERING_METRICS_LISTEN: '127.0.0.1:0',
      TOLLGATE_SERVICE_TOKEN: 'test-service-token',
      TOLLGATE_BUCKETS: String(BUCKETS),
      TOLLGATE_METERING_BATCH: '15',
      TOLLGATE_METERING_DRAIN_MS: '5',
      TOLLGATE_METERING_SKEW_MS: '0',
      TOLLGATE_METERING_GRACE_MS: '0',
      TOLLGATE_METERING_LEASE_SWEEP_MS: '200',
      TOLLGATE_METERING_RECONCILE_MS: '500',
      TOLLGATE_METERING_ROLLUP_MS: '500',
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
      throw new Error(`metering ended at once: ${complaint}`);
    }),
  ]);
  return started;
}

const settledRows = async () => {
  const row = await world.db
    .selectFrom('settlements')
    .select((e) => e.fn.countAll<bigint>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(row.count);
};

test('killed again and again while it drains, metering posts every record exactly once', async () => {
  const kills = counts(3, 20);
  const perRound = 120;
  const random = seededRandom(testSeed());
  const who = await world.account(1_000_000_000_000n);
  child = await startProcess();
  let sent = 0;
  let posted = 0n;
  for (let round = 0; round < kills; round++) {
    const before = await settledRows();
    const target = before + 1 + random.int(perRound - 20);
    const killed = eventually('some records are drained', async () => (await settledRows()) >= target, {
      everyMs: 1,
    }).then(async () => {
      const gone = once(child!, 'exit');
      child!.kill('SIGKILL');
      await gone;
    });
    await Promise.all(
      Array.from({ length: perRound }, async () => {
        const tokens = 1 + random.int(50);
        // The keeper may be dead by now: the request waits for the next one, as a router's client would retry.
        const intent = await world.router.admit(who, priceOf(50), 60_000);
        await world.router.settle(recordOf(intent, tokens));
        sent++;
        posted += priceOf(tokens);
      }).concat(
        killed.then(async () => {
          child = await startProcess();
        }),
      ),
    );
  }
  await eventually('everything is posted', async () => (await settledRows()) === sent, { deadlineMs: 30_000 });
  const balance = await world.balance(who);
  expect(balance).toMatchObject({ posted, uncollected: 0n, receivable: 0n });
  const transactions = await world.db
    .selectFrom('transactions')
    .select('idem_key')
    .where('account_id', '=', who.account)
    .where('kind', 'in', ['settlement', 'settlement_final'])
    .execute();
  expect(transactions).toHaveLength(sent);
  expect(new Set(transactions.map((row) => row.idem_key)).size).toBe(sent);
  expect((await new ReconcileStore(world.db).auditLedger(1_000)).findings).toEqual([]);
  expect((await world.router.scripts.readLease(who.account)).lease?.heldNusd ?? 0n).toBe(0n);

  // A graceful end gives everything back that was not used.
  const gone = once(child!, 'exit');
  child!.kill('SIGTERM');
  const [code] = await gone;
  expect(code).toBe(0);
  expect(await world.balance(who)).toMatchObject({
    posted,
    leased: 0n,
    quarantined: 0n,
    available: 1_000_000_000_000n - posted,
  });
  recordProof({
    name: `kill -9 of metering mid-drain (${world.real ? 'PostgreSQL' : 'PGlite'})`,
    count: kills,
    seed: testSeed(),
    result: `${sent} records, ${sent} postings, held 0`,
  });
}, 600_000);
