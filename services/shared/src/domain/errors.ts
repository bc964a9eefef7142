/**
 * The one error catalogue. A code says three things: which HTTP status, whose fault, and what a client may read.
 * Code to status is an exhaustive table: forget a code and it does not compile.
 */
export type Blame = 'client' | 'account' | 'capacity' | 'worker' | 'platform';

export interface ErrorSpec {
  status: number;
  /** OpenAI's `error.type`. */
  type: string;
  blame: Blame;
  /** Whether the same request may succeed later without the caller changing anything; sets `x-should-retry`. */
  retryable: boolean;
  /** Public text when the thrower gives none. Never holds input, keys, prompts or worker names. */
  message: string;
}

const spec = (status: number, type: string, blame: Blame, retryable: boolean, message: string): ErrorSpec => ({
  status,
  type,
  blame,
  retryable,
  message,
});

const INVALID = 'invalid_request_error';
const OVERLOADED = 'overloaded_error';

export const ERRORS = {
  missing_api_key: spec(
    401,
    'authentication_error',
    'client',
    false,
    'No API key was given. Send it as "Authorization: Bearer <key>".',
  ),
  invalid_api_key: spec(401, 'authentication_error', 'client', false, 'The API key is not valid.'),
  key_expired: spec(401, 'authentication_error', 'client', false, 'The API key has expired.'),
  invalid_credentials: spec(
    401,
    'authentication_error',
    'client',
    false,
    'The e-mail, the password or the code is not right.',
  ),
  reauthentication_required: spec(
    403,
    'permission_error',
    'client',
    false,
    'Confirm who you are first, then repeat this.',
  ),
  account_frozen: spec(403, 'permission_error', 'account', false, 'This account is frozen. Contact the operator.'),
  model_not_allowed: spec(403, 'permission_error', 'account', false, 'This API key may not use this model.'),
  endpoint_not_allowed: spec(403, 'permission_error', 'account', false, 'This API key may not use this endpoint.'),
  invalid_json: spec(400, INVALID, 'client', false, 'The body is not valid JSON.'),
  json_too_deep: spec(400, INVALID, 'client', false, 'The JSON body is nested too deeply or holds too many elements.'),
  invalid_request: spec(400, INVALID, 'client', false, 'The request is not valid.'),
  unsupported_parameter: spec(400, INVALID, 'client', false, 'A parameter of the request is not supported.'),
  poison_request: spec(
    400,
    INVALID,
    'client',
    false,
    'This request made two workers fail and is not sent again. Nothing was charged.',
  ),
  invalid_schema: spec(400, INVALID, 'client', false, 'The JSON schema is not supported.'),
  context_length_exceeded: spec(
    400,
    INVALID,
    'client',
    false,
    'The prompt and the output limit are longer than the context of the model.',
  ),
  body_too_large: spec(413, INVALID, 'client', false, 'The request body is too large.'),
  unsupported_media_type: spec(415, INVALID, 'client', false, 'Send the body as application/json, not compressed.'),
  model_not_found: spec(404, INVALID, 'client', false, 'The model does not exist or you do not have access to it.'),
  not_found: spec(404, INVALID, 'client', false, 'There is nothing at this address.'),
  method_not_allowed: spec(405, INVALID, 'client', false, 'This method is not allowed here.'),
  endpoint_not_supported: spec(400, INVALID, 'client', false, 'The workers of this model do not have this endpoint.'),
  conflict: spec(409, INVALID, 'client', false, 'The request conflicts with the present state.'),
  idempotency_key_reused: spec(
    422,
    INVALID,
    'client',
    false,
    'This Idempotency-Key was used for another request. Nothing was run.',
  ),
  answer_not_kept: spec(
    409,
    INVALID,
    'client',
    false,
    'The first request under this Idempotency-Key was run, and its whole answer is not kept. It was not run again.',
  ),
  insufficient_credits: spec(
    402,
    'insufficient_credits',
    'account',
    false,
    'The credit of this account does not cover this request.',
  ),
  key_limit_reached: spec(402, 'insufficient_credits', 'account', false, 'The spend cap of this API key is reached.'),
  rate_limit_exceeded: spec(
    429,
    'rate_limit_error',
    'account',
    true,
    'The rate limit is reached. Retry after the time given.',
  ),
  concurrency_limit_exceeded: spec(
    429,
    'rate_limit_error',
    'account',
    true,
    'Too many requests are running at the same time.',
  ),
  request_exceeds_limit: spec(
    429,
    'rate_limit_error',
    'account',
    false,
    'This request alone is larger than the token rate limit.',
  ),
  credit_in_use: spec(
    429,
    'rate_limit_error',
    'account',
    true,
    'All remaining credit is reserved by running requests.',
  ),
  no_worker: spec(503, OVERLOADED, 'capacity', true, 'No worker can take this request now.'),
  queue_full: spec(503, OVERLOADED, 'capacity', true, 'All workers are busy and the queue is full.'),
  credit_unavailable: spec(503, OVERLOADED, 'platform', true, 'Credit cannot be checked now. Nothing was charged.'),
  metering_behind: spec(503, OVERLOADED, 'platform', true, 'Metering is catching up. Nothing was charged.'),
  store_unavailable: spec(
    503,
    OVERLOADED,
    'platform',
    true,
    'The key store cannot be reached now. Nothing was charged.',
  ),
  service_unavailable: spec(
    503,
    OVERLOADED,
    'platform',
    true,
    'This part of the API cannot be reached now. Generations are not affected.',
  ),
  retrieval_unavailable: spec(
    503,
    OVERLOADED,
    'platform',
    true,
    'Retrieval cannot be reached now. The request was not run without it.',
  ),
  shutting_down: spec(503, OVERLOADED, 'platform', true, 'This instance is shutting down. Retry.'),
  worker_failed: spec(502, 'upstream_error', 'worker', true, 'The worker failed before it answered.'),
  worker_stream_broken: spec(
    502,
    'upstream_error',
    'worker',
    true,
    'The worker failed during the answer. What was delivered is billed.',
  ),
  invalid_output: spec(502, 'upstream_error', 'worker', true, 'The answer did not match the requested schema.'),
  first_token_timeout: spec(504, 'timeout_error', 'worker', true, 'No token came within the time allowed.'),
  stream_timeout: spec(
    504,
    'timeout_error',
    'worker',
    true,
    'The worker stopped sending or the total time allowed passed.',
  ),
  internal_error: spec(500, 'server_error', 'platform', true, 'An internal error occurred.'),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

export interface AppErrorOptions {
  /** Public text in place of the catalogue's; must hold no secret and no prompt. */
  message?: string;
  /** OpenAI's `error.param`: the field at fault, as a path such as `messages[0].role`. */
  param?: string | null;
  /** Goes to the client as `error.metadata`. */
  metadata?: Record<string, unknown>;
  /** Sets Retry-After and retry-after-ms (at most 60 s are told). */
  retryAfterMs?: number;
  /** For the log only. */
  internal?: string;
  cause?: unknown;
}

/** The only error class that carries meaning across the product; anything else thrown is `internal_error`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly spec: ErrorSpec;
  readonly param: string | null;
  readonly metadata: Record<string, unknown> | undefined;
  readonly retryAfterMs: number | undefined;
  readonly internal: string | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    const entry: ErrorSpec = ERRORS[code];
    super(options.message ?? entry.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.spec = entry;
    this.param = options.param ?? null;
    this.metadata = options.metadata;
    this.retryAfterMs = options.retryAfterMs;
    this.internal = options.internal;
  }
}

/** Any thrown value as an AppError; unknown ones become `internal_error` with the cause kept for the log. */
export function toAppError(error: unknown): AppError {
  return error instanceof AppError ? error : new AppError('internal_error', { cause: error });
}
