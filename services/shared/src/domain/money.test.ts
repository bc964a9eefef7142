import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { costNusd, nusdToUsd, usdToNusd } from './money.ts';

const prices = { inputNusd: 150_000_000n, cachedInputNusd: 30_000_000n, outputNusd: 600_000_000n };
const tokens = fc.record({
  promptTokens: fc.nat(10_000_000),
  cachedTokens: fc.nat(10_000_000),
  completionTokens: fc.nat(10_000_000),
});

describe('cost', () => {
  test('is one ceil over the whole sum: a single cheap token costs one nano-USD, never zero', () => {
    const cheap = { inputNusd: 1n, cachedInputNusd: 1n, outputNusd: 1n };
    expect(costNusd({ promptTokens: 1, cachedTokens: 0, completionTokens: 0 }, cheap)).toBe(1n);
    expect(costNusd({ promptTokens: 0, cachedTokens: 0, completionTokens: 0 }, cheap)).toBe(0n);
  });

  test('equals exact arithmetic for known figures', () => {
    expect(costNusd({ promptTokens: 1000, cachedTokens: 400, completionTokens: 200 }, prices)).toBe(
      600n * 150n + 400n * 30n + 200n * 600n,
    );
  });

  test('never grows when more of the prompt was cached, and never shrinks with more tokens', () => {
    fc.assert(
      fc.property(tokens, fc.nat(1000), (t, more) => {
        const base = costNusd(t, prices);
        expect(costNusd({ ...t, cachedTokens: t.cachedTokens + more }, prices) <= base).toBe(true);
        expect(costNusd({ ...t, completionTokens: t.completionTokens + more }, prices) >= base).toBe(true);
        expect(costNusd({ ...t, promptTokens: t.promptTokens + more }, prices) >= base).toBe(true);
      }),
    );
  });
});

describe('USD text', () => {
  test('survives the way to nano-USD and back exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -999_999_999_999_999_999n, max: 999_999_999_999_999_999n }), (amount) => {
        expect(usdToNusd(nusdToUsd(amount))).toBe(amount);
      }),
    );
  });

  test.each(['', '1e3', '1.0000000001', 'NaN', '1,5', '--1', '12345678901'])('refuses %j', (text) => {
    expect(() => usdToNusd(text)).toThrow(RangeError);
  });
});
