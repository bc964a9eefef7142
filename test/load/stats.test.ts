import { describe, expect, test } from '@jest/globals';
import { highest } from './measures/latency.ts';
import { readOptions } from './options.ts';
import { distribution, median, quantile, Samples } from './stats.ts';

describe('figures', () => {
  test('quantiles are samples that occurred, by nearest rank', () => {
    const sorted = Array.from({ length: 100 }, (_, i) => i + 1);
    expect([0, 0.5, 0.99, 0.999, 1].map((q) => quantile(sorted, q))).toEqual([1, 50, 99, 100, 100]);
    expect(quantile([], 0.5)).toBeNaN();
  });

  test('a distribution does not depend on the order of its samples', () => {
    expect(distribution([3, 1, 2])).toEqual(distribution([1, 2, 3]));
  });

  test('the median of an even count is the mean of the middle two', () => {
    expect([median([4, 1, 3, 2]), median([9, 1, 5]), median([])]).toEqual([2.5, 5, Number.NaN]);
  });

  test('samples survive growth and are taken once', () => {
    const samples = new Samples();
    for (let i = 0; i < 5000; i++) samples.add(i);
    expect(samples.take().at(-1)).toBe(4999);
    expect(samples.take()).toHaveLength(0);
  });

  test('the frontier ends at the first rate that misses the bound, even when a later one keeps it', () => {
    const step = (perSecond: number, p99Ms: number) => ({ perSecond, achieved: perSecond, p50Ms: 1, p99Ms });
    expect(highest([step(100, 0.5), step(200, 2), step(300, 0.9)], 1)).toBe(100);
    expect(highest([step(100, 3)], 1)).toBe(0);
  });
});

test('an unknown measure is refused by name', () => {
  expect(readOptions(['--only', 'cpu-request,speed'])).toContain('no measure speed');
  expect(readOptions(['--quick', '--only', 'leave'])).toMatchObject({ quick: true, only: ['leave'], write: false });
});
