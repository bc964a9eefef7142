import { expect, test } from '@jest/globals';
import type { FleetView, FleetWorkerView } from '@tollgate/shared/contracts/console/platform';
import { NO_HISTORY, remembered, sampled, sorted, totals } from './figures.ts';

const worker = (url: string, rest: object = {}): FleetWorkerView =>
  ({
    url,
    state: 'ready',
    breakerOpen: false,
    running: 1,
    waiting: 0,
    kvUsage: 0.1,
    recent: { failed: 0, tokensPerSecond: 10 },
    ...rest,
  }) as FleetWorkerView;

const fleet = (atMs: number, ...workers: FleetWorkerView[]) =>
  ({ at: new Date(atMs).toISOString(), workers, routers: [] }) as FleetView;

test('trouble stands first, load by what runs and waits, equals by address', () => {
  const list = [
    worker('b'),
    worker('a'),
    worker('d', { state: 'draining', running: 9 }),
    worker('c', { breakerOpen: true }),
    worker('e', { state: 'gone', running: 0 }),
  ];
  expect(sorted(list, 'trouble').map(({ url }) => url)).toEqual(['c', 'e', 'd', 'a', 'b']);
  expect(sorted(list, 'load').map(({ url }) => url)).toEqual(['d', 'a', 'b', 'c', 'e']);
  expect(sorted(list, 'url').map(({ url }) => url)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(totals({ workers: list })).toEqual({ ready: 2, workers: 5, running: 12, waiting: 0, tokensPerSecond: 50 });
});

test('history keeps the newest points and takes none twice', () => {
  let history = NO_HISTORY;
  for (let second = 1; second <= 5; second++) history = remembered(history, fleet(second * 1000, worker('a')), 3);
  expect(history).toEqual({ atS: [3, 4, 5], running: [1, 1, 1], waiting: [0, 0, 0] });
  expect(remembered(history, fleet(5000, worker('a')), 3)).toBe(history);
});

test('the figures of the strip: the last of each stretch, newest first', () => {
  const history = { atS: [28, 29, 31, 61, 62], running: [1, 2, 3, 4, 5], waiting: [0, 0, 1, 1, 2] };
  expect(sampled(history, 30)).toEqual([
    { atS: 62, running: 5, waiting: 2 },
    { atS: 31, running: 3, waiting: 1 },
    { atS: 29, running: 2, waiting: 0 },
  ]);
  expect(sampled(NO_HISTORY, 30)).toEqual([]);
});
