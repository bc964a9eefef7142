import { describe, expect, test } from '@jest/globals';
import { MAX_LEASE_NUSD, NUSD_PER_USD } from '@tollgate/shared/domain/money';
import { testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { BurnMeter, grantSize, type SizingInput } from './sizing.ts';

const money = (max = 200_000n * NUSD_PER_USD) => fc.bigInt({ min: 0n, max });
const inputs: fc.Arbitrary<SizingInput> = fc.record({
  availableNusd: money(),
  freeNusd: money(10n * NUSD_PER_USD),
  grantedNusd: money(MAX_LEASE_NUSD),
  neededNusd: money(5n * NUSD_PER_USD),
  burnPerMinuteNusd: money(10n * NUSD_PER_USD),
  minLeaseNusd: fc.constant(NUSD_PER_USD / 20n),
});

describe('the size of a grant', () => {
  test('never more than is available, nor a lease above 1e14', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const amount = grantSize(input);
        expect(amount).toBeGreaterThanOrEqual(0n);
        expect(amount).toBeLessThanOrEqual(input.availableNusd);
        expect(amount + input.grantedNusd).toBeLessThanOrEqual(MAX_LEASE_NUSD);
      }),
      { seed: testSeed() },
    );
  });

  test('a need is served whenever available covers it', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const lacking = input.neededNusd - input.freeNusd;
        fc.pre(lacking <= input.availableNusd && input.grantedNusd + lacking <= MAX_LEASE_NUSD);
        expect(grantSize(input) + input.freeNusd).toBeGreaterThanOrEqual(input.neededNusd);
      }),
      { seed: testSeed() },
    );
  });

  test('beyond the need at most half of what is available, unless that is below 1 USD', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        fc.pre(input.availableNusd >= NUSD_PER_USD);
        const lacking = input.neededNusd > input.freeNusd ? input.neededNusd - input.freeNusd : 0n;
        const amount = grantSize(input);
        expect(amount <= input.availableNusd / 2n || amount === lacking).toBe(true);
      }),
      { seed: testSeed() },
    );
    const small = { availableNusd: NUSD_PER_USD / 50n, freeNusd: 0n, grantedNusd: 0n, burnPerMinuteNusd: 0n };
    expect(grantSize({ ...small, neededNusd: 1n, minLeaseNusd: NUSD_PER_USD })).toBe(small.availableNusd);
  });

  test('running low doubles what is free, up to a minute of use', () => {
    const input = { availableNusd: 100n * NUSD_PER_USD, grantedNusd: 0n, neededNusd: 0n, minLeaseNusd: 10n };
    expect(grantSize({ ...input, freeNusd: 20n, burnPerMinuteNusd: 0n })).toBe(20n);
    expect(grantSize({ ...input, freeNusd: 20n, burnPerMinuteNusd: 500n })).toBe(480n);
  });
});

describe('the burn meter', () => {
  test('follows a steady use, goes on over a new lease, and forgets', () => {
    const meter = new BurnMeter();
    for (let second = 0; second <= 300; second++) meter.see('a', 'l1', BigInt(second) * 1_000n, second * 1_000);
    expect(Number(meter.perMinuteNusd('a')) / 60_000).toBeCloseTo(1, 1);
    meter.see('a', 'l2', 0n, 301_000);
    expect(Number(meter.perMinuteNusd('a')) / 60_000).toBeCloseTo(1, 1);
    for (let second = 302; second < 600; second++) meter.see('a', 'l2', 0n, second * 1_000);
    expect(meter.perMinuteNusd('a')).toBeLessThan(1_000n);
    meter.forget('a');
    expect(meter.perMinuteNusd('a')).toBe(0n);
  });
});
