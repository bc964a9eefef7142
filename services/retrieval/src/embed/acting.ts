/** Whom the service works for: turns the id of a key into an acting key, as long as that key may be used. */
import { actingKeyFor } from '@tollgate/shared/db/acting-keys';
import type { Db } from '@tollgate/shared/db/client';
import type { Clock } from '@tollgate/shared/runtime/clock';

export interface Person {
  keyId: string;
  projectId: string | null;
  userId: string | null;
}

/** @throws {AppError} 401, 403 when the key was revoked, has expired, or its account is frozen. */
export type ActFor = (person: Person) => Promise<string>;

export function createActFor(db: Db, serviceToken: string, clock: Clock): ActFor {
  return (person) => actingKeyFor(db, person, serviceToken, clock.nowMs());
}
