/** The series of the API as what a stacked chart and its table need. */
import type { SeriesView } from '@tollgate/shared/contracts/console/insights';
import { toNusd, usdNumber } from '../../lib/money.ts';
import { buckets } from '../../lib/time.ts';
import type { Window } from './filter.ts';

export type Measure = 'spend' | 'requests' | 'tokens';
type Point = SeriesView['points'][number];

/** Exact; a bigint of nano-USD for money, else a count. */
export function measured(
  point: Pick<Point, 'amountNusd' | 'requests' | 'promptTokens' | 'completionTokens'>,
  measure: Measure,
) {
  if (measure === 'spend') return toNusd(point.amountNusd);
  return BigInt(measure === 'requests' ? point.requests : point.promptTokens + point.completionTokens);
}

export interface StackRow {
  startMs: number;
  /** By group id; exact. */
  values: Record<string, bigint>;
  total: bigint;
}

/** One row per bucket of the window, those without requests too. */
export function stack(series: SeriesView, measure: Measure, { fromMs, toMs, by }: Window): StackRow[] {
  const rows = new Map(
    buckets(fromMs, toMs, by).map((startMs): [number, StackRow] => [startMs, { startMs, values: {}, total: 0n }]),
  );
  for (const point of series.points) {
    const row = rows.get(Date.parse(point.start));
    if (!row) continue;
    const value = measured(point, measure);
    row.values[point.group] = (row.values[point.group] ?? 0n) + value;
    row.total += value;
  }
  return [...rows.values()];
}

/** For the height of a bar: a picture, so floating point is fine. */
export const height = (value: bigint | undefined, measure: Measure) =>
  measure === 'spend' ? usdNumber(value ?? 0n) : Number(value ?? 0n);
