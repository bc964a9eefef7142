import { describe, expect, test } from '@jest/globals';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { costNusd } from '@tollgate/shared/domain/money';
import fc from 'fast-check';
import { holdAmount, outputLimit, promptBound, type RequestSize } from './hold-bound.ts';

const model: CatalogModel = {
  id: 'm',
  createdAt: 0,
  ownedBy: 'o',
  maxModelLen: 1_000,
  defaultMaxTokens: null,
  templateTokens: 10,
  templateTokensPerMessage: 5,
  priceId: 'price_a',
  prices: { inputNusd: 3_000_000n, cachedInputNusd: 1_000_000n, outputNusd: 7_000_000n },
  enabled: true,
};
const size = (more: Partial<RequestSize> = {}): RequestSize => ({
  messageBytes: 100,
  messages: 1,
  toolBytes: 0,
  choices: 1,
  ...more,
});

describe('the hold', () => {
  test('covers every bill that a worker of this model can cause', () => {
    fc.assert(
      fc.property(
        fc.record({
          messageBytes: fc.nat(3_000),
          messages: fc.integer({ min: 1, max: 5 }),
          toolBytes: fc.nat(300),
          choices: fc.integer({ min: 1, max: 8 }),
        }),
        fc.integer({ min: 1, max: 1_500 }),
        fc.nat(3_000),
        fc.nat(1_500),
        fc.boolean(),
        (request, limit, prompt, output, dearInput) => {
          const prices = dearInput ? { ...model.prices, inputNusd: 90_000_000n } : model.prices;
          const sold = { ...model, prices };
          const promptTokens = Math.min(prompt, promptBound(request, sold));
          const perChoice = Math.min(output, limit, sold.maxModelLen - promptTokens);
          const bill = costNusd(
            { promptTokens, cachedTokens: 0, completionTokens: perChoice * request.choices },
            prices,
          );
          expect(bill <= holdAmount(request, sold, limit)).toBe(true);
        },
      ),
    );
  });

  test('never passes the price of a full context', () => {
    expect(holdAmount(size({ messageBytes: 50_000 }), model, 50_000)).toBe(7_000n);
  });

  test('never falls as the output limit grows', () => {
    fc.assert(
      fc.property(
        fc.nat(2_000),
        fc.integer({ min: 1, max: 2_000 }),
        fc.integer({ min: 1, max: 8 }),
        (bytes, limit, choices) => {
          const request = size({ messageBytes: bytes, choices });
          expect(holdAmount(request, model, limit) <= holdAmount(request, model, limit + 1)).toBe(true);
        },
      ),
    );
  });
});

describe('the output limit', () => {
  test("is the client's, else the default, else the rest of the context", () => {
    expect(outputLimit(50, size(), model)).toEqual({ tokens: 50, isGuess: false });
    expect(outputLimit(null, size(), { ...model, defaultMaxTokens: 64 })).toEqual({ tokens: 64, isGuess: false });
    expect(outputLimit(null, size(), model)).toEqual({ tokens: 885, isGuess: false });
  });

  test('is a guess only when the bound of a long prompt would leave too little', () => {
    expect(outputLimit(null, size({ messageBytes: 900 }), model)).toEqual({ tokens: 685, isGuess: true });
    expect(outputLimit(null, size({ messageBytes: 9_000 }), model)).toEqual({ tokens: 1, isGuess: true });
  });
});
