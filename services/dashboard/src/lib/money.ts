/** Money for people: amounts travel as decimal strings of nano-USD and are never turned into floating point here. */

const NUSD = 1_000_000_000n;

/** An amount of the wire as a bigint; anything that is none counts as 0, so that a page shows rather than breaks. */
export function toNusd(amount: string | number | bigint | null | undefined): bigint {
  if (typeof amount === 'bigint') return amount;
  if (amount === null || amount === undefined) return 0n;
  return /^-?\d+$/.test(String(amount)) ? BigInt(amount) : 0n;
}

const group = (digits: string) => digits.replace(/\B(?=(\d{3})+$)/g, ',');

/** `-$1,234.50`: all nine decimals when needed, at least two. */
export function usdExact(amount: string | bigint | null | undefined): string {
  const nusd = toNusd(amount);
  const magnitude = nusd < 0n ? -nusd : nusd;
  const fraction = String(magnitude % NUSD)
    .padStart(9, '0')
    .replace(/0{1,7}$/, '');
  return `${nusd < 0n ? '-' : ''}$${group(String(magnitude / NUSD))}.${fraction}`;
}

/** Rounded half away from zero to `decimals` (0 to 9). */
function rounded(nusd: bigint, decimals: number): string {
  const magnitude = nusd < 0n ? -nusd : nusd;
  const unit = 10n ** BigInt(9 - decimals);
  const units = (magnitude + unit / 2n) / unit;
  const scale = 10n ** BigInt(decimals);
  const fraction = decimals === 0 ? '' : `.${String(units % scale).padStart(decimals, '0')}`;
  return `${nusd < 0n && units > 0n ? '-' : ''}$${group(String(units / scale))}${fraction}`;
}

/**
 * For tables and tiles: cents from a dollar on; below it as many decimals as the first three digits need, so that
 * what was charged never reads as nothing.
 */
export function usd(amount: string | bigint | null | undefined): string {
  const nusd = toNusd(amount);
  const magnitude = nusd < 0n ? -nusd : nusd;
  if (magnitude === 0n || magnitude >= NUSD) return rounded(nusd, 2);
  const leadingZeros = 9 - String(magnitude).length;
  const decimals = Math.min(9, Math.max(2, leadingZeros + 3));
  return rounded(nusd, decimals).replace(/(\.\d\d\d*?)0+$/, '$1');
}

/** Dollars as a plain number for the axis of a chart: a picture, never arithmetic. */
export const usdNumber = (amount: string | bigint | null | undefined) => Number(toNusd(amount)) / 1e9;

/** Nano-USD for `tokens` at a price per 1,000,000 tokens, rounded up as the ledger does. */
export function tokenCost(tokens: number, pricePerMillionNusd: string | bigint): bigint {
  const product = BigInt(Math.max(0, Math.trunc(tokens))) * toNusd(pricePerMillionNusd);
  return (product + 999_999n) / 1_000_000n;
}

/** How long `available` lasts at the spend of `days` past days, in days; null when nothing was spent. */
export function daysLeft(available: string | bigint, spent: string | bigint, days: number): number | null {
  const spentNusd = toNusd(spent);
  if (spentNusd <= 0n || days <= 0) return null;
  const left = toNusd(available);
  if (left <= 0n) return 0;
  return Number((left * BigInt(Math.round(days * 1000))) / spentNusd) / 1000;
}

/** `0.4` -> `less than a day`, `12.3` -> `12 days`, more than a year -> `more than a year`. */
export function daysText(days: number): string {
  if (days < 1) return 'less than a day';
  if (days > 365) return 'more than a year';
  const whole = Math.floor(days);
  return whole === 1 ? '1 day' : `${whole} days`;
}

/** What a person typed as dollars ("12.50", "$1,000") as the wire's decimal text, or null. */
export function parseUsd(text: string): string | null {
  const clean = text.trim().replace(/^\$/, '').replace(/,/g, '');
  return /^\d{1,9}(\.\d{1,9})?$/.test(clean) ? clean : null;
}
