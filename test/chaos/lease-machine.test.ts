/**
 * MONEY.md section 8, test 1: the lease state machine on two real Redis servers. Any script call may be lost, lost after
 * its effect, repeated, or delayed past any other; servers are flushed, restarted, promoted with lag, demoted and promoted
 * again; the clocks of the servers differ. What may be spent is never more than was credited, and every finished request
 * is billed once. Planted bugs must be found.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import type { TestRedis } from '@tollgate/shared/testkit/redis';
import fc from 'fast-check';
import { BUCKETS, type KeeperBug, Machine } from './lease-machine/machine.ts';
import { FATES, type Mutation, startServers, World } from './lease-machine/world.ts';

let servers: [TestRedis, TestRedis];
beforeAll(async () => {
  servers = await startServers();
});
afterAll(() => Promise.all(servers.map((server) => server.stop())));

const pick = fc.nat(1000);
const percent = fc.integer({ min: 0, max: 100 });
const amount = fc.bigInt(1n, 60n);
/** Most calls arrive: a world where nothing works shows nothing. */
const fate = fc.oneof(
  { weight: 3, arbitrary: fc.constant('ok' as const) },
  { weight: 2, arbitrary: fc.constantFrom(...FATES) },
);
const fates = fc.array(fate, { minLength: 1, maxLength: 2 });
const wrong = fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });
const stale = fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });
const action = fc.constantFrom('grant', 'grant', 'extend', 'reclaim', 'reclaim', 'close', 'discard');

type Step = (machine: Machine) => Promise<void> | void;
const named = (name: string, step: Step): Step => Object.assign(step, { toString: () => name });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .tuple(wrong, amount, fate)
      .map(([w, a, x]) => named(`admit ${w} ${a} ${x}`, (m) => m.admit(m.side(w), a, x))),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(wrong, pick, fate)
      .map(([w, p, x]) => named(`retry ${w} ${p} ${x}`, (m) => m.retryAdmit(m.side(w), p, x))),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(wrong, pick, percent, fate)
      .map(([w, p, c, x]) => named(`settle ${w} ${p} ${c} ${x}`, (m) => m.settle(m.side(w), p, c, x))),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(wrong, pick, fate)
      .map(([w, p, x]) => named(`give up ${w} ${p} ${x}`, (m) => m.giveUp(m.side(w), p, x))),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(wrong, fate).map(([w, x]) => named(`beat ${w} ${x}`, (m) => m.heartbeat(m.side(w), x))),
  },
  { weight: 1, arbitrary: fc.tuple(pick, percent).map(([p, c]) => named(`crash ${p} ${c}`, (m) => m.crash(p, c))) },
  { weight: 2, arbitrary: fate.map((x) => named(`reap ${x}`, (m) => m.reap(m.world.active, x))) },
  {
    weight: 12,
    arbitrary: fc
      .tuple(wrong, action, amount, stale, fates)
      .map(([w, k, a, s, x]) =>
        named(`keep ${w} ${k} ${a} ${s} ${x}`, (m) => m.keep(m.side(w), k as 'grant', a, s, x)),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(wrong, fate).map(([w, x]) => named(`drain ${w} ${x}`, (m) => m.drain(m.side(w), x))),
  },
  { weight: 1, arbitrary: fates.map((x) => named(`resend ${x}`, (m) => m.resend(m.world.active, x))) },
  { weight: 2, arbitrary: wrong.map((w) => named(`confirm ${w}`, (m) => m.readConfirmations(m.side(w)))) },
  { weight: 5, arbitrary: pick.map((p) => named(`deliver ${p}`, (m) => m.deliver(p))) },
  { weight: 2, arbitrary: fc.constant(named('release', (m) => m.release())) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(1_000, 30_000, 600_000, 1_200_000)
      .map((ms) => named(`time ${ms}`, (m) => m.world.passTime(ms))),
  },
  { weight: 1, arbitrary: amount.map((a) => named(`credit ${a}`, (m) => m.ledger.credit(a))) },
  { weight: 1, arbitrary: wrong.map((w) => named(`flush ${w}`, (m) => m.flush(m.side(w)))) },
  {
    weight: 1,
    arbitrary: fc.tuple(wrong, pick).map(([w, p]) => named(`delete ${w} ${p}`, (m) => m.deleteKey(m.side(w), p))),
  },
  { weight: 1, arbitrary: fc.constant(named('detach', (m) => m.world.detach())) },
  { weight: 2, arbitrary: fc.constant(named('promote', (m) => m.world.promote())) },
  { weight: 1, arbitrary: fc.constant(named('attach', (m) => m.world.attach())) },
  { weight: 1, arbitrary: fc.boolean().map((save) => named(`restart ${save}`, (m) => m.world.restart(save))) },
);

interface Bug {
  mutation?: Mutation;
  keeper?: KeeperBug;
}

/** Null, or what went wrong in which step. */
async function run(steps: readonly Step[], bug: Bug = {}): Promise<string | null> {
  const machine = new Machine(await World.start(servers, BUCKETS, bug.mutation), bug.keeper);
  machine.ledger.credit(200n);
  await machine.keep(0, 'grant', 100n, false, []);
  for (const [at, each] of steps.entries()) {
    await each(machine);
    const wrong = await machine.fault();
    if (wrong)
      return `${wrong} after ${steps
        .slice(0, at + 1)
        .map(String)
        .join('; ')}`;
  }
  const wrong = await machine.finish();
  return wrong && `${wrong} at the end of ${steps.map(String).join('; ')}`;
}

const LENGTH = { minLength: 30, maxLength: 80 };

test('no more may ever be spent than was credited, and every finished request is billed once', async () => {
  const runs = counts(30, 5_000);
  await fc.assert(
    fc.asyncProperty(fc.array(step, LENGTH), async (steps) => {
      expect(await run(steps)).toBeNull();
    }),
    { numRuns: runs, seed: testSeed(), endOnFailure: true },
  );
  recordProof({
    name: 'Leases on two Redis servers with lost, repeated and delayed calls, failover, flush and restart',
    count: runs,
    seed: testSeed(),
    result: '0 overspends, 0 finished requests unbilled',
  });
}, 3_600_000);
