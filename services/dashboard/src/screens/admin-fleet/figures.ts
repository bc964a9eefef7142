/** The fleet in a few figures, and in an order that shows trouble first. Pure. */
import type { FleetView, FleetWorkerView } from '@tollgate/shared/contracts/console/platform';

export interface FleetTotals {
  ready: number;
  workers: number;
  running: number;
  waiting: number;
  tokensPerSecond: number;
}

export function totals({ workers }: Pick<FleetView, 'workers'>): FleetTotals {
  return workers.reduce(
    (sum, worker) => ({
      ready: sum.ready + (isWell(worker) ? 1 : 0),
      workers: sum.workers + 1,
      running: sum.running + worker.running,
      waiting: sum.waiting + worker.waiting,
      tokensPerSecond: sum.tokensPerSecond + (worker.recent.tokensPerSecond ?? 0),
    }),
    { ready: 0, workers: 0, running: 0, waiting: 0, tokensPerSecond: 0 },
  );
}

export const isWell = (worker: Pick<FleetWorkerView, 'state' | 'breakerOpen'>) =>
  worker.state === 'ready' && !worker.breakerOpen;

export const SORTS = ['trouble', 'load', 'url'] as const;
export type Sort = (typeof SORTS)[number];

const STATE_RANK = { gone: 4, draining: 2, joining: 1, ready: 0 } as const;
/** Higher = looked at first. */
const trouble = (worker: FleetWorkerView) =>
  (worker.breakerOpen ? 8 : 0) +
  STATE_RANK[worker.state] +
  (worker.recent.failed > 0 ? 0.5 : 0) +
  (worker.kvUsage ?? 0) / 4;

/** A new list; the same worker keeps its place among equals by its address. */
export function sorted(workers: readonly FleetWorkerView[], by: Sort): FleetWorkerView[] {
  const byUrl = (a: FleetWorkerView, b: FleetWorkerView) => (a.url < b.url ? -1 : 1);
  const rank = { trouble, load: (worker: FleetWorkerView) => worker.running + worker.waiting, url: () => 0 }[by];
  return [...workers].sort((a, b) => rank(b) - rank(a) || byUrl(a, b));
}

/** Figures over time for the strip: columns of equal length, oldest first, at most `limit` points. */
export interface History {
  atS: number[];
  running: number[];
  waiting: number[];
}
export const NO_HISTORY: History = { atS: [], running: [], waiting: [] };

/** Figures at one time, newest first: the last of each stretch of `everyS` seconds. */
export function sampled(history: History, everyS: number): { atS: number; running: number; waiting: number }[] {
  const last = new Map<number, number>();
  for (const [index, atS] of history.atS.entries()) last.set(Math.floor(atS / everyS), index);
  return [...last.values()]
    .map((index) => ({ atS: history.atS[index]!, running: history.running[index]!, waiting: history.waiting[index]! }))
    .reverse();
}

export function remembered(history: History, fleet: FleetView, limit: number): History {
  const atS = Date.parse(fleet.at) / 1000;
  if (atS <= (history.atS.at(-1) ?? 0)) return history;
  const { running, waiting } = totals(fleet);
  return {
    atS: [...history.atS, atS].slice(-limit),
    running: [...history.running, running].slice(-limit),
    waiting: [...history.waiting, waiting].slice(-limit),
  };
}
