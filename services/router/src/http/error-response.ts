/** The one place that turns an error into bytes for a client. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AppError } from '@tollgate/shared/domain/errors';
import type { RequestContext } from '../context.ts';
import { errorEvent, renderError } from '../endpoints/error-style.ts';
import { cutStream, endStream, hasBegun, isUnread } from '../relay/client-side.ts';
import { errorHeaders } from './headers.ts';

/**
 * Before the answer began: status, headers and the contract's error object. Inside a stream: one event with that object
 * and no `[DONE]`, because a clean end would be taken for success (a patch stream has no such event: it is cut). After blank lines: the object alone.
 */
export function sendError(
  ctx: RequestContext,
  request: IncomingMessage,
  response: ServerResponse,
  error: AppError,
): void {
  if (isUnread(response)) return;
  const rendered = renderError(ctx, error);
  const body = JSON.stringify(rendered.body);
  if (hasBegun(response)) {
    if (ctx.patchForm !== null) {
      cutStream(response, '');
      return;
    }
    endStream(response, toLatin1(ctx.request?.stream ? errorEvent(ctx, error) : body));
    return;
  }
  ctx.status = rendered.status;
  if (response.destroyed) return;
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
