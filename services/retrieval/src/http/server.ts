/** Retrieval's port: callers are services, each call says for whom. Express types end in this folder. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { callerOf } from '@tollgate/shared/contracts/internal';
import { AppError, toAppError } from '@tollgate/shared/domain/errors';
import { IDEMPOTENCY_HEADER, REPLAYED_HEADER, readIdempotencyKey } from '@tollgate/shared/domain/idempotency';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { ListenAddress } from '@tollgate/shared/runtime/config';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import { serviceTokenCheck } from '@tollgate/shared/runtime/service-caller';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { Collections } from '../service/collections.ts';
import { internalRoutes } from './internal.ts';
import { type Route, StreamedJson } from './route.ts';
import { vectorStoreRoutes } from './vector-stores.ts';

export interface HttpDeps {
  service: Collections;
  serviceToken: string;
  logger: Logger;
  clock: Clock;
  random: Random;
  ready: () => Promise<boolean>;
  onRequest: (operation: string, status: number, ms: number) => void;
}

export interface HttpServer {
  url: string;
  port: number;
  close(): Promise<void>;
}

const BODY_LIMIT = '1mb';

export async function startHttpServer(listen: ListenAddress, deps: HttpDeps): Promise<HttpServer> {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.get('/healthz', (_request, response) => void response.json({ status: 'ok' }));
  app.get('/readyz', async (_request, response) => {
    const ready = await deps.ready();
    response.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not_ready' });
  });
  app.use(requireService(deps.serviceToken));
  app.use(express.json({ limit: BODY_LIMIT, strict: false, inflate: false, type: () => true }));
  const routes = [...vectorStoreRoutes(deps.service), ...internalRoutes(deps.service)];
  for (const route of routes) app[route.method](route.path, serve(route, deps));
  for (const path of new Set(routes.map((route) => route.path))) {
    const allow = routes.filter((route) => route.path === path).map(({ method }) => method.toUpperCase());
    app.all(path, (_request, response) => {
      response.set('allow', allow.join(', '));
      throw new AppError('method_not_allowed');
    });
  }
  app.use(() => {
    throw new AppError('not_found');
  });
  app.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    refuse(response, known(error), deps.logger, request);
  });

  const server = createServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return {
    url: `http://${host}:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

function serve(route: Route, { service, onRequest, logger, clock }: HttpDeps) {
  return async (request: Request, response: Response): Promise<void> => {
    const startMs = clock.monotonicMs();
    response.on('close', () => onRequest(route.operation, response.statusCode, clock.monotonicMs() - startMs));
    const who = callerOf(request.headers);
    const gone = new AbortController();
    response.on('close', () => gone.abort(new Error('the caller left')));
    const params = request.params as Record<string, string>;
    const { query, body } = request;
    const key = route.method === 'post' ? readIdempotencyKey(request.get(IDEMPOTENCY_HEADER)) : null;
    const repeat = key === null ? null : { key, onRepeat: () => void response.set(REPLAYED_HEADER, 'true') };
    const post = service.post(who, repeat, [route.operation, params, body]);
    const answer = await route.handle({ who, params, query, body, post, signal: gone.signal });
    response.set('cache-control', 'no-store');
    if (!(answer instanceof StreamedJson)) return void response.json(answer);
    response.type('json');
    await pipeline(Readable.from(answer.pieces), response).catch((error: NodeJS.ErrnoException) => {
      // Whatever breaks it has ended the connection; mostly the caller has.
      if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE')
        logger.error({ err: error, path: route.path }, 'answer broken off');
    });
  };
}

function requireService(token: string) {
  const isService = serviceTokenCheck(token);
  return (request: Request, _response: Response, next: NextFunction): void => {
    if (!isService(request.headers.authorization)) {
      throw new AppError('invalid_api_key', { message: 'The service token is missing or wrong.' });
    }
    next();
  };
}

/** Express's own errors are the caller's; what nobody foresaw (a lost database) is a 503 that can be tried again. */
function known(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const { type, status } = error as { type?: string; status?: number };
  if (type === 'entity.too.large') return new AppError('body_too_large');
  if (type === 'entity.parse.failed') return new AppError('invalid_json');
  if (type === 'encoding.unsupported') return new AppError('unsupported_media_type');
  if (typeof status === 'number' && status >= 400 && status < 500) return new AppError('invalid_request');
  return new AppError('retrieval_unavailable', { cause: error, retryAfterMs: 2_000 });
}

function refuse(response: Response, error: AppError, logger: Logger, request: Request): void {
  const { spec, code, message, param, retryAfterMs } = toAppError(error);
  if (spec.blame === 'platform')
    logger.error({ err: error.cause ?? error, path: request.route?.path, why: error.internal }, 'request failed');
  if (retryAfterMs !== undefined) {
    response.set('retry-after', String(Math.ceil(retryAfterMs / 1_000)));
    response.set('retry-after-ms', String(retryAfterMs));
  }
  response.status(spec.status).json({ error: { message, type: spec.type, param, code } });
}
