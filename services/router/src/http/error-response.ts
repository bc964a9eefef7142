/** The one place that turns an error into bytes for a client. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AppError } from '@tollgate/shared/domain/errors';
import type { RequestContext } from '../context.ts';
import { errorHeaders } from './headers.ts';

/**
 * Before the answer began: status, headers and the contract's error object. Inside a stream: one event with that object
 * and no `[DONE]`, because a clean end would be taken for success.
 */
export function sendError(
  ctx: RequestContext,
  request: IncomingMessage,
  response: ServerResponse,
  error: AppError,
): void {
  if (response.destroyed || response.writableEnded) return;
  const body = JSON.stringify(ctx.profile.renderError(error));
  if (response.headersSent) {
    response.end(`data: ${body}\n\n`);
    return;
  }
  ctx.status = error.spec.status;
  const headers = errorHeaders(ctx, error);
  const bytes = Buffer.from(body);
  headers['content-length'] = String(bytes.length);
  // What is left of the body is not read: this connection cannot carry another request.
  if (!request.complete) headers.connection = 'close';
  response.writeHead(error.spec.status, headers);
  response.end(request.method === 'HEAD' ? undefined : bytes);
}
