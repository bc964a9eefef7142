/**
 * How services of one installation speak to each other on behalf of an account: the service token vouches for the caller,
 * these headers say for whom. Only a router that authenticated a key, or a service that works for one, sets them.
 */
import { AppError } from '../domain/errors.ts';
import { isId } from '../domain/ids.ts';

export const IDENTITY_HEADERS = {
  account: 'x-tollgate-account-id',
  key: 'x-tollgate-key-id',
  project: 'x-tollgate-project-id',
  user: 'x-tollgate-user-id',
} as const;

export interface Identity {
  accountId: string;
  keyId: string;
  projectId: string | null;
  userId: string | null;
}

/** Headers of a call for somebody. Values are written as in a URI: a user's name may be in any script. */
export function identityHeaders({ accountId, keyId, projectId, userId }: Identity): Record<string, string> {
  return {
    [IDENTITY_HEADERS.account]: accountId,
    [IDENTITY_HEADERS.key]: keyId,
    ...(projectId === null ? {} : { [IDENTITY_HEADERS.project]: encodeURIComponent(projectId) }),
    ...(userId === null ? {} : { [IDENTITY_HEADERS.user]: encodeURIComponent(userId) }),
  };
}

/** Null when account or key is missing. */
export function readIdentity(header: (name: string) => string | undefined): Identity | null {
  const accountId = header(IDENTITY_HEADERS.account);
  const keyId = header(IDENTITY_HEADERS.key);
  if (!accountId || !keyId) return null;
  return {
    accountId,
    keyId,
    projectId: decoded(header(IDENTITY_HEADERS.project)),
    userId: decoded(header(IDENTITY_HEADERS.user)),
  };
}

/** For whom a call is, by Node's headers; only of a caller whose service token was checked. Throws 401. */
export function callerOf(headers: Readonly<Record<string, string | string[] | undefined>>): Identity {
  const who = readIdentity((name) => {
    const value = headers[name];
    return typeof value === 'string' ? value : undefined;
  });
  if (who === null || !isId('acct', who.accountId) || !isId('key', who.keyId)) {
    throw new AppError('missing_api_key', { message: 'The call does not say for whom it is.' });
  }
  return who;
}

function decoded(value: string | undefined): string | null {
  if (!value) return null;
  try {
    return decodeURIComponent(value);
  } catch {
    // Not ours; taken as it stands it names nobody.
    return value;
  }
}
