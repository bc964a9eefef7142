/** What can go wrong between the router and a worker, and whether the request may be sent again. */
import type { WireError } from '@tollgate/shared/contracts/openai/chat';
import { AppError, type ErrorCode } from '@tollgate/shared/domain/errors';
import type { Outcome } from '@tollgate/shared/domain/outcome';
import type { Violation } from '../schema-gate/validate.ts';

export type FailureReason =
  /** No connection, or it was cut before the answer ended. */
  | 'connect'
  | 'cut'
  /** A status that says nothing about the request: 5xx, 401, 404, 429. */
  | 'bad_status'
  /** The engine reported a fault of its own. */
  | 'engine_error'
  /** The engine ended the choice itself (it is shutting down). */
  | 'aborted_by_worker'
  /** Bytes that are no answer. */
  | 'garbage'
  /** A finished document that breaks its schema, or a tool call that breaks its parameters. */
  | 'invalid_output'
  /** White space without end, or an answer far too long: cancelled. */
  | 'runaway'
  | 'first_token_timeout'
  | 'idle_timeout'
  | 'total_timeout'
  /** We stopped it: this router is shutting down. */
  | 'drained'
  /** We stopped it: its hold could not be renewed (MONEY.md 2.6). */
  | 'hold_lost';

export interface WorkerFailure {
  reason: FailureReason;
  /** Status of the worker's answer; null when there was none. */
  status: number | null;
  detail: string;
  /** What the answer broke. */
  violation?: Violation;
}

/** Failure of an answer that breaks its schema; the violation holds no text of the answer but names of properties. */
export function invalidOutput(violation: Violation): WorkerFailure {
  return { reason: 'invalid_output', status: 200, detail: violation.keyword, violation };
}

/** What the router itself decided, and what the model wrote: neither says that the worker is ill. */
const BLAMELESS: ReadonlySet<FailureReason> = new Set([
  'drained',
  'hold_lost',
  'total_timeout',
  'invalid_output',
  'runaway',
]);

/** Failures that the worker's breaker counts. */
export function blamesWorker({ reason }: WorkerFailure): boolean {
  return !BLAMELESS.has(reason);
}

/**
 * True when sending the request to another worker cannot give the client two answers or make it wait twice its due:
 * nothing of an answer has reached the client, and the first worker is not merely slow (it may still be generating,
 * and another would start from the beginning). The hold stays the same one.
 */
export function isReplaySafe(failure: WorkerFailure, answerStarted: boolean): boolean {
  if (answerStarted) return false;
  switch (failure.reason) {
    case 'connect':
    case 'cut':
    case 'bad_status':
    case 'engine_error':
    case 'aborted_by_worker':
    case 'garbage':
      return true;
    default:
      return false;
  }
}

/** The error that a client gets for a failure that was not healed. */
export function failureError(failure: WorkerFailure, answerStarted: boolean): AppError {
  const internal = `${failure.reason}: ${failure.detail}`;
  if (failure.reason === 'hold_lost' && answerStarted) {
    return new AppError('credit_unavailable', { internal, message: HOLD_LOST });
  }
  if (failure.violation !== undefined) return invalidOutputError(failure.violation);
  if (failure.reason === 'runaway') return new AppError('invalid_output', { internal, message: RUNAWAY });
  return new AppError(failureCode(failure, answerStarted), { internal });
}

const RUNAWAY = 'The answer was cancelled: it ran into white space without end, or grew far too long.';

function invalidOutputError({ pointer, keyword, message }: Violation): AppError {
  return new AppError('invalid_output', {
    message: `The answer did not match the requested schema: at '${pointer}', ${message}.`,
    metadata: { pointer, keyword },
  });
}

const HOLD_LOST = 'The answer was ended because its credit could not be renewed. What was delivered is billed.';

function failureCode({ reason, status }: WorkerFailure, answerStarted: boolean): ErrorCode {
  switch (reason) {
    case 'first_token_timeout':
      return 'first_token_timeout';
    case 'idle_timeout':
    case 'total_timeout':
      return 'stream_timeout';
    case 'drained':
      return 'shutting_down';
    case 'hold_lost':
      return 'credit_unavailable';
    case 'bad_status':
      if (answerStarted) return 'worker_stream_broken';
      return status === 503 || status === 429 ? 'no_worker' : 'worker_failed';
    case 'invalid_output':
    case 'runaway':
      return 'invalid_output';
    default:
      return answerStarted ? 'worker_stream_broken' : 'worker_failed';
  }
}

export function failureOutcome({ reason }: WorkerFailure): Outcome {
  switch (reason) {
    case 'first_token_timeout':
    case 'idle_timeout':
    case 'total_timeout':
      return 'timed_out';
    case 'drained':
    case 'hold_lost':
      return 'drained';
    case 'connect':
    case 'cut':
    case 'aborted_by_worker':
      return 'worker_lost';
    default:
      return 'worker_error';
  }
}

/** A worker's refusal of this very request, in words of our own: engines quote the input and their source paths. */
export function refusalError(error: WireError): AppError {
  const message = error.message ?? '';
  if (isContextError(error)) return new AppError('context_length_exceeded', { param: 'messages' });
  if (/grammar|json schema|json_schema|xgrammar|schema|structured/i.test(message)) {
    return new AppError('invalid_schema', { param: schemaParam(message), internal: 'refused by the worker' });
  }
  const param = typeof error.param === 'string' && /^[a-z_]{1,40}$/.test(error.param) ? error.param : null;
  return new AppError('invalid_request', {
    param,
    message: param === null ? 'The model refused the request.' : `The model refused the value of '${param}'.`,
    internal: 'refused by the worker',
  });
}

export function isContextError(error: WireError): boolean {
  return (
    error.param === 'input_tokens' ||
    error.param === 'input_text' ||
    /maximum context length|longer than the model's context|max_model_len/i.test(error.message ?? '')
  );
}

function schemaParam(message: string): string {
  return /\btool/i.test(message) ? 'tools' : 'response_format';
}

/**
 * An error object inside a stream or a body: the client's fault (4xx code or class) or the engine's?
 * vLLM writes the status as a number, its Rust front end as a word, SGLang as a number in a flat object.
 */
export function isRefusal(error: WireError): boolean {
  const code = error.code;
  if (typeof code === 'number') return code >= 400 && code < 500 && code !== 401 && code !== 404 && code !== 429;
  return error.type === 'BadRequestError' || error.type === 'Bad Request' || error.type === 'invalid_request_error';
}

/** An error event that is no refusal. SGLang tells a full queue like this, inside an answer of status 200. */
export function engineFailure({ code, type }: WireError): WorkerFailure {
  const detail = `error event of type ${String(type).slice(0, 60)}`;
  if (code === 503 || code === 429) return { reason: 'bad_status', status: code, detail };
  return { reason: 'engine_error', status: 200, detail };
}

/** The error in a worker's JSON error body: nested, flat, `{"detail"}`, or a bare string. */
export function readErrorBody(text: string): WireError {
  try {
    const parsed = JSON.parse(text) as { error?: WireError | string; message?: string; detail?: unknown } & WireError;
    if (typeof parsed.error === 'object' && parsed.error !== null) return parsed.error;
    if (typeof parsed.error === 'string') return { message: parsed.error };
    if (typeof parsed.message === 'string') return parsed;
    return { message: typeof parsed.detail === 'string' ? parsed.detail : '' };
  } catch {
    return {};
  }
}
