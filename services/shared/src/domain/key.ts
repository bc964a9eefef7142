import type { AccountId, KeyId } from './ids.ts';
import { base62 } from './ids.ts';
import type { RateLimits } from './limits.ts';

/**
 * An API key is `tg_live_<id>_<secret><crc>`: 12 base62 characters of id (they make leaks greppable and the key
 * nameable in support), 32 of secret (190 bits) and 6 of CRC-32 over everything before, so that a typo or a stranger's
 * token is refused without any I/O (GitHub's token shape, facts/reliability.md section 5).
 */
export const KEY_PREFIX = 'tg_live_';
const ID_LENGTH = 12;
const SECRET_LENGTH = 32;
const CRC_LENGTH = 6;
const SHAPE = /^tg_live_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/;

export type KeyKind = 'api' | 'pat' | 'service';

/**
 * What a router must know of a key. Written by the console next to the digest, read by routers in one Redis read.
 * The limits of account and model stand on it too, so that admission needs no second read.
 */
export interface KeyRecord {
  keyId: KeyId;
  accountId: AccountId;
  projectId: string | null;
  userId: string | null;
  kind: KeyKind;
  /** Model ids the key may use; null = all. */
  models: readonly string[] | null;
  /** Endpoint scopes; empty = all. */
  scopes: readonly string[];
  allowGrammars: boolean;
  /** Addresses or CIDR ranges it may be used from; absent = any. */
  allowedIps?: readonly string[];
  limits: RateLimits;
  accountLimits: RateLimits;
  /** Per (account, model); models not named have none. */
  modelLimits: Readonly<Record<string, RateLimits>>;
  /** Spend caps per UTC day and month in nano-USD, as decimal strings; null = none. */
  capDayNusd: string | null;
  capMonthNusd: string | null;
  expiresAtMs: number | null;
  revokedAtMs: number | null;
  accountFrozen: boolean;
  /** Share of the queue in the fair order; from the plan. */
  weight: number;
  /** Of the model's price, 1 to 100; absent = 100. Lines of batches pay less. */
  pricePercent?: number;
  /** The account has the bodies of its requests kept; absent = no. */
  keepsBodies?: true;
}

/** Mints a key's text; `publicId` is its loggable part. */
export function mintKey(bytes: (count: number) => Uint8Array): { text: string; publicId: string; last4: string } {
  const publicId = base62(ID_LENGTH, bytes);
  const body = `${KEY_PREFIX}${publicId}_${base62(SECRET_LENGTH, bytes)}`;
  const text = body + checksum(body);
  return { text, publicId, last4: text.slice(-4) };
}

/** True when `text` has the shape of a key and its checksum fits; no I/O. */
export function isWellFormedKey(text: string): boolean {
  if (!SHAPE.test(text)) return false;
  const body = text.slice(0, -CRC_LENGTH);
  return checksum(body) === text.slice(-CRC_LENGTH);
}

/** CRC-32 as 6 base62 digits, most significant first (62^6 > 2^32). */
function checksum(text: string): string {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let rest = crc32(text);
  let out = '';
  for (let i = 0; i < CRC_LENGTH; i++) {
    out = digits[rest % 62] + out;
    rest = Math.floor(rest / 62);
  }
  return out;
}

/** CRC-32 (IEEE 802.3) of ASCII text; also the hash that places an account in its bucket. */
export function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let i = 0; i < text.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ text.charCodeAt(i)) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});
