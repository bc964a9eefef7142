/** Acting keys for whoever owns a key now: a key that was revoked, has expired, or is frozen lends nothing. */

import { AppError } from '../domain/errors.ts';
import { type ActingTerms, mintActingKey } from '../runtime/acting-key.ts';
import type { Executor } from './client.ts';
import { KeyStore } from './key-store.ts';

/** A batch of embeddings, or a line's way to the router, takes seconds; a stolen acting key is worth little. */
const LIFE_MS = 60_000;

export interface ActingPerson extends ActingTerms {
  keyId: string;
  projectId: string | null;
  userId: string | null;
}

/** @throws {AppError} 401, 403 when the key may not be used now. */
export async function actingKeyFor(
  db: Executor,
  { keyId, projectId, userId, scopes, pricePercent }: ActingPerson,
  serviceToken: string,
  nowMs: number,
): Promise<string> {
  const found = await new KeyStore(db).record(keyId);
  if (found === null || found.record.revokedAtMs !== null) throw new AppError('invalid_api_key');
  const { record } = found;
  if (record.expiresAtMs !== null && record.expiresAtMs <= nowMs) throw new AppError('key_expired');
  if (record.accountFrozen) throw new AppError('account_frozen');
  const terms = { ...(scopes && { scopes }), ...(pricePercent && { pricePercent }) };
  return mintActingKey({ ...record, projectId, userId }, nowMs + LIFE_MS, serviceToken, terms);
}
