/** Many requests at once on an account that can pay for few: never more than it can pay, never a refusal too many. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { type Asked, ask, eventuallyPosted, type RouterWorld, startRouterWorld } from './router-world.ts';

const TOKENS = 20;
let world: RouterWorld;
let spool: string;

beforeAll(async () => {
  spool = mkdtempSync(join(tmpdir(), 'tollgate-overspend-'));
  world = await startRouterWorld(20);
}, 120_000);
afterAll(async () => {
  await world?.stop();
  rmSync(spool, { recursive: true, force: true });
}, 60_000);

test(
  'parallel requests spend what an account has and nothing more; 402 comes only when it is gone',
  async () => {
    await world.metering();
    const router = await world.startRouter(spool);
    // What one request costs in the end, from an account that has plenty.
    const rich = await world.account(1_000_000_000n);
    const richKey = await world.key(rich);
    const probe = await ask(router.url, richKey, TOKENS, false);
    expect(probe.completionTokens).toBe(TOKENS);
    await eventuallyPosted(world, rich, [probe]);
    const costNusd = (await world.balance(rich)).posted;

    const parallel = counts(120, 500);
    const payable = counts(24, 100);
    const credit = costNusd * BigInt(payable);
    const who = await world.account(credit);
    const key = await world.key(who);
    const refusals: Asked[] = [];
    const finished: Asked[] = [];
    await Promise.all(
      Array.from({ length: parallel }, async (_, i) => {
        // As an SDK does: what may pass is tried again, 402 is final.
        for (;;) {
          const answer = await ask(router.url, key, TOKENS, i % 2 === 0);
          if (answer.status === 200) {
            finished.push(answer);
            return;
          }
          if (answer.status === 402) {
            refusals.push(answer);
            return;
          }
          expect(['credit_in_use', 'credit_unavailable', 'no_worker']).toContain(answer.code);
          await new Promise((resolve) => setTimeout(resolve, 50 + (i % 50)));
        }
      }),
    );
    expect(finished.length + refusals.length).toBe(parallel);
    expect(new Set(refusals.map((answer) => answer.code))).toEqual(new Set(['insufficient_credits']));
    await eventuallyPosted(world, who, finished);
    const balance = await world.balance(who);
    expect(balance.posted <= credit).toBe(true);
    expect(balance).toMatchObject({ uncollected: 0n, receivable: 0n, credited: credit });
    // Nobody was refused while a request could be paid: what is left does not pay for one more.
    const again = await ask(router.url, key, TOKENS, false);
    expect(again.status).toBe(402);
    await eventually(
      'nothing is held',
      async () => ((await world.router.scripts.readLease(who.account)).lease?.heldNusd ?? 0n) === 0n,
    );
    expect((await new ReconcileStore(world.db).auditLedger(1_000)).findings).toEqual([]);
    recordProof({
      name: `parallel requests on an account that can pay for ${payable}`,
      count: parallel,
      result: `${finished.length} served, ${refusals.length} refused, posted ${balance.posted} of ${credit} nano-USD`,
    });
  },
  counts(120_000, 600_000),
);
