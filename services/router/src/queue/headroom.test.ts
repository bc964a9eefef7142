import { describe, expect, test } from '@jest/globals';
import { Entitled, type Held, isLaden, OVER_SHARE_ROOM, ROOM } from './headroom.ts';

const held = (more: Partial<Held>): Held => ({
  running: 10,
  pendingPrefillMs: 0,
  pinnedTokens: 0,
  kvTokens: 100_000,
  polledKvUsage: 0.8,
  ...more,
});
const laden = (more: Partial<Held>) => [ROOM, OVER_SHARE_ROOM].map((room) => isLaden(held(more), room));

describe('a worker is full', () => {
  test('when running requests pin its cache, for one over its share sooner', () => {
    expect(laden({ pinnedTokens: 59_000 })).toEqual([false, false]);
    expect(laden({ pinnedTokens: 61_000 })).toEqual([false, true]);
    expect(laden({ pinnedTokens: 90_000 })).toEqual([true, true]);
  });

  test('when so many prompts wait there, for one over its share as soon as one is computed', () => {
    expect(laden({ pendingPrefillMs: 40 })).toEqual([false, false]);
    expect(laden({ pendingPrefillMs: 500 })).toEqual([false, true]);
    expect(laden({ pendingPrefillMs: 9_000 })).toEqual([true, true]);
  });

  test('not by a count that the worker itself belies, and never when it is idle', () => {
    expect(laden({ pinnedTokens: 200_000, polledKvUsage: 0.2 })).toEqual([false, false]);
    expect(laden({ pinnedTokens: 200_000, polledKvUsage: null })).toEqual([false, false]);
    expect(laden({ pinnedTokens: 200_000, pendingPrefillMs: 90_000, running: 0 })).toEqual([false, false]);
  });
});

test('others under their share are those that came in the last ten seconds, oneself left out', () => {
  const entitled = new Entitled();
  expect(entitled.hasOthersThan('a', 0)).toBe(false);
  entitled.note('a', 0);
  entitled.note('a', 1_000);
  expect([entitled.hasOthersThan('a', 2_000), entitled.hasOthersThan('b', 2_000)]).toEqual([false, true]);
  entitled.note('b', 3_000);
  entitled.note('b', 4_000);
  expect([entitled.hasOthersThan('a', 5_000), entitled.hasOthersThan('b', 5_000)]).toEqual([true, true]);
  expect([entitled.hasOthersThan('a', 13_500), entitled.hasOthersThan('b', 11_001)]).toEqual([true, false]);
  expect(entitled.hasOthersThan('a', 14_000)).toBe(false);
});
