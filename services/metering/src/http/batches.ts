/** Routes of `/v1/batches`; what they do is in `batches/api.ts`. */
import { callerOf, type Identity } from '@tollgate/shared/contracts/internal';
import type { RepeatAsk } from '@tollgate/shared/db/post-repeats';
import { isDatabaseTrouble } from '@tollgate/shared/db/trouble';
import { AppError, toAppError } from '@tollgate/shared/domain/errors';
import { IDEMPOTENCY_HEADER, REPLAYED_HEADER, readIdempotencyKey } from '@tollgate/shared/domain/idempotency';
import type { Logger } from '@tollgate/shared/runtime/logger';
import express, { type Request, type Response, type Router } from 'express';
import type { BatchApi } from '../batches/api.ts';

const BODY_LIMIT = '64kb';

/** Behind the service token. */
export function batchRoutes(api: BatchApi, logger: Logger): Router {
  const router = express.Router();
  const answer =
    (work: (who: Identity, request: Request, response: Response) => Promise<unknown>) =>
    async (request: Request, response: Response): Promise<void> => {
      try {
        response.json(await work(callerOf(request.headers), request, response));
      } catch (thrown) {
        tell(response, known(thrown), logger);
      }
    };
  const id = (request: Request) => String(request.params.id);
  router.post(
    '/',
    express.json({ limit: BODY_LIMIT }),
    answer((who, request, response) => api.create(who, request.body ?? {}, repeatOf(request, response))),
  );
  router.get(
    '/',
    answer((who, request) => api.list(who, request.query)),
  );
  router.get(
    '/:id',
    answer((who, request) => api.get(who, id(request))),
  );
  router.post(
    '/:id/cancel',
    answer((who, request, response) => api.cancel(who, id(request), repeatOf(request, response))),
  );
  return router;
}

function repeatOf(request: Request, response: Response): RepeatAsk | null {
  const key = readIdempotencyKey(request.get(IDEMPOTENCY_HEADER));
  return key === null ? null : { key, onRepeat: () => void response.set(REPLAYED_HEADER, 'true') };
}

/** A database that cannot answer now is a 503 that can be tried again. */
function known(thrown: unknown): AppError {
  if (!isDatabaseTrouble(thrown)) return toAppError(thrown);
  return new AppError('service_unavailable', { retryAfterMs: 1_000, cause: thrown });
}

function tell(response: Response, error: AppError, logger: Logger): void {
  const { status, type, retryable } = error.spec;
  if (status >= 500) logger.error({ err: error }, 'batch call failed');
  // SDKs try a 409 again unless they are told that waiting does not help.
  if (!retryable) response.setHeader('x-should-retry', 'false');
  if (error.retryAfterMs !== undefined && retryable) {
    response.setHeader('retry-after', String(Math.ceil(error.retryAfterMs / 1_000)));
  }
  const { message, param, code, metadata } = error;
  response.status(status).json({ error: { message, type, param, code, ...(metadata && { metadata }) } });
}
