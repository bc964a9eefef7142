/** Errors in the words of the endpoint: OpenAI's object, the responses API's event, Anthropic's object. */
import type { AppError } from '@tollgate/shared/domain/errors';
import type { RequestContext } from '../context.ts';
import type { RenderedError } from '../contract/profile.ts';

/** Anthropic's types by status; what is not here is `api_error`. */
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  405: 'invalid_request_error',
  413: 'request_too_large',
  415: 'invalid_request_error',
  422: 'invalid_request_error',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** Status and body before the answer began. */
export function renderError(ctx: RequestContext, error: AppError): RenderedError {
  const rendered = ctx.profile.renderError(error);
  if (ctx.generation?.errors !== 'anthropic') return rendered;
  return { status: rendered.status, body: anthropicError(ctx, error, rendered.status) };
}

/** The event that ends a stream which failed. */
export function errorEvent(ctx: RequestContext, error: AppError): string {
  const { status, body } = renderError(ctx, error);
  switch (ctx.generation?.errors) {
    case 'anthropic':
      return `event: error\ndata: ${JSON.stringify(body)}\n\n`;
    case 'responses': {
      const { message, param } = error;
      const event = { type: 'error', code: error.code, message, param, sequence_number: 0, ...(body as object) };
      return `event: error\ndata: ${JSON.stringify({ ...event, status })}\n\n`;
    }
    default:
      return `data: ${JSON.stringify(body)}\n\n`;
  }
}

function anthropicError(ctx: RequestContext, error: AppError, status: number): object {
  const rendered = ctx.profile.renderError(error).body as { error?: { metadata?: unknown } };
  const type = ANTHROPIC_TYPES[status] ?? 'api_error';
  return {
    type: 'error',
    error: { type, message: error.message, code: error.code, param: error.param, metadata: rendered.error?.metadata },
    request_id: ctx.requestId,
  };
}
