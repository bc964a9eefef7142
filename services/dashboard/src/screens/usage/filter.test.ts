import { expect, test } from '@jest/globals';
import { usageSearch, windowOf } from './filter.ts';

const NOW = Date.parse('2026-11-21T12:34:56Z');
const HOUR_MS = 3_600_000;

test('the address keeps what it understands', () => {
  expect(usageSearch({ range: '24h', by: 'minute', group: 'key', model: 'a', x: 1 })).toEqual({
    range: '24h',
    group: 'key',
    model: ['a'],
  });
});

test('a window ends on a whole hour and is cut to whole buckets', () => {
  const day = windowOf({ range: '24h' }, NOW);
  expect(day).toEqual({
    toMs: Date.parse('2026-11-21T13:00:00Z'),
    fromMs: Date.parse('2026-11-20T13:00:00Z'),
    by: 'hour',
  });
  expect(windowOf({ range: '24h' }, NOW + 60_000)).toEqual(day);
  expect(windowOf({}, NOW)).toMatchObject({ by: 'day', fromMs: Date.parse('2026-11-14T00:00:00Z') });
});

test('hours of more than 31 days become days', () => {
  expect(windowOf({ range: '90d', by: 'hour' }, NOW).by).toBe('day');
  expect(windowOf({ range: '30d', by: 'hour' }, NOW).by).toBe('hour');
});

test('a window of one’s own is never empty', () => {
  const own = windowOf({ from: '2026-11-21T12:00:00.000Z', to: '2026-11-20T12:00:00.000Z' }, NOW);
  expect(own.toMs - own.fromMs).toBeGreaterThanOrEqual(HOUR_MS);
});
