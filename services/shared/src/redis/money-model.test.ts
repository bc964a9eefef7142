/** Any sequence of money calls on one Redis, compared with a model that is a few lines of arithmetic. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { counts, recordProof, testSeed } from '../testkit/counts.ts';
import { type MoneyFixture, moneyFixture, reqId } from '../testkit/money.ts';

let f: MoneyFixture;
beforeAll(async () => {
  f = await moneyFixture();
});
afterAll(() => f.redis.stop());

interface Model {
  leaseId: string;
  granted: bigint;
  free: bigint;
  held: bigint;
  spent: bigint;
  returned: bigint;
  /** Live holds: amount, and whether the present lease owns it. */
  holds: Map<string, { amount: bigint; leaseId: string; beats: number }>;
  ended: Set<string>;
  records: number;
}

const request = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const amount = fc.oneof(fc.bigInt(0n, 50n), fc.bigInt(0n, 100_000_000_000_000n));
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('admit' as const), request, amount }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('settle' as const), request, amount }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('void' as const), request, amount }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('reap' as const), request, amount }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('beat' as const), request, amount }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('reclaim' as const), request, amount }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('add' as const), request, amount }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('replace' as const), request, amount }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const least = (a: bigint, b: bigint): bigint => (a > b ? b : a);

function take(model: Model, name: string, spent: bigint): void {
  const hold = model.holds.get(name);
  if (!hold) return;
  model.holds.delete(name);
  if (hold.leaseId !== model.leaseId) return;
  const billed = least(spent, hold.amount);
  model.held -= hold.amount;
  model.spent += billed;
  model.free += hold.amount - billed;
}

async function apply(model: Model, { op, request: name, amount: nusd }: Step): Promise<void> {
  const { history } = await f.money.readLease(f.account);
  const ref = { accountId: f.account, leaseId: model.leaseId as `lease_${string}`, history };
  const hold = model.holds.get(name);
  switch (op) {
    case 'admit': {
      const answer = await f.admit(name, nusd);
      const expected = hold ? 'held' : model.ended.has(name) ? 'resolved' : nusd <= model.free ? 'ok' : 'need_lease';
      expect(answer.kind).toBe(expected);
      if (answer.kind !== 'ok') return;
      model.free -= nusd;
      model.held += nusd;
      model.holds.set(name, { amount: nusd, leaseId: model.leaseId, beats: 0 });
      return;
    }
    case 'settle': {
      const leaseId = (hold?.leaseId ?? model.leaseId) as `lease_${string}`;
      const answer = await f.settle(name, nusd, { leaseId });
      if (answer.how !== 'repeated') model.records++;
      expect(answer.how === 'settled').toBe(hold !== undefined && hold.leaseId === model.leaseId);
      take(model, name, nusd);
      model.ended.add(name);
      return;
    }
    case 'void':
      expect(await f.voidHold(name)).toBe(hold ? 'voided' : model.ended.has(name) ? 'resolved' : 'absent');
      take(model, name, 0n);
      model.ended.add(name);
      return;
    case 'beat':
      expect(await f.beat(name, model.leaseId as `lease_${string}`, 1n)).toBe(
        hold ? 'held' : model.ended.has(name) ? 'resolved' : 'recreated',
      );
      if (hold) hold.beats++;
      else if (!model.ended.has(name)) model.holds.set(name, { amount: 0n, leaseId: 'none', beats: Number.NaN });
      return;
    case 'reap': {
      const answer = await f.money.reap({
        ...ref,
        leaseId: (hold?.leaseId ?? model.leaseId) as `lease_${string}`,
        keyId: f.key,
        model: f.model,
        requestId: reqId(name),
        tokens: 0,
        routerId: 'r',
        expectedBeats: hold?.beats || 0,
        amountNusd: nusd,
        record: nusd === 0n ? null : '{}',
      });
      const judged = hold !== undefined && !Number.isNaN(hold.beats);
      expect(answer).toBe(!hold ? 'resolved' : !judged ? 'moved' : nusd === 0n ? 'voided' : 'reaped');
      if (!judged) return;
      if (answer === 'reaped') model.records++;
      take(model, name, nusd);
      model.ended.add(name);
      return;
    }
    case 'reclaim': {
      await f.money.reclaim({ ...ref, returnedNusd: nusd });
      const wanted = nusd - model.returned;
      if (wanted <= 0n) return;
      const more = least(wanted, model.free);
      model.free -= more;
      model.returned += more;
      return;
    }
    case 'add': {
      const read = await f.money.readLease(f.account);
      await f.money.grant({
        ...ref,
        seq: 0n,
        era: read.era!,
        grantedNusd: nusd,
        expMs: 0,
        create: false,
        notAfterMs: read.nowMs + 60_000,
        caps: [],
      });
      if (nusd > model.granted) {
        model.free += nusd - model.granted;
        model.granted = nusd;
      }
      return;
    }
    case 'replace':
      Object.assign(model, {
        leaseId: await f.lease(nusd),
        granted: nusd,
        free: nusd,
        held: 0n,
        spent: 0n,
        returned: 0n,
      });
  }
}

test('free + held + spent + returned = granted, none below zero, after any sequence of calls', async () => {
  const runs = counts(60, 3000);
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (sequence) => {
      await f.reset();
      const leaseId = await f.lease(100n);
      const model: Model = {
        leaseId,
        granted: 100n,
        free: 100n,
        held: 0n,
        spent: 0n,
        returned: 0n,
        holds: new Map(),
        ended: new Set(),
        records: 0,
      };
      for (const each of sequence) {
        steps++;
        await apply(model, each);
        const totals = await f.totals();
        expect(totals).toEqual([model.free, model.held, model.spent, model.returned]);
        expect(totals!.every((part) => part >= 0n)).toBe(true);
        expect(totals!.reduce((sum, part) => sum + part)).toBe(model.granted);
      }
      expect((await f.money.drainRead(f.bucket, 1)).length).toBe(model.records);
      expect((await f.money.readHolds(f.bucket)).holds.map((hold) => hold.requestId).sort()).toEqual(
        [...model.holds.keys()].map(reqId).sort(),
      );
    }),
    { numRuns: runs, seed: testSeed() },
  );
  recordProof({ name: 'Lease totals add up on one Redis', count: steps, seed: testSeed(), result: '0 differences' });
}, 600_000);
