import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CLAMP_FLOOR_TOKENS, type CreditDemand, type CreditView, decideCredit } from './credit.ts';
import { costNusd, MAX_LEASE_NUSD } from './money.ts';

/** 1 nano-USD per prompt token and per output token and choice. */
const PRICES = { inputNusd: 1_000_000n, cachedInputNusd: 0n, outputNusd: 1_000_000n };

function demandOf(options: Partial<CreditDemand> & { prompt?: number; n?: number } = {}): CreditDemand {
  const { prompt = 100, n = 1, ...rest } = options;
  return {
    maxTokens: 1000,
    minTokens: 0,
    wholeAnswerOnly: false,
    holdNusd: (maxTokens) =>
      costNusd({ promptTokens: prompt, cachedTokens: 0, completionTokens: n * maxTokens }, PRICES),
    ...rest,
  };
}

interface World {
  available: bigint;
  quarantined: bigint;
  free: bigint;
  held: bigint;
  spent: bigint;
  returned: bigint;
  /** Of `returned`, what Postgres has booked. */
  booked: bigint;
}

const NOTHING: World = { available: 0n, quarantined: 0n, free: 0n, held: 0n, spent: 0n, returned: 0n, booked: 0n };

/** What an admission and the keeper would tell of this world. */
function viewOf(part: Partial<World>, why: CreditView['why'] = 'short'): CreditView {
  const world = { ...NOTHING, ...part };
  const granted = world.free + world.held + world.spent + world.returned;
  return {
    why,
    lease: {
      leaseId: 'lease_1',
      grantedNusd: granted,
      freeNusd: world.free,
      heldNusd: world.held,
      spentNusd: world.spent,
      returnedNusd: world.returned,
    },
    verdict: {
      leaseId: 'lease_1',
      grantedNusd: granted,
      returnedNusd: world.booked,
      availableNusd: world.available,
      quarantinedNusd: world.quarantined,
      atMs: 5,
    },
    askedAtMs: 5,
  };
}

describe('402', () => {
  test('when the whole credit, holds and quarantine included, does not pay the least acceptable hold', () => {
    const view = viewOf({ available: 100n, quarantined: 100n, held: 100n, free: 55n });
    expect(decideCredit(view, demandOf())).toEqual({
      kind: 'insufficient',
      requiredNusd: 356n,
      availableNusd: 355n,
    });
  });

  test('not when one nano-USD more is there, wherever it lies', () => {
    for (const part of [
      { available: 356n },
      { quarantined: 356n },
      { held: 356n },
      { free: 356n },
      { returned: 356n },
    ]) {
      expect(decideCredit(viewOf(part), demandOf()).kind).not.toBe('insufficient');
    }
  });

  test('for a request of one token needs only the prompt and one token', () => {
    expect(decideCredit(viewOf({ free: 100n }), demandOf({ maxTokens: 1 }))).toMatchObject({ requiredNusd: 101n });
  });

  test('in place of a clamp when only a whole answer counts', () => {
    expect(decideCredit(viewOf({ available: 1099n }), demandOf({ wholeAnswerOnly: true }))).toMatchObject({
      kind: 'insufficient',
      requiredNusd: 1100n,
    });
  });

  test('never without a verdict, nor with one that does not know the lease or its last grant', () => {
    const empty = viewOf({});
    expect(decideCredit({ ...empty, verdict: null }, demandOf()).kind).toBe('wait');
    expect(decideCredit({ ...empty, verdict: { ...empty.verdict!, leaseId: 'lease_0' } }, demandOf()).kind).toBe(
      'wait',
    );
    expect(decideCredit({ ...empty, verdict: { ...empty.verdict!, grantedNusd: 1n } }, demandOf()).kind).toBe('wait');
    expect(decideCredit({ ...empty, verdict: { ...empty.verdict!, leaseId: null } }, demandOf()).kind).toBe('wait');
    expect(decideCredit({ ...empty, why: 'missing', lease: null }, demandOf()).kind).toBe('wait');
  });

  test('for an account without any lease, from the balance alone', () => {
    const verdict = { ...viewOf({ available: 10n }).verdict!, leaseId: null };
    expect(decideCredit({ why: 'missing', lease: null, verdict, askedAtMs: 5 }, demandOf()).kind).toBe('insufficient');
    // What a dead lease in Redis says is worth nothing: Postgres has quarantined it.
    const stale = viewOf({ free: 10_000n }).lease;
    expect(decideCredit({ why: 'history', lease: stale, verdict, askedAtMs: 5 }, demandOf()).kind).toBe('insufficient');
  });
});

describe('clamp', () => {
  test('gives what free and available pay, per choice', () => {
    expect(decideCredit(viewOf({ free: 300n, available: 400n }), demandOf())).toEqual({
      kind: 'clamp',
      maxTokens: 600,
      amountNusd: 700n,
    });
    expect(decideCredit(viewOf({ free: 801n }), demandOf({ n: 2, maxTokens: 400 }))).toEqual({
      kind: 'clamp',
      maxTokens: 350,
      amountNusd: 800n,
    });
  });

  test('never when true credit covers the request: own holds mean 429, quarantine 503', () => {
    expect(decideCredit(viewOf({ free: 600n, held: 500n }), demandOf()).kind).toBe('in_use');
    expect(decideCredit(viewOf({ free: 600n, quarantined: 500n }), demandOf()).kind).toBe('unavailable');
    // Either alone would do: the quarantine of a lease that was replaced ends in a moment, so nobody is blamed yet.
    expect(decideCredit(viewOf({ free: 600n, held: 500n, quarantined: 500n }), demandOf()).kind).toBe('wait');
  });

  test('never below min_tokens', () => {
    expect(decideCredit(viewOf({ free: 700n }), demandOf({ minTokens: 601 })).kind).toBe('insufficient');
    expect(decideCredit(viewOf({ free: 700n }), demandOf({ minTokens: 600 }))).toMatchObject({ maxTokens: 600 });
  });

  test('bounds a request beyond the largest lease, also before the keeper has said anything', () => {
    const demand = demandOf({ maxTokens: Number(MAX_LEASE_NUSD) * 2 });
    const bounded = { kind: 'clamp', amountNusd: MAX_LEASE_NUSD };
    const view = viewOf({ available: MAX_LEASE_NUSD * 400n });
    expect(decideCredit(view, demand)).toMatchObject(bounded);
    expect(decideCredit({ ...view, verdict: null }, demand)).toMatchObject(bounded);
    expect(decideCredit(view, { ...demand, wholeAnswerOnly: true }).kind).toBe('unavailable');
    expect(decideCredit(viewOf({ available: 700n }), demand)).toMatchObject({ kind: 'clamp', maxTokens: 600 });
    expect(decideCredit(viewOf({ available: 300n }), demand).kind).toBe('insufficient');
  });
});

describe('wait', () => {
  test('while the keeper can grant, or a returned part is being booked, or a dead lease is being replaced', () => {
    expect(decideCredit(viewOf({ free: 600n, available: 500n }), demandOf()).kind).toBe('wait');
    expect(decideCredit(viewOf({ free: 600n, returned: 500n }), demandOf()).kind).toBe('wait');
    expect(decideCredit(viewOf({ free: 5000n }, 'expired'), demandOf()).kind).toBe('wait');
    expect(decideCredit(viewOf({ free: 5000n }, 'history'), demandOf()).kind).toBe('wait');
  });
});

test('an old verdict is good for a 402 and for nothing else: money moves between its parts', () => {
  const old = (part: Partial<World>) => ({ ...viewOf(part), askedAtMs: 6 });
  expect(decideCredit(old({ free: 10n }), demandOf()).kind).toBe('insufficient');
  for (const part of [{ free: 700n }, { free: 600n, held: 500n }, { free: 600n, quarantined: 500n }]) {
    expect(decideCredit(viewOf(part), demandOf()).kind).not.toBe('wait');
    expect(decideCredit(old(part), demandOf()).kind).toBe('wait');
  }
});

const amounts = fc.oneof(fc.bigInt(0n, 2000n), fc.bigInt(MAX_LEASE_NUSD - 5n, MAX_LEASE_NUSD + 5n));
const worlds = fc
  .record({ available: amounts, quarantined: amounts, free: amounts, held: amounts, spent: amounts, returned: amounts })
  .chain((world) => fc.bigInt(0n, world.returned).map((booked): World => ({ ...world, booked })));
const demands = fc
  .record({
    maxTokens: fc.integer({ min: 1, max: 3000 }),
    minTokens: fc.integer({ min: 0, max: 3000 }),
    wholeAnswerOnly: fc.boolean(),
    prompt: fc.integer({ min: 0, max: 500 }),
    n: fc.integer({ min: 1, max: 8 }),
  })
  .map(demandOf);

test('each answer is what the ledger allows, for any world and request', () => {
  fc.assert(
    fc.property(worlds, demands, fc.constantFrom('short' as const, 'expired' as const), (world, demand, why) => {
      const { available, quarantined, free, held, returned, booked } = world;
      const total = available + quarantined + free + held + (returned - booked);
      const full = demand.holdNusd(demand.maxTokens);
      const decision = decideCredit(viewOf(world, why), demand);
      switch (decision.kind) {
        case 'insufficient':
          expect(total < decision.requiredNusd && decision.requiredNusd <= full).toBe(true);
          expect(decision.availableNusd).toBe(total);
          break;
        case 'clamp':
          expect(total < full).toBe(true);
          expect(demand.wholeAnswerOnly).toBe(false);
          expect(decision.maxTokens).toBeGreaterThanOrEqual(Math.min(demand.maxTokens, CLAMP_FLOOR_TOKENS));
          expect(decision.maxTokens).toBeGreaterThanOrEqual(Math.min(demand.minTokens, demand.maxTokens));
          expect(decision.maxTokens).toBeLessThan(demand.maxTokens);
          expect(decision.amountNusd).toBe(demand.holdNusd(decision.maxTokens));
          expect(decision.amountNusd <= free + available).toBe(true);
          expect(demand.holdNusd(decision.maxTokens + 1) > free + available).toBe(true);
          break;
        case 'in_use':
          expect(held > 0n && total - held < full).toBe(true);
          break;
        case 'unavailable':
          expect(quarantined > 0n).toBe(true);
          break;
        case 'wait':
          // Something will come of it: what can be granted, is on its way or is released is worth the wait.
          if (why === 'short')
            expect(free + available + (returned - booked) + quarantined > 0n || full === 0n).toBe(true);
          else expect(total >= demand.holdNusd(1) || demand.minTokens > 1 || demand.wholeAnswerOnly).toBe(true);
          break;
      }
    }),
    { numRuns: 2000 },
  );
});
