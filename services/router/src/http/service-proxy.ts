/**
 * Paths of the API's host that another service answers, because they need its tables: usage, receipts, files, batches,
 * vector stores. The key is authenticated here; the service gets its own token and for whom the call is, and nothing of
 * the client's credentials. A service that is down is a 503 of its paths alone.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { IDENTITY_HEADERS, identityHeaders } from '@tollgate/shared/contracts/internal';
import { AppError } from '@tollgate/shared/domain/errors';
import { createProxyMiddleware } from 'http-proxy-middleware';
import type { RequestContext } from '../context.ts';

export interface ServiceProxyParts {
  /** What this router shows to the services. */
  serviceToken: string;
  /** Until the service's headers are here. */
  timeoutMs: number;
  sendError: (ctx: RequestContext, request: IncomingMessage, response: ServerResponse, error: AppError) => void;
}

/** Never passed on: whose key it was, cookies, and what only a router may say. */
const STRIPPED = ['authorization', 'x-api-key', 'cookie', 'proxy-authorization', ...Object.values(IDENTITY_HEADERS)];
/** Of the answer: what belongs to the service's own connection or origin. */
const STRIPPED_ANSWER = ['set-cookie', 'content-security-policy', 'x-request-id', 'server'];

/** Base URL of the service, then the path below the contract's base, query included. */
export type ServiceProxy = (
  ctx: RequestContext,
  target: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
) => void;

/** Passes authenticated requests on. */
export function createServiceProxy(parts: ServiceProxyParts): ServiceProxy {
  const calls = new WeakMap<IncomingMessage, { ctx: RequestContext; target: string; path: string }>();
  const proxy = createProxyMiddleware<IncomingMessage, ServerResponse>({
    // Each request names its own; this one is never used.
    target: 'http://127.0.0.1:9',
    router: (request) => calls.get(request)!.target,
    pathRewrite: (_path, request) => calls.get(request)!.path,
    changeOrigin: true,
    xfwd: false,
    proxyTimeout: parts.timeoutMs,
    on: {
      proxyReq(outgoing, request) {
        const { ctx } = calls.get(request)!;
        for (const name of Object.keys(request.headers)) {
          if (STRIPPED.includes(name) || name.startsWith('x-tollgate-') || name.startsWith('x-forwarded-')) {
            outgoing.removeHeader(name);
          }
        }
        const { accountId, keyId, projectId, userId } = ctx.key!;
        const identity = identityHeaders({ accountId, keyId, projectId, userId });
        for (const [name, value] of Object.entries(identity)) outgoing.setHeader(name, value);
        outgoing.setHeader('authorization', `Bearer ${parts.serviceToken}`);
        outgoing.setHeader('x-request-id', ctx.requestId);
      },
      proxyRes(answer, request) {
        const { ctx } = calls.get(request)!;
        ctx.status = answer.statusCode ?? 502;
        for (const name of STRIPPED_ANSWER) delete answer.headers[name];
        answer.headers['x-request-id'] = ctx.requestId;
        answer.headers['cache-control'] = 'no-store';
      },
      error(cause, request, response) {
        const { ctx } = calls.get(request)!;
        // The client left, or the answer had begun: there is nobody, or nothing whole, to tell.
        if (!('headersSent' in response) || response.headersSent) {
          response.destroy();
          return;
        }
        ctx.error = new AppError('service_unavailable', { retryAfterMs: 2_000, cause });
        parts.sendError(ctx, request, response, ctx.error);
      },
    },
  });
  return (ctx, target, path, request, response) => {
    calls.set(request, { ctx, target, path: `/v1${path}` });
    void proxy(request, response);
  };
}
