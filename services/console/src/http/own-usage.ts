/** `/v1/usage`, `/v1/requests` and `/v1/key/history` for a key's own holder. The caller is the router, for a key. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { modelId, pageQuery, timeInput } from '@tollgate/shared/contracts/console/common';
import { type Identity, readIdentity } from '@tollgate/shared/contracts/internal';
import { AppError } from '@tollgate/shared/domain/errors';
import { isId } from '@tollgate/shared/domain/ids';
import express, { type Request, type RequestHandler, type Response, type Router } from 'express';
import { z } from 'zod';
import type { OwnUsage } from '../internal/own-usage.ts';
import { invalidRequest } from './errors.ts';

const range = { model: modelId.optional(), from: timeInput.optional(), to: timeInput.optional() };
const requestsQuery = z.strictObject({ ...pageQuery, ...range });
const usageQuery = z.strictObject({ ...pageQuery, ...range, by: z.enum(['hour', 'day']).optional() });
const nothing = z.strictObject({});

export function ownUsageRoutes(own: OwnUsage, serviceToken: string): Router {
  const router = express.Router();
  const paths = ['/v1/usage', '/v1/requests', '/v1/requests/:id', '/v1/key/history'];
  router.use(paths, requireService(serviceToken));
  const get = <Q>(
    path: string,
    operation: string,
    schema: z.ZodType<Q>,
    answer: (who: Identity, query: Q, request: Request) => Promise<unknown>,
  ) => {
    router.get(path, async (request: Request, response: Response) => {
      response.locals.operation = operation;
      const query = schema.safeParse(request.query);
      if (!query.success) throw invalidRequest('query', query.error);
      response.json(await answer(whoOf(request), query.data, request));
    });
  };
  get('/v1/usage', 'own.usage', usageQuery, (who, query) => own.totals(who, query));
  get('/v1/requests', 'own.requests', requestsQuery, (who, query) => own.requests(who, query));
  get('/v1/requests/:id', 'own.receipt', nothing, (who, _query, { params }) => own.receipt(who, String(params.id)));
  get('/v1/key/history', 'own.history', nothing, (who) => own.history(who));
  router.all(paths, (_request, response) => {
    response.set('allow', 'GET, HEAD');
    throw new AppError('method_not_allowed');
  });
  return router;
}

function whoOf(request: Request): Identity {
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
function requireService(token: string): RequestHandler {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (request, _response, next) => {
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      throw new AppError('invalid_api_key', { message: 'The service token is missing or wrong.' });
    }
    next();
  };
}
