import { describe, expect, test } from '@jest/globals';
import { bucketStart, buckets, duration, lastMonths, relative } from './time.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const at = (ms: number) => new Date(NOW + ms).toISOString();

describe('times on screen', () => {
  test('distances are said as a person would', () => {
    expect(relative(at(-10_000), NOW)).toBe('just now');
    expect(relative(at(-5 * 60_000), NOW)).toBe('5 min ago');
    expect(relative(at(-3 * 3_600_000), NOW)).toBe('3 h ago');
    expect(relative(at(3 * 86_400_000), NOW)).toBe('in 3 days');
    expect(relative(at(10_000), NOW)).toBe('in a moment');
  });

  test('durations keep three digits', () => {
    expect(duration(null)).toBe('–');
    expect(duration(12.4)).toBe('12 ms');
    expect(duration(1240)).toBe('1.24 s');
    expect(duration(12_400)).toBe('12.4 s');
    expect(duration(125_000)).toBe('2 min 5 s');
  });

  test('buckets are the UTC hours and days of the roll-ups', () => {
    expect(bucketStart(NOW + 1_234_567, 'hour')).toBe(NOW);
    expect(bucketStart(NOW, 'day')).toBe(Date.parse('2026-11-21T00:00:00Z'));
    expect(buckets(NOW - 2 * 3_600_000 + 1, NOW + 1, 'hour')).toHaveLength(3);
    expect(buckets(0, NOW, 'hour')).toHaveLength(1000);
  });
});

test('months go back over the turn of a year', () => {
  expect(lastMonths(Date.parse('2026-02-01T00:00:00Z'), 4)).toEqual(['2026-02', '2026-01', '2025-12', '2025-11']);
});
