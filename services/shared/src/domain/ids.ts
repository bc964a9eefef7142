/**
 * Branded ids. Each has a prefix that says what it names, so that a log line or a table cell can be read without
 * its column's title. Parsed once where they enter; minted only from an injected `Random`.
 */
export type Id<Prefix extends string> = `${Prefix}_${string}`;
export type AccountId = Id<'acct'>;
export type ProjectId = Id<'proj'>;
export type UserId = Id<'user'>;
/** The loggable handle of a key. Its secret starts with another prefix (`tg_live_`), so they cannot be confused. */
export type KeyId = Id<'key'>;
/** One client request; also the id of its hold and of its settlement. Always minted by the router. */
export type RequestId = Id<'req'>;
export type LeaseId = Id<'lease'>;
export type PriceId = Id<'price'>;
export type TransactionId = Id<'txn'>;
export type RouterId = string;

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Base62 text of `length` characters from random bytes; bytes above 247 are skipped so that no letter is likelier. */
export function base62(length: number, bytes: (count: number) => Uint8Array): string {
  let text = '';
  while (text.length < length) {
    for (const byte of bytes(length - text.length + 8)) {
      if (byte < 248 && text.length < length) text += ALPHABET[byte % 62];
    }
  }
  return text;
}

/** Mints an id such as `acct_4fZk…`: 20 base62 characters are 119 bits, so that ids never need a uniqueness check. */
export function newId<P extends string>(prefix: P, bytes: (count: number) => Uint8Array): Id<P> {
  return `${prefix}_${base62(20, bytes)}`;
}

/** True when `value` is an id of that prefix. */
export function isId<P extends string>(prefix: P, value: unknown): value is Id<P> {
  return (
    typeof value === 'string' &&
    value.startsWith(`${prefix}_`) &&
    /^[0-9A-Za-z]{1,40}$/.test(value.slice(prefix.length + 1))
  );
}
