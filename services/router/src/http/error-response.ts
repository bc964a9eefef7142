/** The one place that turns an error into bytes for a client. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AppError } from '@tollgate/shared/domain/errors';
import type { RequestContext } from '../context.ts';
import { endStream } from '../relay/client-side.ts';
import { errorHeaders } from './headers.ts';

/**
 * Before the answer began: status, headers and the contract's error object. Inside a stream: one event with that object
 * and no `[DONE]`, because a clean end would be taken for success. After blank lines: the object alone.
 */
export function sendError(
  ctx: RequestContext,
  request: IncomingMessage,
  response: ServerResponse,
  error: AppError,
): void {
  if (response.destroyed || response.writableEnded) return;
  const rendered = ctx.profile.renderError(error);
  const body = JSON.stringify(rendered.body);
  if (response.headersSent) {
    endStream(response, ctx.request?.stream ? `data: ${toLatin1(body)}\n\n` : toLatin1(body));
    return;
  }
  ctx.status = rendered.status;
  const headers = errorHeaders(ctx, error, rendered.status);
  const text = toLatin1(body);
  headers['content-length'] = String(text.length);
  // What is left of the body is not read: this connection cannot carry another request.
  if (!request.complete) headers.connection = 'close';
  response.writeHead(rendered.status, headers);
  response.end(request.method === 'HEAD' ? undefined : text, 'latin1');
}

/** UTF-8 bytes as latin1 text, one character per byte. */
function toLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
