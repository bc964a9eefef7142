/** What every answer and every request goes through before any route: ids, headers, Host and Origin. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError } from '@tollgate/shared/domain/errors';
import { newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { RequestHandler } from 'express';
import type { Actor } from '../auth/actor.ts';
import type { Route } from './route.ts';

/** Nothing here is a page that scripts, frames or shared caches may hold; the dashboard's pages get their own policy. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

export function securityHeaders(random: Random): RequestHandler {
  return (_request, response, next) => {
    const requestId = newId('req', random.bytes);
    response.locals.requestId = requestId;
    response.set(HEADERS).set('x-request-id', requestId);
    next();
  };
}

export interface OriginRules {
  /** Host names (with port where not the default) this console is reached by; empty = any. Stops DNS rebinding. */
  allowedHosts: readonly string[];
  /** Origins besides its own that browsers may send changes from. */
  allowedOrigins: readonly string[];
}

/** Refuses foreign Hosts, and changes that a browser sends from another site's page. */
export function checkOrigin({ allowedHosts, allowedOrigins }: OriginRules): RequestHandler {
  const hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));
  return (request, _response, next) => {
    // What services ask for a key bears the service token, which no browser has; its Host is an inner one, its Origin the
    // page that called the router.
    if (request.path.startsWith('/v1/')) return next();
    const host = request.headers.host?.toLowerCase();
    if (hosts.size > 0 && (host === undefined || !hosts.has(host))) {
      throw new AppError('endpoint_not_allowed', { message: 'This console is not served under that Host.' });
    }
    const origin = request.headers.origin?.toLowerCase();
    const changes = request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'OPTIONS';
    if (changes && origin !== undefined && !origins.has(origin) && hostOf(origin) !== host) {
      throw new AppError('endpoint_not_allowed', {
        message: 'Changes are not accepted from that Origin.',
        metadata: { reason: 'csrf' },
      });
    }
    next();
  };
}

/**
 * A change that comes with a session cookie must also carry what only a page of ours can have read: the session's CSRF
 * token. Sign-in routes have no session to abuse; the Origin check covers them.
 */
export function checkCsrf(route: Route): RequestHandler {
  return (request, response, next) => {
    const actor = response.locals.actor as Actor | undefined;
    if (route.method !== 'get' && route.audience !== 'public' && actor?.session) {
      const sent = request.get('x-csrf-token') ?? '';
      if (!sameText(sent, actor.session.csrfToken)) {
        throw new AppError('endpoint_not_allowed', {
          message: 'The X-CSRF-Token header is missing or not of this session.',
          metadata: { reason: 'csrf' },
        });
      }
    }
    next();
  };
}

/** Compared in the same time wherever they differ. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

/** One line per finished request: what, who, how long, how it ended. Probes are left out. */
export function accessLog(logger: Logger, clock: Clock): RequestHandler {
  return (request, response, next) => {
    const startMs = clock.monotonicMs();
    response.once('close', () => {
      const { requestId, operation, actor, errorCode } = response.locals;
      if (operation === 'probe') return;
      logger.info(
        {
          requestId,
          method: request.method,
          operation: operation ?? 'none',
          status: response.statusCode,
          code: errorCode,
          actor: actor?.id,
          durationMs: Math.round((clock.monotonicMs() - startMs) * 10) / 10,
        },
        'request',
      );
    });
    next();
  };
}
