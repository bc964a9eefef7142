/** Redis killed and restarted empty, and Redis flushed, under load: nothing overspent, nothing lost, no stream broken. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { type Asked, ask, eventuallyPosted, type RouterWorld, startRouterWorld } from './router-world.ts';

const CREDIT = 1_000_000_000_000n;
let world: RouterWorld;
let spool: string;

beforeAll(async () => {
  spool = mkdtempSync(join(tmpdir(), 'tollgate-loss-'));
  world = await startRouterWorld(5);
}, 120_000);
afterAll(async () => {
  await world?.stop();
  rmSync(spool, { recursive: true, force: true });
}, 60_000);

test(
  'every loss of Redis under load: running streams end whole, finished requests are posted once, books add up',
  async () => {
    const losses = counts(2, 20);
    const random = seededRandom(testSeed());
    await world.metering();
    const router = await world.startRouter(spool);
    const who = await world.account(CREDIT);
    const key = await world.key(who);
    const finished: Asked[] = [];
    const broken: Asked[] = [];
    let refused = 0;
    let stopping = false;
    const clients = Array.from({ length: 8 }, async () => {
      while (!stopping) {
        const answer = await ask(router.url, key, 5 + random.int(40), random.float() < 0.7);
        if (answer.status !== 200) {
          expect(answer.status).toBe(503);
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        } else if (answer.completionTokens !== null) finished.push(answer);
        else broken.push(answer);
      }
    });
    const someMore = (count: number) => {
      const target = finished.length + count;
      return eventually('requests finish', () => finished.length >= target, { everyMs: 2, deadlineMs: 60_000 });
    };
    for (let loss = 0; loss < losses; loss++) {
      await someMore(20 + random.int(20));
      if (loss % 2 === 0) {
        await world.redis.kill9();
        await new Promise((resolve) => setTimeout(resolve, random.int(400)));
        await world.redis.start();
      } else await world.redis.client.flushall();
      await eventually('the console has published again', () => world.republish().then(() => true));
    }
    await someMore(20);
    stopping = true;
    await Promise.all(clients);
    expect(broken).toEqual([]);
    await eventuallyPosted(world, who, finished);
    await eventually('the spool is empty', () => router.counters().unconfirmed === 0, { deadlineMs: 60_000 });
    const balance = await world.balance(who);
    expect(balance).toMatchObject({ uncollected: 0n, receivable: 0n, credited: CREDIT });
    expect((await new ReconcileStore(world.db).auditLedger(1_000)).findings).toEqual([]);
    recordProof({
      name: 'Redis killed and restarted empty, and flushed, under load',
      count: losses,
      seed: testSeed(),
      result: `${finished.length} finished requests, each posted once; ${refused} refused with 503; 0 streams broken; uncollected 0`,
    });
  },
  counts(180_000, 900_000),
);
