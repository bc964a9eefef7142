/**
 * MONEY.md section 8, test 3: every 402, 429, 503 and every lowered limit is checked against the ledger over the request's
 * interval, with the router's admission, metering's keeper, a real Redis and a real PostgreSQL, while credit is added, the
 * ledger pauses, answers are lost and Redis loses its data or its history.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { encodeVerdict, parseVerdict, type Verdict } from '@tollgate/shared/contracts/money';
import { ModelStore } from '@tollgate/shared/db/model-store';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { costNusd } from '@tollgate/shared/domain/money';
import type { AdmitResult, LeaseView } from '@tollgate/shared/redis/money-scripts';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { MODEL, PRICE, startWorld, type World } from './metering-harness.ts';
import { type Plan, play } from './refusal-oracle/driver.ts';
import { judge, type Log } from './refusal-oracle/oracle.ts';

jest.setTimeout(counts(300_000, 3_600_000));

/** So dear that a hold of some 11,000 tokens is 1e14 nano-USD, the largest lease, and accounts pass 2^53. */
const DEAR: CatalogModel = {
  id: 'test/dear',
  createdAt: 0,
  ownedBy: 'test',
  maxModelLen: 32_768,
  defaultMaxTokens: null,
  templateTokens: 0,
  templateTokensPerMessage: 0,
  priceId: 'price_dear',
  prices: { inputNusd: 1_000_000n, cachedInputNusd: 1_000_000n, outputNusd: 9_000_000_000_000_000n },
  enabled: true,
};
const PLAIN: CatalogModel = { ...DEAR, id: MODEL, priceId: PRICE.id, prices: PRICE.prices };

let world: World;
beforeAll(async () => {
  world = await startWorld();
  const models = new ModelStore(world.db);
  await models.create({ id: DEAR.id, ownedBy: 'test', maxModelLen: DEAR.maxModelLen, createdAtMs: 1 });
  await models.addPrice({ id: DEAR.priceId, prices: DEAR.prices, model: DEAR.id, validFromMs: 0 });
  await world.metering((options) => ({
    ...options,
    lease: { ...options.lease, leaseMs: 3_000, minLeaseNusd: 10_000n },
    // Longer than routers need to beat on a busy machine.
    release: { skewMs: 0, graceMs: 2_000 },
    reaper: { ...options.reaper, unbeatenMs: 60_000 },
  }));
}, 120_000);
afterAll(() => world?.stop());

/** Price of so many output tokens. */
const tokens = (model: CatalogModel, count: number) =>
  costNusd({ promptTokens: 0, cachedTokens: 0, completionTokens: count }, model.prices);

async function settledBooks(log: Log, account: Parameters<World['balance']>[0]): Promise<void> {
  const costs = [...log.holds.values()].reduce((sum, held) => sum + (held.settled?.costNusd ?? 0n), 0n);
  const credited = log.credits.reduce((sum, credit) => sum + credit.amountNusd, 0n);
  await eventually('all is posted', async () => (await world.balance(account)).posted === costs, {
    deadlineMs: 60_000,
  });
  const balance = await world.balance(account);
  expect(balance).toMatchObject({ posted: costs, credited, uncollected: 0n, receivable: 0n });
  expect(balance.available + balance.leased + balance.quarantined + balance.posted).toBe(credited);
  await eventually(
    'nothing is held',
    async () => ((await world.router.scripts.readLease(account.account)).lease?.heldNusd ?? 0n) === 0n,
    { deadlineMs: 60_000 },
  );
}

const RUNS_OUT = 'credit that runs out and is topped up';
const LOSES_DATA = 'a Redis that loses its data, then its process';
const PLANS: Record<string, (round: number) => Omit<Plan, 'clients' | 'requestsEach'> & { clients?: number }> = {
  [RUNS_OUT]: (round) => ({
    model: PLAIN,
    mostTokens: 800,
    creditNusd: tokens(PLAIN, 3_000 + 500 * round),
    topUpsNusd: [tokens(PLAIN, 600), tokens(PLAIN, 90), tokens(PLAIN, 1_500)],
    faults: [],
  }),
  'a ledger that pauses and answers that get lost': () => ({
    model: PLAIN,
    mostTokens: 800,
    creditNusd: tokens(PLAIN, 6_000),
    topUpsNusd: [tokens(PLAIN, 1_000)],
    faults: ['pause', 'lost_answers', 'pause'],
  }),
  [LOSES_DATA]: () => ({
    model: PLAIN,
    mostTokens: 800,
    creditNusd: tokens(PLAIN, 12_000),
    topUpsNusd: [tokens(PLAIN, 700)],
    faults: ['flush', 'restart'],
  }),
  'amounts near the largest lease and beyond what a double counts': () => ({
    model: DEAR,
    mostTokens: 6_000,
    clients: 3,
    creditNusd: tokens(DEAR, 40_000) + 1n,
    topUpsNusd: [tokens(DEAR, 15_000), 9_007_199_254_740_993n],
    faults: ['pause'],
  }),
};

describe('every refusal can be explained', () => {
  test.each(Object.keys(PLANS))('%s', async (name) => {
    const seen = new Map<string, number>();
    const rounds = counts(1, 25);
    for (let round = 0; round < rounds; round++) {
      const random = seededRandom(testSeed() + 1000 * round);
      const plan = { clients: counts(8, 16), requestsEach: counts(8, 15), ...PLANS[name]!(round) };
      const { log, who } = await play(world, plan, random);
      expect(judge(log)).toEqual([]);
      await settledBooks(log, who);
      for (const { answer } of log.asked) {
        const kind = answer.kind === 'refused' ? answer.code : answer.clamped ? 'clamped' : 'admitted';
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
    }
    const asked = [...seen.values()].reduce((sum, count) => sum + count, 0);
    expect(seen.get('admitted')).toBeGreaterThan(0);
    recordProof({
      name: `Refusals explained: ${name}`,
      count: asked,
      seed: testSeed(),
      result: `0 unexplained; ${[...seen].map(([kind, count]) => `${kind} ${count}`).join(', ')}`,
    });
  });
});

/** The same play with a bug on the way from the keeper to the router's verdict. */
const verdictBug =
  (change: (verdict: Verdict) => Partial<Verdict>) =>
  (result: AdmitResult): AdmitResult => {
    if (result.kind !== 'need_lease' || !result.verdict) return result;
    const verdict = parseVerdict(result.verdict.text);
    return { ...result, verdict: { ...result.verdict, text: encodeVerdict({ ...verdict, ...change(verdict) }) } };
  };

const leaseBug =
  (change: (lease: LeaseView) => Partial<LeaseView>) =>
  (result: AdmitResult): AdmitResult => {
    if (result.kind !== 'need_lease' || !result.lease) return result;
    return { ...result, lease: { ...result.lease, ...change(result.lease) } };
  };

describe('bugs in refusals are found', () => {
  const BUGS: Record<string, Pick<Plan, 'tamper' | 'keepsVerdicts'> & { plan: keyof typeof PLANS }> = {
    'holds are not counted as credit': {
      plan: RUNS_OUT,
      tamper: leaseBug((lease) => ({ spentNusd: lease.spentNusd + lease.heldNusd })),
    },
    'what is free is not counted as credit': {
      plan: RUNS_OUT,
      tamper: leaseBug((lease) => ({ spentNusd: lease.spentNusd + lease.freeNusd })),
    },
    'quarantined credit is not counted': { plan: LOSES_DATA, tamper: verdictBug(() => ({ quarantinedNusd: 0n })) },
    'a credit leaves the old verdict': { plan: RUNS_OUT, keepsVerdicts: true },
  };
  test.each(Object.keys(BUGS))('%s', async (name) => {
    const found: string[] = [];
    for (let round = 0; round < 12 && found.length === 0; round++) {
      const random = seededRandom(testSeed() + round);
      const { plan, ...bug } = BUGS[name]!;
      const { log } = await play(world, { ...PLANS[plan]!(0), ...bug, clients: 8, requestsEach: 8 }, random);
      found.push(...judge(log));
    }
    expect(found.length).toBeGreaterThan(0);
  });
});
