/** Whether this caller may use this route on this organisation: decided here, once, before any handler runs. */
import { AppError } from '@tollgate/shared/domain/errors';
import { type Actor, may } from '../auth/actor.ts';
import type { Route } from './route.ts';

/** Keys and money may be changed for so long after the last proof of who one is. */
export const FRESH_MS = 600_000;

export interface AccessParts {
  /** The organisation of a key; null = there is no such key. */
  accountOfKey(keyId: string): Promise<string | null>;
  accountExists(accountId: string): Promise<boolean>;
  nowMs(): number;
}

interface Asked {
  params: unknown;
  query: unknown;
  body: unknown;
}

const text = (from: unknown, name: string): string | null => {
  const value = (from as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'string' ? value : null;
};

/** The organisation that is asked about; for the audit log too. */
export async function accountOf(route: Route, asked: Asked, parts: AccessParts): Promise<string | null> {
  switch (route.audience) {
    case 'account':
      return text(asked.params, 'id');
    case 'key':
      return parts.accountOfKey(text(asked.params, 'id') ?? '');
    case 'query':
      return text(asked.query, 'accountId');
    case 'body':
      return text(asked.body, 'accountId');
    default:
      return route.path.startsWith('/api/accounts/{id}') ? text(asked.params, 'id') : null;
  }
}

/** @throws 404 for what is not theirs, 403 for what their role may not, 403 when they must sign in again first. */
export async function checkAccess(
  route: Route,
  actor: Actor,
  accountId: string | null,
  parts: AccessParts,
): Promise<void> {
  const { audience } = route;
  if (audience === 'public') return;
  if (audience === 'session' || audience === 'user') {
    if (audience === 'session' && !actor.session) {
      throw new AppError('endpoint_not_allowed', { message: 'This is for signed-in users of the dashboard.' });
    }
    if (audience === 'user' && actor.userId === undefined && actor.kind !== 'operator') throw new AppError('not_found');
  } else {
    if (actor.kind !== 'operator' && accountId === null && (audience === 'query' || audience === 'body')) {
      throw new AppError('invalid_request', { message: 'accountId: name your organisation.', param: 'accountId' });
    }
    const verdict = may(actor, route.permission, audience === 'platform' ? null : accountId);
    if (verdict === 'unknown' || (audience === 'key' && accountId === null)) throw new AppError('not_found');
    // An operator may ask about any organisation that there is; of members' own it is known.
    if (audience === 'account' && actor.kind === 'operator' && !(await parts.accountExists(accountId ?? ''))) {
      throw new AppError('not_found', { message: 'There is no such account.' });
    }
    if (verdict === 'no') throw new AppError('endpoint_not_allowed', { message: 'Your role does not allow this.' });
  }
  if (!route.stepUp) return;
  if (actor.session) {
    if (parts.nowMs() - actor.session.freshAtMs > FRESH_MS) throw new AppError('reauthentication_required');
  } else if (actor.userId !== undefined) {
    // An access token: what a person must confirm, a script may not do in their name.
    throw new AppError('endpoint_not_allowed', {
      message: 'An access token may not do this. Sign in to the dashboard.',
    });
  }
}
