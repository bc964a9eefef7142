/** Personal access tokens: keys of kind `pat`. Each acts as its user, in the one organisation it was made for. */
import type { Db } from '@tollgate/shared/db/client';
import { keyByDigest } from '@tollgate/shared/db/console-lists';
import { OrganisationStore } from '@tollgate/shared/db/organisation-store';
import { isWellFormedKey } from '@tollgate/shared/domain/key';
import { keyDigest } from '@tollgate/shared/redis/digest';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Authenticator } from './actor.ts';

export function accessTokens({ db, pepper, clock }: { db: Db; pepper: string; clock: Clock }): Authenticator {
  return async ({ authorization }) => {
    const match = /^Bearer +(\S+)$/i.exec(authorization ?? '');
    if (!match || !isWellFormedKey(match[1]!)) return null;
    const key = await keyByDigest(db, keyDigest(match[1]!, pepper));
    if (key?.kind !== 'pat' || key.userId === null || key.revokedAtMs !== null) return null;
    if (key.expiresAtMs !== null && key.expiresAtMs <= clock.nowMs()) return null;
    const member = await new OrganisationStore(db).member(key.accountId, key.userId);
    // Who left the organisation has no token in it any more.
    if (!member) return null;
    return {
      kind: 'member',
      id: key.id,
      userId: key.userId,
      roles: new Map([[key.accountId as string, member.role]]),
      session: null,
    };
  };
}
