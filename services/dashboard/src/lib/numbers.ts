/** Counts and shares for people. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const compactFormat = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

/** `12,345`. */
export const count = (value: number) => whole.format(value);
/** `12.3K`. */
export const compact = (value: number) =>
  Math.abs(value) < 10_000 ? whole.format(value) : compactFormat.format(value);
/** `12.3 %` of a share between 0 and 1; a dash when it is not known. */
export const percent = (share: number | null | undefined, digits = 0) =>
  share === null || share === undefined || !Number.isFinite(share) ? '–' : `${(share * 100).toFixed(digits)} %`;
/** `1 key`, `2 keys`. */
export const plural = (value: number, one: string, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** The value below which `share` of the values lie (nearest rank), or null of none. */
export function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!;
}

/** `512 B`, `12.3 kB`, `4.0 MB`. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = -1;
  while (size >= 999.95 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${size.toFixed(size < 100 ? 1 : 0)} ${units[unit]}`;
}
