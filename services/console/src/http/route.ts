/**
 * A route is a value: its schemas validate the request, type the handler and generate the OpenAPI document. What is not
 * declared here does not exist on the wire.
 */
import type { Readable } from 'node:stream';
import type { ErrorCode } from '@tollgate/shared/domain/errors';
import type { z } from 'zod';
import type { Actor, Permission } from '../auth/actor.ts';

export type Method = 'get' | 'post' | 'patch';

/**
 * Whom a route is for, beyond the permission:
 * - `platform`: operators.
 * - `account`, `key`: members of the organisation that `{id}` names, or to which the key `{id}` belongs; and operators.
 * - `query`, `body`: of the organisation that `accountId` there names; operators may leave it out.
 * - `user`: any user or access token, whatever their role. `session`: a signed-in browser. `public`: anybody.
 */
export type Audience = 'platform' | 'account' | 'key' | 'query' | 'body' | 'user' | 'session' | 'public';

/** What a handler knows of the exchange and may do to it besides answering. */
export interface Exchange {
  requestId: string;
  ip: string | null;
  userAgent: string | null;
  /** The query as it came, with its `?`. */
  search: string;
  header(name: string): string | undefined;
  setCookie(cookie: string): void;
  /** From now on this is whose request it is: for sign-in routes, whose audit line names who came in. */
  identify(actor: Actor): void;
  /** Aborts when the client is gone. */
  signal: AbortSignal;
  /** The body of a `bytes` route, as it comes in. */
  content(): Readable;
}

/** What a handler gets: everything parsed, nothing of Express. */
export interface Call<P, Q, B> {
  actor: Actor;
  params: P;
  query: Q;
  body: B;
  /** The Idempotency-Key header of a route that honours one. */
  idempotencyKey: string | null;
  exchange: Exchange;
  /** The body of a `raw` route. */
  raw: Buffer;
}

/** An answer that is not JSON of a schema: a file, a stream of events, a redirection. */
export interface Streamed {
  status: number;
  headers: Record<string, string>;
  body: AsyncIterable<Uint8Array | string> | string | null;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

interface Common {
  method: Method;
  /** OpenAPI style: `/api/keys/{id}/rotate`. */
  path: string;
  /** Name of the operation in OpenAPI, in the audit log and in the log, such as `keys.rotate`. */
  operation: string;
  tag: string;
  summary: string;
  permission: Permission;
}

export interface RouteSpec<P, Q, B, R extends z.ZodType> extends Common {
  description?: string;
  /** `platform` when absent. */
  audience?: Audience;
  /** Browser sessions must have proved who they are within the last ten minutes. */
  stepUp?: boolean;
  /** Changes nothing that the audit log should know of. */
  unaudited?: boolean;
  /** The audit log knows of it although it changes nothing: somebody looked. */
  audited?: boolean;
  params?: P;
  query?: Q;
  body?: B;
  /** The body is a file's bytes: the handler reads them as they come (`exchange.content`). */
  bytes?: boolean;
  /** True when the route honours an Idempotency-Key header. */
  idempotent?: boolean;
  /** 200 when absent. */
  status?: 200 | 201;
  response: R;
  /** What it may refuse with beyond what every route may. */
  errors?: readonly ErrorCode[];
  handle(call: Call<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<z.input<R>>;
}

export interface StreamSpec<P, Q> extends Common {
  description?: string;
  audience?: Audience;
  stepUp?: boolean;
  unaudited?: boolean;
  params?: P;
  query?: Q;
  /** Reads the body as bytes, at most this many. */
  rawLimitBytes?: number;
  /** Content types of its answer. */
  types: readonly string[];
  errors?: readonly ErrorCode[];
  stream(call: Call<Parsed<P>, Parsed<Q>, undefined>): Promise<Streamed>;
}

/** A route whose types were checked where it was declared. */
export interface Route extends Common {
  description: string | undefined;
  audience: Audience;
  stepUp: boolean;
  audited: boolean;
  params: z.ZodObject | undefined;
  query: z.ZodObject | undefined;
  body: z.ZodType | undefined;
  rawLimitBytes: number | null;
  bytes: boolean;
  idempotent: boolean;
  status: 200 | 201;
  response: z.ZodType | null;
  types: readonly string[];
  errors: readonly ErrorCode[];
  handle(call: Call<unknown, unknown, unknown>): Promise<unknown>;
}

export function route<
  R extends z.ZodType,
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(spec: RouteSpec<P, Q, B, R>): Route {
  return {
    ...common(spec),
    body: spec.body,
    rawLimitBytes: null,
    bytes: spec.bytes ?? false,
    idempotent: spec.idempotent ?? false,
    status: spec.status ?? 200,
    response: spec.response,
    types: ['application/json'],
    // The mounting code parses with the very schemas that the handler's types came from.
    handle: spec.handle as Route['handle'],
  };
}

/** A route that answers with something else than JSON of a schema. */
export function streamRoute<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
>(spec: StreamSpec<P, Q>): Route {
  return {
    ...common(spec),
    body: undefined,
    rawLimitBytes: spec.rawLimitBytes ?? null,
    bytes: false,
    idempotent: false,
    status: 200,
    response: null,
    types: spec.types,
    handle: spec.stream as Route['handle'],
  };
}

interface Declared extends Common {
  description?: string;
  audience?: Audience;
  stepUp?: boolean;
  unaudited?: boolean;
  audited?: boolean;
  params?: z.ZodObject | undefined;
  query?: z.ZodObject | undefined;
  errors?: readonly ErrorCode[];
}

function common(spec: Declared) {
  return {
    method: spec.method,
    path: spec.path,
    operation: spec.operation,
    tag: spec.tag,
    summary: spec.summary,
    description: spec.description,
    permission: spec.permission,
    audience: spec.audience ?? 'platform',
    stepUp: spec.stepUp ?? false,
    audited: spec.audited ?? (spec.method !== 'get' && !spec.unaudited),
    params: spec.params,
    query: spec.query,
    errors: spec.errors ?? [],
  };
}
