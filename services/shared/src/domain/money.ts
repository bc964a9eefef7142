/**
 * Money is a whole number of nano-USD (1 USD = 1e9) in a bigint; prices are nano-USD per one million tokens.
 * There is one rounding in the whole product, the `ceil` of `costNusd`, used alike for holds and for settlements.
 */
export type Nusd = bigint;

export const NUSD_PER_USD = 1_000_000_000n;

/** Unit prices of a model, as they stood at admission: nano-USD per 1,000,000 tokens. `cached <= input` always. */
export interface UnitPrices {
  inputNusd: Nusd;
  cachedInputNusd: Nusd;
  outputNusd: Nusd;
}

export interface BilledTokens {
  /** All prompt tokens, the cached ones included. */
  promptTokens: number;
  /** Of these, how many the engine found in its prefix cache; never more than `promptTokens`. */
  cachedTokens: number;
  completionTokens: number;
}

/** Cost of a request: one ceil over the whole sum (MONEY.md 2.3), so that parts never add up to more than the whole. */
export function costNusd(tokens: BilledTokens, prices: UnitPrices): Nusd {
  const cached = BigInt(Math.min(tokens.cachedTokens, tokens.promptTokens));
  const fresh = BigInt(tokens.promptTokens) - cached;
  const sum =
    fresh * prices.inputNusd + cached * prices.cachedInputNusd + BigInt(tokens.completionTokens) * prices.outputNusd;
  return (sum + 999_999n) / 1_000_000n;
}

/** Prices at so many per cent, each rounded up to a whole nano-USD per million tokens: `cached <= input` stays true. */
export function pricesAt(prices: UnitPrices, percent: number): UnitPrices {
  if (percent === 100) return prices;
  const part = (price: Nusd): Nusd => (price * BigInt(percent) + 99n) / 100n;
  return {
    inputNusd: part(prices.inputNusd),
    cachedInputNusd: part(prices.cachedInputNusd),
    outputNusd: part(prices.outputNusd),
  };
}

/** Parses a decimal USD amount such as `12.5` or `0.000000001` exactly; throws RangeError on anything else. */
export function usdToNusd(text: string): Nusd {
  const match = /^(-?)(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (!match) throw new RangeError(`not an amount in USD with at most 9 decimals: ${text.slice(0, 40)}`);
  const value = BigInt(match[2]!) * NUSD_PER_USD + BigInt((match[3] ?? '').padEnd(9, '0') || '0');
  return match[1] ? -value : value;
}

/** `1500000000n` -> `"1.5"`; exact, no trailing zeros. */
export function nusdToUsd(amount: Nusd): string {
  const sign = amount < 0n ? '-' : '';
  const abs = amount < 0n ? -amount : amount;
  const fraction = (abs % NUSD_PER_USD).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${abs / NUSD_PER_USD}${fraction ? `.${fraction}` : ''}`;
}

/** Redis counts in doubles: no single amount that reaches a script may pass this (MONEY.md 1.6: lease <= 1e14). */
export const MAX_LEASE_NUSD: Nusd = 100_000_000_000_000n;
