/** Express around the route table: authenticate, authorise, parse, call, answer. Express types end in this folder. */
import { idempotencyKey } from '@tollgate/shared/contracts/console/common';
import type { AuditEntry } from '@tollgate/shared/db/audit-store';
import { isRetryable } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import type { z } from 'zod';
import type { Actor, Authenticator } from '../auth/actor.ts';
import { type AccessParts, accountOf, checkAccess } from './access.ts';
import { auditDetail } from './audit-detail.ts';
import { errorHandler, invalidRequest } from './errors.ts';
import type { Call, Exchange, Route, Streamed } from './route.ts';
import { accessLog, checkCsrf, checkOrigin, type OriginRules, securityHeaders } from './security.ts';
import { contentOf, sendStreamed } from './streamed.ts';

export const BODY_LIMIT_BYTES = 64 * 1024;
const READ_ATTEMPTS = 3;

export interface ServerOptions {
  routes: readonly Route[];
  /** Handlers that need no sign-in: probes, the OpenAPI document, error pages. */
  openRoutes: express.Router;
  /** The dashboard's pages; null = none are built. */
  dashboard?: express.Router | null;
  authenticators: readonly Authenticator[];
  access: AccessParts;
  /** Appends to the audit log. */
  audit(entry: AuditEntry): Promise<void>;
  origin: OriginRules;
  /** How many proxies in front of this console may name the client's address. */
  trustedProxies?: number;
  logger: Logger;
  clock: Clock;
  random: Random;
  /** Parses every answer with its own schema: tests keep the document true with it. */
  checkResponses?: boolean;
}

const NOBODY: Actor = { kind: 'member', id: 'nobody' };

export function createServerApp(options: ServerOptions): Express {
  const { routes, logger } = options;
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.set('trust proxy', options.trustedProxies ?? 0);
  app.use(securityHeaders(options.random), accessLog(logger, options.clock), checkOrigin(options.origin));
  app.use(options.openRoutes);
  if (options.dashboard) app.use(options.dashboard);
  app.use(identify(options.authenticators));
  for (const path of new Set(byWildcardLast(routes).map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path);
    for (const route of here) {
      // Nobody's body is read before it is known who they are.
      app[route.method](
        expressPath(path),
        requireActor(route),
        checkCsrf(route),
        ...bodyReader(route),
        serve(route, options),
      );
    }
    app.all(expressPath(path), requireSomebody, methodNotAllowed(here));
  }
  // Not even a 404 is for anybody.
  app.use(requireSomebody, () => {
    throw new AppError('not_found');
  });
  app.use(errorHandler(logger));
  return app;
}

function bodyReader(route: Route): RequestHandler[] {
  if (route.rawLimitBytes !== null)
    return [express.raw({ limit: route.rawLimitBytes, inflate: false, type: () => true })];
  if (!route.body) return [];
  return [requireJson, express.json({ limit: BODY_LIMIT_BYTES, strict: false, inflate: false, type: () => true })];
}

/** Model ids hold slashes, so their routes match greedily; longer, more exact paths must come first. */
function byWildcardLast(routes: readonly Route[]): Route[] {
  const words = (route: Route) => route.path.split('/').filter((part) => !part.startsWith('{')).length;
  return [...routes].sort((a, b) => b.path.split('/').length - a.path.split('/').length || words(b) - words(a));
}

/** `/api/keys/{id}` -> `/api/keys/:id`; a model's id may span several segments: `/api/models/*id`. */
function expressPath(path: string): string {
  const sign = path.startsWith('/api/models/') ? '*' : ':';
  return path.replace(/\{(\w+)\}/g, `${sign}$1`);
}

/** Who is calling, if anybody; what they may do is the route's question. */
function identify(authenticators: readonly Authenticator[]): RequestHandler {
  return async (request, response, next) => {
    const { authorization, cookie } = request.headers;
    for (const authenticator of authenticators) {
      const actor = await authenticator({ authorization, cookie });
      if (actor) {
        response.locals.actor = actor;
        break;
      }
    }
    next();
  };
}

const requireSomebody: RequestHandler = (request, response, next) => {
  if (response.locals.actor) {
    next();
    return;
  }
  if (request.headers.authorization === undefined) {
    throw new AppError('missing_api_key', {
      message: 'Sign in, or send the admin token or a personal access token as "Authorization: Bearer <token>".',
    });
  }
  throw new AppError('invalid_api_key', { message: 'The token is not valid.' });
};

function requireActor(route: Route): RequestHandler {
  return route.audience === 'public' ? (_request, _response, next) => next() : requireSomebody;
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

function serve(route: Route, options: ServerOptions): RequestHandler {
  const { checkResponses, access } = options;
  return async (request, response) => {
    response.locals.operation = route.operation;
    const actor: Actor = response.locals.actor ?? NOBODY;
    const params = parseParams(route, request);
    const rawQuery = parseIfValid(route.query, request.query);
    const rawBody = route.body && request.body === undefined ? {} : request.body;
    // Whether they may at all is said before what is wrong with what they sent.
    const accountId = await accountOf(route, { params, query: rawQuery ?? request.query, body: rawBody }, access);
    await checkAccess(route, actor, accountId, access);
    const query = parse('query', route.query, request.query);
    const body = parse('body', route.body, rawBody);
    const exchange = exchangeOf(request, response);
    const call: Call<unknown, unknown, unknown> = {
      actor,
      params,
      query,
      body,
      idempotencyKey: idempotencyOf(route, request),
      exchange,
      raw: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    };
    const result = await answerOf(route, call);
    if (route.audited) await recordChange(options, route, call, accountId, response);
    if (route.response === null) {
      await sendStreamed(response, result as Streamed);
      return;
    }
    if (checkResponses) {
      const parsed = route.response.safeParse(result);
      if (!parsed.success) throw new Error(`answer of ${route.operation} breaks its schema`, { cause: parsed.error });
    }
    response.status(route.status).json(result);
  };
}

/** A plain read changed nothing when it lost a deadlock or a race between transactions: it is done again. */
async function answerOf(route: Route, call: Call<unknown, unknown, unknown>): Promise<unknown> {
  const isRead = route.method === 'get' && !route.audited && route.response !== null;
  for (let attempt = 1; ; attempt++) {
    try {
      return await route.handle(call);
    } catch (error) {
      if (!isRead || !isRetryable(error) || attempt === READ_ATTEMPTS) throw error;
    }
  }
}

function exchangeOf(request: Request, response: Response): Exchange {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return {
    requestId: response.locals.requestId,
    ip: request.ip ?? null,
    userAgent: request.headers['user-agent']?.slice(0, 300).replace(/[\p{Cc}\p{Cs}]/gu, '?') ?? null,
    search: request.url.includes('?') ? request.url.slice(request.url.indexOf('?')) : '',
    header: (name) => request.get(name),
    setCookie: (cookie) => void response.append('set-cookie', cookie),
    identify: (actor) => {
      response.locals.actor = actor;
    },
    signal: gone.signal,
    content: () => contentOf(request),
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

function parseIfValid(schema: z.ZodType | undefined, value: unknown): unknown {
  const result = schema?.safeParse(value);
  return result?.success ? result.data : null;
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

/**
 * Who changed what, in the audit log and in the service's own. The change is made by then: should the line be refused
 * (Postgres went away in between) the caller is told 503 and the service's log has it.
 */
async function recordChange(
  { logger, audit, clock }: ServerOptions,
  route: Route,
  { actor, params, body, exchange }: Call<unknown, unknown, unknown>,
  accountId: string | null,
  response: Response,
): Promise<void> {
  const target =
    params === undefined
      ? null
      : Object.values(params as Record<string, unknown>)
          .map(String)
          .join(' ');
  // A sign-in route learns who it is while it runs.
  const who: Actor = response.locals.actor ?? actor;
  logger.info(
    {
      requestId: exchange.requestId,
      actor: who.id,
      operation: route.operation,
      target: params,
      fields: typeof body === 'object' && body !== null ? Object.keys(body) : [],
    },
    'changed',
  );
  await audit({
    atMs: clock.nowMs(),
    actor: who.id,
    accountId,
    action: route.operation,
    target,
    detail: auditDetail(body),
    ip: exchange.ip,
    requestId: exchange.requestId,
  });
}
