/** Whom the service works for: turns the id of a key into an acting key, as long as that key may be used. */
import type { Db } from '@tollgate/shared/db/client';
import { KeyStore } from '@tollgate/shared/db/key-store';
import { mintActingKey } from '@tollgate/shared/domain/acting-key';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';

/** A batch of embeddings takes seconds; a stolen acting key is worth little. */
const LIFE_MS = 60_000;

export interface Person {
  keyId: string;
  projectId: string | null;
  userId: string | null;
}

/** @throws {AppError} 401, 403 when the key was revoked, has expired, or its account is frozen. */
export type ActFor = (person: Person) => Promise<string>;

export function createActFor(db: Db, serviceToken: string, clock: Clock): ActFor {
  return async ({ keyId, projectId, userId }) => {
    const found = await new KeyStore(db).record(keyId);
    const nowMs = clock.nowMs();
    if (found === null || found.record.revokedAtMs !== null) throw new AppError('invalid_api_key');
    const { record } = found;
    if (record.expiresAtMs !== null && record.expiresAtMs <= nowMs) throw new AppError('key_expired');
    if (record.accountFrozen) throw new AppError('account_frozen');
    return mintActingKey({ ...record, projectId, userId }, nowMs + LIFE_MS, serviceToken);
  };
}
