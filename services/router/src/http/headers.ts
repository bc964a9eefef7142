/** Response headers that tell a client where it stands. */
import type { AppError } from '@tollgate/shared/domain/errors';
import type { LimitState } from '@tollgate/shared/domain/limits';
import type { RequestContext } from '../context.ts';
import type { LimitHeaderNames } from '../contract/profile.ts';
import { PATCH_TYPES } from '../relay/patch-form.ts';
import { EXPLAIN_HEADER } from '../route-explain.ts';

export type HeaderBag = Record<string, string>;

/** SDKs ignore waits above a minute and fall back to their own (facts/contracts.md section 4). */
const MAX_RETRY_AFTER_MS = 60_000;

export function commonHeaders(ctx: RequestContext): HeaderBag {
  const headers: HeaderBag = { 'x-request-id': ctx.requestId, 'cache-control': 'no-store' };
  const { requestLimitHeaders, tokenLimitHeaders } = ctx.profile;
  if (ctx.limits?.requests && requestLimitHeaders) addLimit(headers, requestLimitHeaders, ctx.limits.requests);
  if (ctx.limits?.tokens && tokenLimitHeaders) addLimit(headers, tokenLimitHeaders, ctx.limits.tokens);
  return headers;
}

/** Headers of a good answer. */
export function answerHeaders(ctx: RequestContext): HeaderBag {
  const headers = commonHeaders(ctx);
  if (ctx.admission?.clamped) headers['x-tollgate-max-tokens'] = String(ctx.admission.outputLimit);
  if (ctx.request?.stream) {
    headers['content-type'] = ctx.patchForm === null ? 'text/event-stream; charset=utf-8' : PATCH_TYPES[ctx.patchForm];
    headers['cache-control'] = 'no-cache, no-transform';
    headers['x-accel-buffering'] = 'no';
  } else headers['content-type'] = 'application/json';
  const timing = serverTiming(ctx);
  if (timing !== '') headers['server-timing'] = timing;
  if (ctx.routeExplained !== null) headers[EXPLAIN_HEADER] = ctx.routeExplained;
  return headers;
}

/** Where the time until here went, in milliseconds (W3C Server Timing): waiting for a worker, then its first token. */
function serverTiming({ queueMs, firstTokenMs, startedMs }: RequestContext): string {
  const parts: string[] = [];
  if (queueMs !== null) parts.push(`queue;dur=${queueMs.toFixed(1)}`);
  if (queueMs !== null && firstTokenMs !== null) {
    parts.push(`first-token;dur=${Math.max(0, firstTokenMs - startedMs - queueMs).toFixed(1)}`);
  }
  return parts.join(', ');
}

/** `status`: the one that the contract tells. */
export function errorHeaders(ctx: RequestContext, error: AppError, status: number): HeaderBag {
  const headers = commonHeaders(ctx);
  headers['content-type'] = 'application/json';
  const { retryable } = error.spec;
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  if (status === 429 || status === 503) {
    if (retryable) addRetryAfter(headers, error.retryAfterMs ?? 1_000);
    headers['x-should-retry'] = String(retryable);
  } else if (!retryable) headers['x-should-retry'] = 'false';
  return headers;
}

function addRetryAfter(headers: HeaderBag, waitMs: number): void {
  const told = Math.min(Math.max(1, Math.ceil(waitMs)), MAX_RETRY_AFTER_MS);
  headers['retry-after-ms'] = String(told);
  headers['retry-after'] = String(Math.ceil(told / 1_000));
}

function addLimit(headers: HeaderBag, names: LimitHeaderNames, state: LimitState): void {
  if (names.limit !== null) headers[names.limit] = String(state.limit);
  if (names.remaining !== null) headers[names.remaining] = String(Math.max(0, state.remaining));
  if (names.reset !== null) headers[names.reset] = durationText(state.resetMs);
}

/** As OpenAI writes resets: `12ms`, `1.5s`, `6m0s`. */
export function durationText(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1_000) return `${whole}ms`;
  const seconds = whole / 1_000;
  if (seconds < 60) return `${Number(seconds.toFixed(3))}s`;
  return `${Math.floor(seconds / 60)}m${Math.round(seconds % 60)}s`;
}
