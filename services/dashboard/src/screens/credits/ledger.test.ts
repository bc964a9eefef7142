import { expect, test } from '@jest/globals';
import { effect } from './ledger.ts';

test('a grant is what came in, a settlement what was spent, a move inside is nothing', () => {
  expect(
    effect({
      entries: [
        { bucket: 'credited', amountNusd: '-5' },
        { bucket: 'available', amountNusd: '5' },
      ],
    }),
  ).toBe(5n);
  expect(
    effect({
      entries: [
        { bucket: 'leased', amountNusd: '-3' },
        { bucket: 'posted', amountNusd: '3' },
      ],
    }),
  ).toBe(-3n);
  expect(
    effect({
      entries: [
        { bucket: 'available', amountNusd: '-9' },
        { bucket: 'leased', amountNusd: '9' },
      ],
    }),
  ).toBe(0n);
});
