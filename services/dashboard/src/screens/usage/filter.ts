/** What the Usage page shows, held in its address. */
import { choiceIn, compactSearch, listIn, type Search, timeIn } from '../../lib/search.ts';
import { bucketStart, RANGES, type Range, rangeMs } from '../../lib/time.ts';

export interface UsageSearch {
  range?: Range | undefined;
  by?: 'hour' | 'day' | undefined;
  group?: 'model' | 'key' | 'status' | 'none' | undefined;
  measure?: 'spend' | 'requests' | 'tokens' | undefined;
  model?: string[] | undefined;
  keyId?: string[] | undefined;
  outcome?: string[] | undefined;
  /** A window of one's own, instead of `range`. */
  from?: string | undefined;
  to?: string | undefined;
}

export const usageSearch = (search: Search): UsageSearch =>
  compactSearch({
    range: choiceIn(search, 'range', RANGES),
    by: choiceIn(search, 'by', ['hour', 'day']),
    group: choiceIn(search, 'group', ['model', 'key', 'status', 'none']),
    measure: choiceIn(search, 'measure', ['spend', 'requests', 'tokens']),
    model: listIn(search, 'model'),
    keyId: listIn(search, 'keyId'),
    outcome: listIn(search, 'outcome'),
    from: timeIn(search, 'from'),
    to: timeIn(search, 'to'),
  });

const HOUR_MS = 3_600_000;
/** The API gives hours for at most 31 days. */
const HOURS_LIMIT_MS = 31 * 24 * HOUR_MS;

export interface Window {
  fromMs: number;
  toMs: number;
  by: 'hour' | 'day';
}

/** The window that a search means now. Ends on a whole hour, so that it stays the same query for a while. */
export function windowOf(search: UsageSearch, nowMs: number): Window {
  const toMs = search.to ? Date.parse(search.to) : bucketStart(nowMs, 'hour') + HOUR_MS;
  const range = rangeMs(search.range ?? '7d');
  const fromMs = search.from ? Math.min(Date.parse(search.from), toMs - HOUR_MS) : toMs - range;
  const span = toMs - fromMs;
  const wanted = search.by ?? (span <= 3 * 24 * HOUR_MS ? 'hour' : 'day');
  const by = wanted === 'hour' && span > HOURS_LIMIT_MS ? 'day' : wanted;
  return { fromMs: bucketStart(fromMs, by), toMs, by };
}
