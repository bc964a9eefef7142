/** The word for an error that ended a request before any worker had a part in it. */
import type { ErrorCode } from '@tollgate/shared/domain/errors';
import type { Outcome } from '@tollgate/shared/domain/outcome';

const OUTCOME: Record<ErrorCode, Outcome> = {
  missing_api_key: 'refused_auth',
  invalid_api_key: 'refused_auth',
  key_expired: 'refused_auth',
  invalid_credentials: 'refused_auth',
  reauthentication_required: 'refused_auth',
  account_frozen: 'refused_auth',
  model_not_allowed: 'refused_model',
  endpoint_not_allowed: 'refused_auth',
  invalid_json: 'refused_invalid',
  json_too_deep: 'refused_invalid',
  invalid_request: 'refused_invalid',
  unsupported_parameter: 'refused_invalid',
  poison_request: 'refused_invalid',
  invalid_schema: 'refused_invalid',
  context_length_exceeded: 'refused_invalid',
  body_too_large: 'refused_invalid',
  unsupported_media_type: 'refused_invalid',
  model_not_found: 'refused_model',
  not_found: 'refused_invalid',
  method_not_allowed: 'refused_invalid',
  conflict: 'refused_invalid',
  endpoint_not_supported: 'refused_invalid',
  service_unavailable: 'refused_unavailable',
  idempotency_key_reused: 'refused_invalid',
  answer_not_kept: 'refused_invalid',
  insufficient_credits: 'refused_credit',
  key_limit_reached: 'refused_credit',
  rate_limit_exceeded: 'refused_rate',
  concurrency_limit_exceeded: 'refused_rate',
  request_exceeds_limit: 'refused_rate',
  credit_in_use: 'refused_credit',
  no_worker: 'refused_capacity',
  queue_full: 'refused_capacity',
  credit_unavailable: 'refused_unavailable',
  metering_behind: 'refused_unavailable',
  store_unavailable: 'refused_unavailable',
  retrieval_unavailable: 'refused_unavailable',
  shutting_down: 'refused_unavailable',
  worker_failed: 'worker_lost',
  worker_stream_broken: 'worker_lost',
  invalid_output: 'worker_error',
  first_token_timeout: 'timed_out',
  stream_timeout: 'timed_out',
  internal_error: 'failed_internal',
};

export function outcomeOf(code: ErrorCode): Outcome {
  return OUTCOME[code];
}
