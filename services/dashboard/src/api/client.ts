/** The one way to the console's API: same origin, session cookie, CSRF token, step-up, errors as values people can read. */
import type { ErrorBody } from '@tollgate/shared/contracts/console/common';
import { queryText } from '../lib/search.ts';
import { ApiError } from './error.ts';

export { ApiError };

let csrfToken: string | null = null;
/** Called with every answer about oneself. */
export function setCsrfToken(token: string | null): void {
  csrfToken = token;
}

type Prove = () => Promise<boolean>;
let prove: Prove | null = null;
/** The dialog that asks for the password again; true when the person gave it. */
export function setProof(ask: Prove | null): void {
  prove = ask;
}

export interface CallOptions {
  query?: Readonly<Record<string, unknown>>;
  body?: unknown;
  signal?: AbortSignal;
  headers?: Readonly<Record<string, string>>;
  /** Makes a repeat harmless where the route honours it. */
  idempotencyKey?: string;
}

/** What goes with every change besides the cookie. */
export const changeHeaders = (): Record<string, string> => (csrfToken === null ? {} : { 'x-csrf-token': csrfToken });

/** The error of an answer's body. */
export function errorOf(status: number, text: string, requestId: string | null): ApiError {
  try {
    const { error } = JSON.parse(text) as ErrorBody;
    return new ApiError(status, error, requestId);
  } catch {
    return new ApiError(status, { message: `The console answered ${status}.` }, requestId);
  }
}

async function failure(response: Response): Promise<ApiError> {
  return errorOf(response.status, await response.text(), response.headers.get('x-request-id'));
}

/** A request to the console; the raw answer. Asks for the password again where the route wants it, and then repeats. */
export async function send(method: string, path: string, options: CallOptions = {}): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers, ...(method === 'GET' ? {} : changeHeaders()) };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (options.idempotencyKey) headers['idempotency-key'] = options.idempotencyKey;
  let response: Response;
  try {
    response = await fetch(path + queryText(options.query ?? {}), {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ?? null,
      credentials: 'same-origin',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, { message: 'The console cannot be reached. Is it running?', code: 'unreachable' }, null);
  }
  if (response.status !== 403 || prove === null) return response;
  const refused = await failure(response.clone());
  if (refused.code !== 'reauthentication_required') return response;
  if (!(await prove())) throw new ApiError(403, { message: 'Nothing was changed.', code: 'cancelled' }, null);
  return send(method, path, options);
}

/** A request whose answer is JSON. @throws ApiError */
export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  const response = await send(method, path, options);
  if (!response.ok) throw await failure(response);
  return (await response.json()) as T;
}

export const get = <T>(path: string, query?: CallOptions['query'], signal?: AbortSignal) =>
  call<T>('GET', path, { ...(query ? { query } : {}), ...(signal ? { signal } : {}) });
export const post = <T>(path: string, body: unknown = {}, options: CallOptions = {}) =>
  call<T>('POST', path, { ...options, body });
export const patch = <T>(path: string, body: unknown, query: CallOptions['query'] = {}) =>
  call<T>('PATCH', path, { body, query });

/** The error of an answer that was read with `send`. */
export const failureOf = failure;

/** Path part of an id; models hold slashes, which stay. */
export const part = (id: string) => encodeURIComponent(id).replace(/%2F/g, '/');
