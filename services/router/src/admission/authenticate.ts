/** Who is calling, from headers alone; junk is refused without any I/O. */

import { AppError } from '@tollgate/shared/domain/errors';
import { isWellFormedKey, type KeyRecord } from '@tollgate/shared/domain/key';
import { ACTING_PREFIX } from '@tollgate/shared/runtime/acting-key';
import { clientAddress, mayComeFrom } from './address.ts';
import type { KeyDirectory } from './key-directory.ts';

/** The request headers that authentication looks at, as Node has them. */
export interface AuthHeaders {
  authorization: string | undefined;
  xApiKey: string | undefined;
  /** Names and values in turn, repeated headers included. */
  raw: readonly string[];
  /** Address of the connection, and what proxies say of it: for keys that are bound to addresses. */
  peer?: string | undefined;
  forwardedFor?: string | undefined;
}

export interface AuthenticateParts {
  directory: KeyDirectory;
  digest: (keyText: string) => string;
  nowMs: () => number;
  /** Reads what another service of the installation shows to work for an account; null = it is none, or over. */
  acting?: (text: string) => KeyRecord | null;
  /** How many proxies of ours stand before this router. */
  trustedProxies?: number;
}

/** The record of a key that may be used now. Throws 401, 403 or 503. */
export async function authenticate(headers: AuthHeaders, parts: AuthenticateParts): Promise<KeyRecord> {
  const text = keyText(headers);
  const acting = text.startsWith(ACTING_PREFIX) ? parts.acting?.(text) : null;
  if (acting) return acting;
  if (!isWellFormedKey(text)) throw new AppError('invalid_api_key');
  const digest = parts.digest(text);
  const copy = parts.directory.peek(digest);
  const record = copy === undefined ? await parts.directory.find(digest) : copy;
  if (record === null) throw new AppError('invalid_api_key');
  checkUsable(record, parts.nowMs());
  if (record.allowedIps !== undefined) {
    const address = clientAddress(headers.peer, headers.forwardedFor, parts.trustedProxies ?? 0);
    if (!mayComeFrom(record.allowedIps, address)) {
      throw new AppError('endpoint_not_allowed', { message: 'This API key may not be used from this address.' });
    }
  }
  return record;
}

export function checkUsable(record: KeyRecord, nowMs: number): void {
  if (record.revokedAtMs !== null && record.revokedAtMs <= nowMs) throw new AppError('invalid_api_key');
  if (record.expiresAtMs !== null && record.expiresAtMs <= nowMs) throw new AppError('key_expired');
  if (record.accountFrozen) throw new AppError('account_frozen');
}

/** True when the key may use the endpoint; a key without scopes may use all. */
export function checkScope(record: KeyRecord, scope: string): void {
  if (record.scopes.length > 0 && !record.scopes.includes(scope)) throw new AppError('endpoint_not_allowed');
}

export function mayUseModel(record: KeyRecord, model: string): boolean {
  return record.models === null || record.models.includes(model);
}

function keyText({ authorization, xApiKey, raw }: AuthHeaders): string {
  if (authorization === undefined) {
    // Anthropic's clients send it so; the same key, the same rules.
    if (xApiKey !== undefined && xApiKey !== '') return xApiKey;
    throw new AppError('missing_api_key');
  }
  // Node keeps the first of several and a proxy before us may have kept the last: whose key it is would be a guess.
  if (countAuthorization(raw) > 1) {
    throw new AppError('invalid_api_key', { message: 'Several Authorization headers were sent. Send one.' });
  }
  const match = /^Bearer +(\S+) *$/i.exec(authorization);
  if (match === null) {
    throw new AppError('missing_api_key', { message: 'The Authorization header must be "Bearer <key>".' });
  }
  return match[1]!;
}

function countAuthorization(raw: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++;
  }
  return count;
}
