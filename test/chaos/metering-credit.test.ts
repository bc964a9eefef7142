/** Many requests at once on an account that can pay for some of them: keeper and verdicts against true credit. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { parseVerdict } from '@tollgate/shared/contracts/money';
import { decideCredit } from '@tollgate/shared/domain/credit';
import type { Intent } from '@tollgate/shared/domain/usage';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { newRequest, priceOf, recordOf, startWorld, type TestAccount, type World } from './metering-harness.ts';

jest.setTimeout(120_000);

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world?.stop());

const TOKENS = 100;

/** A router's loop without its patience: asks until it is admitted or the verdict says no. */
async function ask(who: TestAccount): Promise<Intent | 'insufficient' | 'in_use'> {
  const requestId = newRequest();
  const holdNusd = (tokens: number) => priceOf(tokens);
  let askedAtMs: number | undefined;
  for (;;) {
    const result = await world.router.admitOnce(who, requestId, priceOf(TOKENS));
    if (result.kind === 'ok' || result.kind === 'held') {
      return world.router.intent(who, requestId, result, priceOf(TOKENS));
    }
    if (result.kind !== 'need_lease') throw new Error(`unexpected ${result.kind}`);
    askedAtMs ??= result.nowMs;
    const verdict = result.verdict?.text ? parseVerdict(result.verdict.text) : null;
    const decision = decideCredit(
      { why: result.why, lease: result.lease, verdict, askedAtMs },
      { maxTokens: TOKENS, minTokens: 0, wholeAnswerOnly: true, holdNusd },
    );
    if (decision.kind === 'insufficient' || decision.kind === 'in_use') return decision.kind;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('exactly as many are admitted as the account can pay, none is refused while credit is there, nothing is overspent', async () => {
  const parallel = counts(150, 500);
  const payable = counts(30, 100);
  const metering = await world.metering();
  const who = await world.account(priceOf(TOKENS) * BigInt(payable));
  const results = await Promise.all(Array.from({ length: parallel }, () => ask(who)));
  const admitted = results.filter((result): result is Intent => typeof result !== 'string');
  // All credit is held by the others, and none of it is spent yet: 429, not 402.
  expect(results.filter((result) => result === 'insufficient')).toEqual([]);
  expect(admitted).toHaveLength(payable);
  expect(await ask(who)).toBe('in_use');

  // One gives back half of its hold: what came free is too little for another.
  const [first, ...rest] = admitted;
  await world.router.settle(recordOf(first!, TOKENS / 2));
  expect(await ask(who)).toBe('in_use');
  await Promise.all(rest.map((intent) => world.router.settle(recordOf(intent, TOKENS))));
  expect(await ask(who)).toBe('insufficient');
  await metering.stop();
  expect(await world.balance(who)).toMatchObject({
    posted: priceOf(TOKENS) * BigInt(payable) - priceOf(TOKENS / 2),
    available: priceOf(TOKENS / 2),
    leased: 0n,
    quarantined: 0n,
    uncollected: 0n,
  });
  recordProof({
    name: 'parallel requests on an account that can pay for some',
    count: parallel,
    result: `${payable} admitted of ${payable} payable, no 402 while credit was held, uncollected 0`,
  });
});
