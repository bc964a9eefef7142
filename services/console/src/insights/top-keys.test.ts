import { expect, test } from '@jest/globals';
import { OWN_KEY_NAME } from '../keys/own-name.ts';
import { topKeys } from './top-keys.ts';

const spend = (keyId: string, amountNusd: bigint) => ({ keyId, amountNusd });

test('the largest come first, with their share of everything', () => {
  const names = new Map([['a', 'ci']]);
  expect(topKeys([spend('b', 1n), spend('a', 3n)], names, 1)).toEqual([{ keyId: 'a', name: 'ci', share: 0.75 }]);
});

test('the console’s own hourly keys are one line, however many there were', () => {
  const names = new Map([
    ['p1', OWN_KEY_NAME],
    ['p2', OWN_KEY_NAME],
    ['a', 'ci'],
    ['b', 'ci'],
  ]);
  const told = topKeys([spend('a', 30n), spend('b', 25n), spend('p1', 24n), spend('p2', 21n)], names, 5);
  expect(told).toEqual([
    { keyId: 'p1', name: OWN_KEY_NAME, share: 0.45 },
    { keyId: 'a', name: 'ci', share: 0.3 },
    { keyId: 'b', name: 'ci', share: 0.25 },
  ]);
});

test('nothing spent is nobody, and divides nothing by nothing', () => {
  expect(topKeys([], new Map(), 5)).toEqual([]);
  expect(topKeys([spend('a', 0n)], new Map(), 5)).toEqual([{ keyId: 'a', name: 'a', share: 0 }]);
});
