/** Calls of other services of the installation: their token, and for whom they call. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Identity, readIdentity } from '@tollgate/shared/contracts/internal';
import { AppError } from '@tollgate/shared/domain/errors';
import { isId } from '@tollgate/shared/domain/ids';
import type { Request, RequestHandler } from 'express';

export function whoOf(request: Request): Identity {
  const who = readIdentity((name) => {
    const value = request.headers[name];
    return typeof value === 'string' ? value : undefined;
  });
  if (who === null || !isId('acct', who.accountId) || !isId('key', who.keyId)) {
    throw new AppError('missing_api_key', { message: 'The call does not say for whom it is.' });
  }
  return who;
}

/** Both sides are hashed first, so that the comparison takes the same time whatever was sent. */
export function requireService(token: string): RequestHandler {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (request, _response, next) => {
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      throw new AppError('invalid_api_key', { message: 'The service token is missing or wrong.' });
    }
    next();
  };
}
