/** Express around the route table: authenticate, authorise, parse, call, answer. Express types end in this folder. */
import { idempotencyKey } from '@tollgate/shared/contracts/console/common';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import type { z } from 'zod';
import { type Actor, type Authenticator, may } from '../auth/actor.ts';
import { errorHandler, invalidRequest } from './errors.ts';
import type { Route } from './route.ts';
import { accessLog, checkOrigin, type OriginRules, securityHeaders } from './security.ts';

export const BODY_LIMIT_BYTES = 64 * 1024;

export interface ServerOptions {
  routes: readonly Route[];
  /** Handlers that need no sign-in: probes, the OpenAPI document, error pages. */
  openRoutes: express.Router;
  authenticators: readonly Authenticator[];
  origin: OriginRules;
  logger: Logger;
  clock: Clock;
  random: Random;
  /** Parses every answer with its own schema: tests keep the document true with it. */
  checkResponses?: boolean;
}

export function createServerApp(options: ServerOptions): Express {
  const { routes, logger } = options;
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use(securityHeaders(options.random), accessLog(logger, options.clock), checkOrigin(options.origin));
  app.use(options.openRoutes);
  // From here on nobody is anonymous, not even for a 404, and no body is read before.
  app.use(authenticate(options.authenticators));
  const readBody = [
    requireJson,
    express.json({ limit: BODY_LIMIT_BYTES, strict: false, inflate: false, type: () => true }),
  ];
  for (const path of new Set(byWildcardLast(routes).map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    for (const route of here) {
      app[route.method](expressPath(path), ...(route.body ? readBody : []), serve(route, options));
    }
    app.all(expressPath(path), methodNotAllowed(here));
  }
  app.use(() => {
    throw new AppError('not_found');
  });
  app.use(errorHandler(logger));
  return app;
}

/** Model ids hold slashes, so their routes match greedily; longer, more exact paths must come first. */
function byWildcardLast(routes: readonly Route[]): Route[] {
  return [...routes].sort((a, b) => b.path.split('/').length - a.path.split('/').length);
}

/** `/api/keys/{id}` -> `/api/keys/:id`; a model's id may span several segments: `/api/models/*id`. */
function expressPath(path: string): string {
  const sign = path.startsWith('/api/models/') ? '*' : ':';
  return path.replace(/\{(\w+)\}/g, `${sign}$1`);
}

function authenticate(authenticators: readonly Authenticator[]): RequestHandler {
  return async (request, response, next) => {
    const { authorization } = request.headers;
    for (const authenticator of authenticators) {
      const actor = await authenticator({ authorization });
      if (actor) {
        response.locals.actor = actor;
        next();
        return;
      }
    }
    if (authorization === undefined) {
      throw new AppError('missing_api_key', { message: 'Send the admin token as "Authorization: Bearer <token>".' });
    }
    throw new AppError('invalid_api_key', { message: 'The admin token is not valid.' });
  };
}

/** A request without a body counts as `{}`; one with a body must say that it is JSON, and must not be compressed. */
const requireJson: RequestHandler = (request, _response, next) => {
  const length = request.headers['content-length'];
  const hasBody = request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
  if (hasBody && !/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new AppError('unsupported_media_type');
  }
  next();
};

function methodNotAllowed(routes: readonly Route[]): RequestHandler {
  const allow = routes.flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
  return (_request, response) => {
    response.set('allow', allow.join(', '));
    throw new AppError('method_not_allowed');
  };
}

function serve(route: Route, { logger, checkResponses }: ServerOptions): RequestHandler {
  return async (request, response) => {
    response.locals.operation = route.operation;
    const actor: Actor = response.locals.actor;
    if (!may(actor, route.permission)) {
      throw new AppError('endpoint_not_allowed', { message: 'You may not do this.' });
    }
    const params = parseParams(route, request);
    const query = parse('query', route.query, request.query);
    const body = parse('body', route.body, route.body && request.body === undefined ? {} : request.body);
    const result = await route.handle({ actor, params, query, body, idempotencyKey: idempotencyOf(route, request) });
    if (route.method !== 'get') logMutation(logger, route, request, response, actor);
    if (checkResponses) {
      const parsed = route.response.safeParse(result);
      if (!parsed.success) throw new Error(`answer of ${route.operation} breaks its schema`, { cause: parsed.error });
    }
    response.status(route.status).json(result);
  };
}

/** A malformed id names nothing: 404, as for an id that does not exist. */
function parseParams(route: Route, request: Request): unknown {
  if (!route.params) return undefined;
  const raw = Object.fromEntries(
    Object.entries(request.params).map(([name, value]) => [name, Array.isArray(value) ? value.join('/') : value]),
  );
  const result = route.params.safeParse(raw);
  if (!result.success) throw new AppError('not_found');
  return result.data;
}

function parse(where: 'body' | 'query', schema: z.ZodType | undefined, value: unknown): unknown {
  if (!schema) return undefined;
  const result = schema.safeParse(value);
  if (!result.success) throw invalidRequest(where, result.error);
  return result.data;
}

function idempotencyOf(route: Route, request: Request): string | null {
  const header = request.headers['idempotency-key'];
  if (!route.idempotent || header === undefined) return null;
  const result = idempotencyKey.safeParse(header);
  if (!result.success) {
    throw new AppError('invalid_request', { message: 'Idempotency-Key must be 1 to 255 visible ASCII characters.' });
  }
  return result.data;
}

/** Who changed what: names of the fields, never their values. */
function logMutation(logger: Logger, route: Route, request: Request, response: Response, actor: Actor): void {
  logger.info(
    {
      requestId: response.locals.requestId,
      actor: actor.id,
      operation: route.operation,
      target: request.params,
      fields: typeof request.body === 'object' && request.body !== null ? Object.keys(request.body) : [],
    },
    'changed',
  );
}
