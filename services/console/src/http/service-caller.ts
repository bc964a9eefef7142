/** Calls of other services of the installation, as Express sees them. */
import { callerOf, type Identity } from '@tollgate/shared/contracts/internal';
import { AppError } from '@tollgate/shared/domain/errors';
import { serviceTokenCheck } from '@tollgate/shared/runtime/service-caller';
import type { Request, RequestHandler } from 'express';

export function whoOf({ headers }: Request): Identity {
  return callerOf(headers);
}

export function requireService(token: string): RequestHandler {
  const isService = serviceTokenCheck(token);
  return ({ headers }, _response, next) => {
    if (!isService(headers.authorization)) {
      throw new AppError('invalid_api_key', { message: 'The service token is missing or wrong.' });
    }
    next();
  };
}
