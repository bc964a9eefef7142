/**
 * A route is a value: its schemas validate the request, type the handler and generate the OpenAPI document. What is not
 * declared here does not exist on the wire.
 */
import type { ErrorCode } from '@tollgate/shared/domain/errors';
import type { z } from 'zod';
import type { Actor, Permission } from '../auth/actor.ts';

export type Method = 'get' | 'post' | 'patch';

/** What a handler gets: everything parsed, nothing of Express. */
export interface Call<P, Q, B> {
  actor: Actor;
  params: P;
  query: Q;
  body: B;
  /** The Idempotency-Key header of a route that honours one. */
  idempotencyKey: string | null;
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

export interface RouteSpec<P, Q, B, R extends z.ZodType> {
  method: Method;
  /** OpenAPI style: `/api/keys/{id}/rotate`. */
  path: string;
  /** Name of the operation in OpenAPI and in the log, such as `keys.rotate`. */
  operation: string;
  tag: string;
  summary: string;
  description?: string;
  permission: Permission;
  params?: P;
  query?: Q;
  body?: B;
  /** True when the route honours an Idempotency-Key header. */
  idempotent?: boolean;
  /** 200 when absent. */
  status?: 200 | 201;
  response: R;
  /** What it may refuse with beyond what every route may. */
  errors?: readonly ErrorCode[];
  handle(call: Call<Parsed<P>, Parsed<Q>, Parsed<B>>): Promise<z.input<R>>;
}

/** A route whose types were checked where it was declared. */
export interface Route {
  method: Method;
  path: string;
  operation: string;
  tag: string;
  summary: string;
  description: string | undefined;
  permission: Permission;
  params: z.ZodObject | undefined;
  query: z.ZodObject | undefined;
  body: z.ZodType | undefined;
  idempotent: boolean;
  status: 200 | 201;
  response: z.ZodType;
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
    method: spec.method,
    path: spec.path,
    operation: spec.operation,
    tag: spec.tag,
    summary: spec.summary,
    description: spec.description,
    permission: spec.permission,
    params: spec.params,
    query: spec.query,
    body: spec.body,
    idempotent: spec.idempotent ?? false,
    status: spec.status ?? 200,
    response: spec.response,
    errors: spec.errors ?? [],
    // The mounting code parses with the very schemas that the handler's types came from.
    handle: spec.handle as Route['handle'],
  };
}
