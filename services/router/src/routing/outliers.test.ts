import { describe, expect, test } from '@jest/globals';
import { Conduct, OUTLIER_DEFAULTS, sweep, withoutOutliers } from './outliers.ts';
import { SlowStart } from './slow-start.ts';

const member = (name: string, good: number, bad: number, slowness = 1) => {
  const conduct = new Conduct();
  for (let i = 0; i < good; i++) conduct.note(true, 0);
  for (let i = 0; i < bad; i++) conduct.note(false, 0);
  return { name, conduct, isAvailable: true, slowness };
};
const names = (members: { name: string }[]) => members.map(({ name }) => name);

describe('outliers', () => {
  test('a worker that fails most of its requests is left out, one that fails some is not', () => {
    const pool = [member('a', 20, 0), member('b', 4, 12), member('c', 12, 8), member('d', 20, 0)];
    expect(names(sweep(pool, 0, OUTLIER_DEFAULTS))).toEqual(['b']);
    expect(pool[1]!.conduct.isOut(9_999)).toBe(true);
    expect(pool[1]!.conduct.isOut(10_000)).toBe(false);
  });

  test('a slow one is left out when the others are not slow too', () => {
    expect(names(sweep([member('a', 20, 0), member('b', 20, 0, 5)], 0, OUTLIER_DEFAULTS))).toEqual(['b']);
    const all = [member('a', 20, 0, 4), member('b', 20, 0, 5), member('c', 20, 0, 4)];
    expect(sweep(all, 0, OUTLIER_DEFAULTS)).toEqual([]);
  });

  test('too few answers tell nothing', () => {
    expect(sweep([member('a', 20, 0), member('b', 0, 7), member('c', 3, 0, 5)], 0, OUTLIER_DEFAULTS)).toEqual([]);
  });

  test.each([1, 2, 3, 4, 5, 8])('of %i workers that all fail, at most half are left out', (count) => {
    const pool = Array.from({ length: count }, (_, i) => member(`w${i}`, 0, 20));
    expect(sweep(pool, 0, OUTLIER_DEFAULTS).length).toBe(Math.floor(count / 2));
    expect(sweep(pool, 1_000, OUTLIER_DEFAULTS)).toEqual([]);
  });

  test('workers that are away otherwise count against that half', () => {
    const pool = [
      { ...member('a', 0, 20), isAvailable: false },
      member('b', 0, 20),
      member('c', 20, 0),
      member('d', 20, 0),
    ];
    expect(names(sweep(pool, 0, OUTLIER_DEFAULTS))).toEqual(['b']);
    const worse = pool.map((entry, i) => (i < 2 ? { ...entry, isAvailable: false } : member('x', 0, 20)));
    expect(sweep(worse, 0, OUTLIER_DEFAULTS)).toEqual([]);
  });

  test('each time lasts twice as long, until it has behaved', () => {
    const pool = [member('a', 20, 0), member('b', 0, 20)];
    sweep(pool, 0, OUTLIER_DEFAULTS);
    for (let i = 0; i < 20; i++) pool[1]!.conduct.note(false, 20_000);
    sweep(pool, 20_000, OUTLIER_DEFAULTS);
    expect([pool[1]!.conduct.isOut(39_999), pool[1]!.conduct.isOut(40_000)]).toEqual([true, false]);
    for (let i = 0; i < 20; i++) pool[1]!.conduct.note(true, 50_000);
    sweep(pool, 50_000, OUTLIER_DEFAULTS);
    for (let i = 0; i < 200; i++) pool[1]!.conduct.note(false, 60_000);
    sweep(pool, 60_000, OUTLIER_DEFAULTS);
    expect([pool[1]!.conduct.isOut(69_999), pool[1]!.conduct.isOut(70_000)]).toEqual([true, false]);
  });

  test('panic floor: when less than half of the pool would be left, nobody is left out', () => {
    const pool = [member('a', 20, 0), member('b', 0, 20), member('c', 20, 0), member('d', 20, 0)];
    sweep(pool, 0, OUTLIER_DEFAULTS);
    expect(names([...withoutOutliers(pool, 4, 0)])).toEqual(['a', 'c', 'd']);
    // Two others died meanwhile.
    expect(names([...withoutOutliers(pool.slice(0, 2), 4, 0)])).toEqual(['a', 'b']);
    expect(names([...withoutOutliers([pool[1]!], 4, 0)])).toEqual(['b']);
  });
});

test('another process at the same address is not left out for what the one before did', () => {
  const pool = [member('a', 20, 0), member('b', 0, 20)];
  sweep(pool, 0, OUTLIER_DEFAULTS);
  expect(pool[1]!.conduct.isOut(1)).toBe(true);
  pool[1]!.conduct.reset();
  expect(pool[1]!.conduct.isOut(1)).toBe(false);
});

test('a new worker costs more at first, and after half a minute what it costs', () => {
  const start = new SlowStart();
  expect(start.factor(0)).toBe(1);
  start.begin(1_000);
  const factors = [1_000, 11_000, 21_000, 31_000, 99_000].map((nowMs) => start.factor(nowMs));
  expect(factors).toEqual([4, 3, 2, 1, 1]);
});
