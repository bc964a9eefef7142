/** Carries an opened worker endpoint's call with http-proxy-middleware: bytes as they are, credentials left behind. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '@tollgate/shared/domain/errors';
import { createProxyMiddleware } from 'http-proxy-middleware';
import type { RequestContext } from '../context.ts';
import type { Carry } from '../passthrough/pass-through.ts';
import { ClientLeft } from '../relay/deliver.ts';
import { commonHeaders } from './headers.ts';

interface Call {
  worker: string;
  workerPath: string;
  ctx: RequestContext;
  settle: () => Promise<void>;
  resolve: (end: 'answered' | 'refused') => void;
  reject: (error: unknown) => void;
}

/** What a worker may see of a client's headers, and a client of a worker's. */
const TO_WORKER = new Set(['content-type', 'content-length', 'transfer-encoding', 'accept', 'host', 'connection']);
const TO_CLIENT = ['content-type', 'content-length', 'content-encoding', 'content-disposition'];

export function createPassThroughProxy(timeoutMs: number) {
  const calls = new WeakMap<IncomingMessage, Call>();
  const proxy = createProxyMiddleware<IncomingMessage, ServerResponse>({
    // Each call names its own; this one is never used.
    target: 'http://127.0.0.1:9',
    router: (request) => calls.get(request)!.worker,
    pathRewrite: (_path, request) => calls.get(request)!.workerPath,
    changeOrigin: true,
    selfHandleResponse: true,
    proxyTimeout: timeoutMs,
    on: {
      proxyReq(outgoing, request) {
        for (const name of outgoing.getHeaderNames()) if (!TO_WORKER.has(name)) outgoing.removeHeader(name);
        outgoing.setHeader('x-request-id', calls.get(request)!.ctx.requestId);
      },
      proxyRes: (answer, request, response) => relay(answer, response, calls.get(request)!),
      error(cause, request, response) {
        const call = calls.get(request)!;
        if ('destroyed' in response && response.destroyed) call.reject(new ClientLeft('client_gone'));
        else call.reject(new AppError('worker_failed', { cause }));
      },
    },
  });
  return (ctx: RequestContext, workerPath: string, request: IncomingMessage, response: ServerResponse): Carry =>
    (worker, settle) =>
      new Promise((resolve, reject) => {
        calls.set(request, { worker, workerPath, ctx, settle, resolve, reject });
        response.once('close', () => {
          if (!response.writableFinished) reject(new ClientLeft('client_gone'));
        });
        proxy(request, response).catch(reject);
      });
}

/** The last piece of a good answer waits for the bill. A worker's own fault costs nothing and is told in our words. */
function relay(answer: IncomingMessage, response: ServerResponse, { ctx, settle, resolve, reject }: Call): void {
  const status = answer.statusCode ?? 502;
  if (status >= 500 || status === 401 || status === 429) {
    answer.resume();
    reject(new AppError('worker_failed', { internal: `status ${status}` }));
    return;
  }
  ctx.status = status;
  const headers: Record<string, string> = commonHeaders(ctx);
  for (const name of TO_CLIENT) {
    const value = answer.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  response.writeHead(status, headers);
  let held: Buffer | null = null;
  answer.on('data', (chunk: Buffer) => {
    if (held !== null && !response.write(held)) {
      answer.pause();
      response.once('drain', () => answer.resume());
    }
    held = chunk;
  });
  answer.on('error', () => reject(new AppError('worker_stream_broken')));
  answer.on('aborted', () => reject(new AppError('worker_stream_broken')));
  answer.on('end', () => {
    const isGood = status < 400;
    (isGood ? settle() : Promise.resolve()).then(() => {
      response.end(held ?? undefined);
      resolve(isGood ? 'answered' : 'refused');
    }, reject);
  });
}
