/**
 * MONEY.md section 8, test 1: the lease state machine on two real Redis servers. Any script call may be lost, lost after
 * its effect, repeated, or delayed past any other; servers are flushed, restarted, promoted with lag, demoted and promoted
 * again; the clocks of the servers differ. What may be spent is never more than was credited, and every finished request
 * is billed once. Planted bugs must be found.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import type { TestRedis } from '@tollgate/shared/testkit/redis';
import fc from 'fast-check';
import { BUCKETS, type KeeperBug, Machine } from './lease-machine/machine.ts';
import { type Day, day } from './lease-machine/steps.ts';
import { type Mutation, startServers, World } from './lease-machine/world.ts';

/** Days run side by side, each lane on servers of its own: a day is mostly waiting for copies to arrive. */
const LANES = counts(1, 4);
type Servers = [TestRedis, TestRedis];
const lanes: Servers[] = [];
beforeAll(async () => {
  for (let lane = 0; lane < LANES; lane++) lanes.push(await startServers());
});
afterAll(() => Promise.all(lanes.flat().map((server) => server.stop())));

interface Bug {
  mutation?: Mutation;
  keeper?: KeeperBug;
}

/** Null, or what went wrong after which steps. */
async function run(servers: Servers, { kind, steps }: Day, bug: Bug = {}): Promise<string | null> {
  const world = await World.start(servers, BUCKETS, kind !== 'losses', bug.mutation);
  const machine = new Machine(world, bug.keeper);
  machine.ledger.credit(200n);
  await machine.keep(0, 'grant', 100n, false, []);
  for (const [at, step] of steps.entries()) {
    await step.run(machine);
    const wrong = await machine.fault();
    if (wrong) return `${wrong} after ${steps.slice(0, at + 1).join('; ')}`;
  }
  const wrong = await machine.finish();
  return wrong && `${wrong} at the end of ${steps.join('; ')}`;
}

test('no more may ever be spent than was credited, and every finished request is billed once', async () => {
  const runs = counts(30, 5_000);
  await Promise.all(
    lanes.map((servers, lane) =>
      fc.assert(
        fc.asyncProperty(day, async (each) => {
          expect(await run(servers, each)).toBeNull();
        }),
        { numRuns: runs / LANES, seed: testSeed() + lane, endOnFailure: true },
      ),
    ),
  );
  recordProof({
    name: 'Leases on two Redis servers with lost, repeated and delayed calls, failover, flush and restart',
    count: runs,
    seed: testSeed(),
    result: '0 overspends, 0 finished requests unbilled',
  });
}, 3_600_000);

/** MONEY.md 1.2 to 1.5, each without one of its rules. */
const BUGS: Record<string, Bug> = {
  'admission does not check the history': {
    mutation: { admit: ["if f[2] ~= history then return need_lease('history') end", ''] },
  },
  'admission does not check exp': {
    mutation: { admit: ["if now_ms >= tonumber(f[3]) then return need_lease('expired') end", ''] },
  },
  'a grant is added instead of taken as total': {
    mutation: {
      grant: ['local more = granted - tonumber(f[3])', 'local more = granted\n  granted = granted + tonumber(f[3])'],
    },
  },
  'a lease may be made twice': {
    mutation: {
      grant: ["if made and tonumber(made) >= tonumber(ARGV[3]) then return {'stale', lease_view(lease)} end", ''],
    },
  },
  'a lease may be made in another era': {
    mutation: {
      grant: ["if redis.call('HGET', state, 'era') ~= ARGV[5] then return {'no_era', lease_view(lease)} end", ''],
    },
  },
  'a grant does not check the history': {
    mutation: { grant: ['if history ~= ARGV[4] or now_ms', 'if now_ms'] },
  },
  'a hold made again by a heartbeat owns money': {
    mutation: { void: ['if hold.re then return false end', ''], settle: ['if hold.re then return false end', ''] },
  },
  'a settlement moves money of whatever lease is there': {
    mutation: {
      settle: ['if not f[1] or f[1] ~= hold.lease then return false end', 'if not f[1] then return false end'],
    },
  },
  'a lost outbox keeps its name': {
    mutation: {
      settle: ['id = stamped(fresh)', "id = 'one'"],
    },
  },
  'an outbox has its name from the call that begins it': {
    mutation: { settle: ['id = stamped(fresh)', 'id = fresh'] },
  },
  'an era has its name from the call that begins it': {
    mutation: { ensure_era: ['stamped(ARGV[1])', 'ARGV[1]'] },
  },
  'Postgres books a reclaim before Redis': { keeper: 'books_returned_first' },
  'the keeper makes a lease again whose hash is gone': { keeper: 'pushes_again' },
  'a dead lease is released at once': { keeper: 'releases_at_once' },
  'Redis learns a later exp than Postgres': { keeper: 'extends_redis_first' },
};

describe('planted bugs are found', () => {
  test.each(Object.entries(BUGS))(
    '%s',
    async (name, bug) => {
      const most = 100;
      let tried = 0;
      const found = await fc.check(
        fc.asyncProperty(day, async (each) => {
          tried++;
          expect(await run(lanes[0]!, each, bug)).toBeNull();
        }),
        { numRuns: most, seed: testSeed(), endOnFailure: true },
      );
      expect(found.failed).toBe(true);
      recordProof({ name: `Planted bug: ${name}`, count: tried, seed: testSeed(), result: 'found' });
    },
    600_000,
  );
});
