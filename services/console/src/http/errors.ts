/** The one place where an error becomes an answer. No handler has its own catch. */

import type { ErrorBody } from '@tollgate/shared/contracts/console/common';
import { isDatabaseTrouble } from '@tollgate/shared/db/trouble';
import { AppError, toAppError } from '@tollgate/shared/domain/errors';
import { RedisUnavailable } from '@tollgate/shared/redis/client';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { ErrorRequestHandler, Response } from 'express';
import type { z } from 'zod';

/** Most problems told of one request. */
const MAX_ISSUES = 20;

/** A zod failure as `invalid_request`: the first path is `param`, all of them stand in `metadata.issues`. */
export function invalidRequest(where: 'body' | 'query' | 'path', error: z.ZodError): AppError {
  const issues = error.issues.flatMap((issue) => flatten(issue)).slice(0, MAX_ISSUES);
  const first = issues[0];
  return new AppError('invalid_request', {
    message: first ? `${first.param || where}: ${first.message}` : `The ${where} is not valid.`,
    param: first?.param || null,
    metadata: { in: where, issues },
  });
}

function flatten(issue: z.core.$ZodIssue): { param: string; message: string }[] {
  const path = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ param: pathText([...issue.path, clip(key)]), message: 'is not a known field' }));
  }
  return [{ param: path, message: issue.message.slice(0, 300) }];
}

/** `['limits', 'rpm']` -> `limits.rpm`; `['models', 0]` -> `models[0]`. */
function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? clip(String(part)) : `.${clip(String(part))}`;
  }
  return text;
}

/** Names come from the client: they are told back in part only, and printable. */
const clip = (text: string) => text.slice(0, 60).replace(/[\p{Cc}\p{Cs}]/gu, '?');

/** Body reader's and router's own errors, by their documented `type` or status. */
function fromExpress(error: unknown): AppError | null {
  const { type, status } = error as { type?: unknown; status?: unknown };
  switch (type) {
    case 'entity.too.large':
      return new AppError('body_too_large', { cause: error });
    case 'entity.parse.failed':
      return new AppError('invalid_json', { cause: error });
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return new AppError('unsupported_media_type', { cause: error });
    case 'request.size.invalid':
    case 'request.aborted':
      return new AppError('invalid_request', { message: 'The body ended early.', cause: error });
    default:
      // A path with broken percent-encoding.
      return status === 400
        ? new AppError('invalid_request', { message: 'The address is not valid.', cause: error })
        : null;
  }
}

/** What ioredis says without a type of its own. */
const REDIS_LOST = /Connection is closed|max retries per request|Command timed out/i;
/** A deadlock or a statement that was cut off is over by then; a server that restarts answers this once more. */
const STORE_RETRY_MS = 1_000;

function fromStores(error: unknown): AppError | null {
  if (!(error instanceof Error)) return null;
  const lost = error instanceof RedisUnavailable || REDIS_LOST.test(error.message) || isDatabaseTrouble(error);
  if (!lost) return null;
  const message = 'A store cannot answer this now. Retry.';
  return new AppError('store_unavailable', { message, retryAfterMs: STORE_RETRY_MS, cause: error });
}

export function sendError(response: Response, error: AppError): void {
  const { spec } = error;
  response.status(spec.status);
  if (spec.status === 401) response.set('www-authenticate', 'Bearer');
  if (error.retryAfterMs !== undefined || spec.status === 503) {
    const waitMs = Math.min(error.retryAfterMs ?? 1_000, 60_000);
    response.set({ 'retry-after': String(Math.ceil(waitMs / 1000)), 'retry-after-ms': String(Math.ceil(waitMs)) });
  }
  response.set('x-should-retry', String(spec.retryable));
  const body: ErrorBody = {
    error: {
      message: error.message,
      type: spec.type,
      param: error.param,
      code: error.code,
      ...(error.metadata === undefined ? {} : { metadata: error.metadata }),
    },
  };
  response.json(body);
}

export function errorHandler(logger: Logger): ErrorRequestHandler {
  return (thrown, _request, response, next) => {
    const error =
      thrown instanceof AppError ? thrown : (fromExpress(thrown) ?? fromStores(thrown) ?? toAppError(thrown));
    response.locals.errorCode = error.code;
    if (error.spec.status >= 500) {
      logger.error({ err: error, requestId: response.locals.requestId, internal: error.internal }, 'request failed');
    }
    if (response.headersSent) next(thrown);
    else sendError(response, error);
  };
}
