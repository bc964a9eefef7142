/** `/v1/usage`, `/v1/requests` and `/v1/key/history` for a key's own holder. The caller is the router, for a key. */

import { modelId, pageQuery, timeInput } from '@tollgate/shared/contracts/console/common';
import type { Identity } from '@tollgate/shared/contracts/internal';
import { AppError } from '@tollgate/shared/domain/errors';
import express, { type Request, type Response, type Router } from 'express';
import { z } from 'zod';
import type { OwnUsage } from '../internal/own-usage.ts';
import { invalidRequest } from './errors.ts';
import { requireService, whoOf } from './service-caller.ts';

const range = { model: modelId.optional(), from: timeInput.optional(), to: timeInput.optional() };
const label = z.string().min(1).max(256).optional();
export const requestsQuery = z.strictObject({
  ...pageQuery,
  ...range,
  chat_id: label,
  user: label,
  user_id: label,
  project_id: label,
});
export const usageQuery = z.strictObject({ ...pageQuery, ...range, by: z.enum(['hour', 'day']).optional() });
export const receiptQuery = z.strictObject({ include: z.literal('body').optional() });
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
  get('/v1/requests/:id', 'own.receipt', receiptQuery, (who, { include }, request) =>
    own.receipt(who, String(request.params.id), {
      body: include === 'body',
      callId: request.get('x-request-id')?.slice(0, 80) ?? null,
    }),
  );
  get('/v1/key/history', 'own.history', nothing, (who) => own.history(who));
  router.all(paths, (_request, response) => {
    response.set('allow', 'GET, HEAD');
    throw new AppError('method_not_allowed');
  });
  return router;
}
