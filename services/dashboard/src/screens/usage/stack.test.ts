import { expect, test } from '@jest/globals';
import type { SeriesView } from '@tollgate/shared/contracts/console/insights';
import { height, stack } from './stack.ts';

const DAY_MS = 86_400_000;
const fromMs = Date.parse('2026-11-19T00:00:00Z');
const point = (day: number, group: string, amountNusd: string, requests: number) => ({
  start: new Date(fromMs + day * DAY_MS).toISOString(),
  group,
  amountNusd,
  requests,
  promptTokens: 10,
  cachedTokens: 0,
  completionTokens: 5,
});
const series = {
  points: [point(0, 'a', '9007199254740993', 1), point(0, 'b', '7', 2), point(2, 'a', '1', 3), point(9, 'a', '5', 5)],
} as unknown as SeriesView;

test('every bucket has a row, sums are exact, what lies outside is left out', () => {
  const rows = stack(series, 'spend', { fromMs, toMs: fromMs + 3 * DAY_MS, by: 'day' });
  expect(rows.map(({ total }) => total)).toEqual([9007199254741000n, 0n, 1n]);
  expect(rows[0]!.values).toEqual({ a: 9007199254740993n, b: 7n });
  const requests = stack(series, 'requests', { fromMs, toMs: fromMs + 3 * DAY_MS, by: 'day' });
  expect(requests.map(({ total }) => total)).toEqual([3n, 0n, 3n]);
  expect(stack(series, 'tokens', { fromMs, toMs: fromMs + DAY_MS, by: 'day' })[0]!.total).toBe(30n);
  expect(height(1_500_000_000n, 'spend')).toBe(1.5);
  expect(height(undefined, 'requests')).toBe(0);
});
