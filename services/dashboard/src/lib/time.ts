/** Times for people. Everything on the wire is UTC; the screen says whose zone it shows. */

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Name of the browser's time zone, such as `Europe/Vienna`. */
export const localZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

const stamp = new Intl.DateTimeFormat('en-GB', {
  day: '2-digit',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** `09:30:12` in the reader's zone, of a time in s since 1970. */
export const timeOfDay = (atS: number) => clock.format(atS * 1000);
/** `21 Nov, 09:30:12` in the reader's zone. */
export const dateTime = (iso: string) => stamp.format(new Date(iso));
/** `21 Nov 2026`. */
export const dateOnly = (iso: string) => date.format(new Date(iso));

/** `just now`, `5 min ago`, `in 3 days`. */
export function relative(iso: string, nowMs: number): string {
  const distance = Date.parse(iso) - nowMs;
  const past = distance <= 0;
  const span = Math.abs(distance);
  if (span < 45_000) return past ? 'just now' : 'in a moment';
  const [count, unit] =
    span < HOUR_MS
      ? [Math.round(span / MINUTE_MS), 'min']
      : span < 36 * HOUR_MS
        ? [Math.round(span / HOUR_MS), 'h']
        : [Math.round(span / DAY_MS), span < 1.5 * DAY_MS ? 'day' : 'days'];
  return past ? `${count} ${unit} ago` : `in ${count} ${unit}`;
}

/** `850 ms`, `1.24 s`, `2 min 5 s`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${Math.floor(ms / MINUTE_MS)} min ${Math.round((ms % MINUTE_MS) / 1000)} s`;
}

export const RANGES = ['1h', '24h', '7d', '30d', '90d'] as const;
export type Range = (typeof RANGES)[number];
const RANGE_MS: Record<Range, number> = {
  '1h': HOUR_MS,
  '24h': DAY_MS,
  '7d': 7 * DAY_MS,
  '30d': 30 * DAY_MS,
  '90d': 90 * DAY_MS,
};
export const rangeMs = (range: Range) => RANGE_MS[range];
export const RANGE_NAMES: Record<Range, string> = {
  '1h': 'Last hour',
  '24h': 'Last 24 hours',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
  '90d': 'Last 90 days',
};

/** Start of the UTC hour or day of a time, ms since 1970: the roll-ups' own buckets. */
export function bucketStart(ms: number, by: 'hour' | 'day'): number {
  const size = by === 'hour' ? HOUR_MS : DAY_MS;
  return Math.floor(ms / size) * size;
}

/** Every bucket from `fromMs` up to, and not including, `toMs`. At most 1,000, so that a typed range hangs nothing. */
export function buckets(fromMs: number, toMs: number, by: 'hour' | 'day'): number[] {
  const size = by === 'hour' ? HOUR_MS : DAY_MS;
  const list: number[] = [];
  for (let at = bucketStart(fromMs, by); at < toMs && list.length < 1000; at += size) list.push(at);
  return list;
}

/** `2026-11`, `2026-10` …: the present UTC month and those before it. */
export function lastMonths(nowMs: number, howMany: number): string[] {
  const now = new Date(nowMs);
  return Array.from({ length: howMany }, (_, back) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)).toISOString().slice(0, 7),
  );
}
