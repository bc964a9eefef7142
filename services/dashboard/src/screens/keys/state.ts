/** What a key can do now, in a word. */
import type { KeyView } from '@tollgate/shared/contracts/console/keys';
import { usd } from '../../lib/money.ts';

export type KeyState = 'live' | 'retiring' | 'expiring' | 'expired' | 'revoked';

/** A key that ends within this time is said to be about to. */
const SOON_MS = 7 * 86_400_000;

export function keyState(key: Pick<KeyView, 'revokedAt' | 'expiresAt' | 'rotatedTo'>, nowMs: number): KeyState {
  if (key.revokedAt !== null) return 'revoked';
  if (key.expiresAt === null) return 'live';
  const left = Date.parse(key.expiresAt) - nowMs;
  if (left <= 0) return 'expired';
  if (key.rotatedTo !== null) return 'retiring';
  return left <= SOON_MS ? 'expiring' : 'live';
}

export const STATE_TONE = { live: 'ok', retiring: 'warn', expiring: 'warn', expired: 'plain', revoked: 'bad' } as const;
export const STATE_NAME: Record<KeyState, string> = {
  live: 'Live',
  retiring: 'Being replaced',
  expiring: 'Ends soon',
  expired: 'Expired',
  revoked: 'Revoked',
};
export const isUsable = (state: KeyState) => state !== 'expired' && state !== 'revoked';

/** `$1.20 of $5.00 today` where a cap is set, else the month's spend. */
export function spendText(
  key: Pick<KeyView, 'spentDayNusd' | 'spentMonthNusd' | 'capDayNusd' | 'capMonthNusd'>,
): string {
  if (key.capMonthNusd !== null) return `${usd(key.spentMonthNusd)} of ${usd(key.capMonthNusd)} this month`;
  if (key.capDayNusd !== null) return `${usd(key.spentDayNusd)} of ${usd(key.capDayNusd)} today`;
  return `${usd(key.spentMonthNusd)} this month`;
}

/** `tg_live_4fZkQw81mNc2…x9Qa`: enough to tell keys apart, useless to anybody else. */
export const masked = (key: Pick<KeyView, 'prefix' | 'last4'>) => `${key.prefix}…${key.last4}`;
