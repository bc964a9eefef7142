/** For each code of the catalogue: what happened and what to do. Code, status, blame and retry come from the catalogue. */
import type { ErrorCode } from '@tollgate/shared/domain/errors';

export interface Advice {
  what: string;
  todo: string;
}

export const ADVICE: Record<ErrorCode, Advice> = {
  missing_api_key: {
    what: 'The request carried no `Authorization` header.',
    todo: 'Send `Authorization: Bearer <key>`. OpenAI SDKs do it when `api_key` is set.',
  },
  invalid_api_key: {
    what: 'The key has the wrong shape, a wrong checksum (a typo), or it does not exist or was revoked. On the console it means the admin token.',
    todo: 'Check that the whole key was copied, that its environment variable is set where the program runs, and that it was not revoked. Create a new key if it is lost: keys are shown once.',
  },
  key_expired: {
    what: 'The key had an expiry and it has passed. After a rotation the old key expires when its overlap ends.',
    todo: 'Use the newer key, or ask for one.',
  },
  invalid_credentials: {
    what: 'Signing in to the dashboard failed. Which part was wrong is not said, so that nobody can find out who has an account here.',
    todo: 'Check the e-mail and the password, or the six digits of the authenticator app (its clock must be right). After several failures there is a pause.',
  },
  reauthentication_required: {
    what: 'Keys and money may be changed for ten minutes after you last proved who you are; that time has passed. The session goes on.',
    todo: 'Confirm with your password (and code), as the dashboard asks, and repeat. Scripts use the admin token or an API key.',
  },
  account_frozen: {
    what: 'The operator froze the account that the key belongs to. All its keys are refused; nothing is deleted.',
    todo: 'Contact the operator.',
  },
  model_not_allowed: {
    what: 'The key is restricted to certain models and this is not one of them.',
    todo: '`GET /v1/models` lists what the key may use. Use one of those, or have the key changed.',
  },
  endpoint_not_allowed: {
    what: 'The key (or the signed-in person) may not use this endpoint. On the console it also answers foreign Host and Origin headers.',
    todo: 'Use a key with that scope, or ask the owner of the account.',
  },
  invalid_json: {
    what: 'The body could not be parsed as JSON.',
    todo: 'Send the output of a JSON serialiser. Usual causes: a trailing comma, single quotes, a body cut short.',
  },
  json_too_deep: {
    what: 'The body is nested more deeply, or holds more elements, than the limits that protect everybody from slow parsing.',
    todo: 'Flatten the body; send large text as one string.',
  },
  invalid_request: {
    what: 'A field is missing, has the wrong type or is out of range, or the address is malformed.',
    todo: '`error.param` names the field and `error.message` says what is expected. The console lists every problem in `error.metadata.issues`.',
  },
  unsupported_parameter: {
    what: 'The field is part of the API but this service does not honour it, and ignoring it would change the meaning of the request.',
    todo: 'Leave out the field that `error.param` names.',
  },
  invalid_schema: {
    what: 'The JSON schema uses something that cannot be enforced while decoding, or is larger or deeper than allowed.',
    todo: 'The message has the JSON pointer and the keyword. Remove or rewrite that part.',
  },
  endpoint_not_supported: {
    what: 'The model exists, but none of its workers has this endpoint: a chat model makes no embeddings, and `/v1/responses` and `/v1/messages` are there only on workers that have them natively.',
    todo: 'Use another endpoint with this model (`/v1/chat/completions` is everywhere), or another model with this endpoint. [Endpoints](../how-to/endpoints.md) has the table.',
  },
  service_unavailable: {
    what: 'Usage, receipts, files, batches and vector stores are answered by services of their own behind the same host, and the one of this path is down, or this installation does not have it.',
    todo: 'Retry after the time given. Chat and other generations go on meanwhile.',
  },
  context_length_exceeded: {
    what: 'The prompt plus the output limit do not fit the context of the model.',
    todo: 'Shorten the messages or lower `max_completion_tokens`.',
  },
  body_too_large: {
    what: 'The body is larger than the limit for requests.',
    todo: 'Send less. Ask the operator if a larger limit is needed.',
  },
  unsupported_media_type: {
    what: 'The body was not sent as `application/json`, or was compressed.',
    todo: 'Set `Content-Type: application/json` and send the body uncompressed.',
  },
  model_not_found: {
    what: 'No model of that name is offered here.',
    todo: '`GET /v1/models` lists the names. They are case-sensitive.',
  },
  not_found: {
    what: 'There is no such address, or no thing with that id.',
    todo: 'Check the path, the base URL (it ends in `/v1` for the OpenAI API) and the id.',
  },
  method_not_allowed: {
    what: 'The address exists but not for this HTTP method.',
    todo: 'The `Allow` header lists the methods.',
  },
  conflict: {
    what: 'The request cannot be carried out on the present state: the thing exists already, was revoked, or was changed meanwhile.',
    todo: 'Read the thing again and decide. The message says what stands in the way.',
  },
  idempotency_key_reused: {
    what: 'A request with this `Idempotency-Key` and another body (or another endpoint) was sent before. One key stands for one request.',
    todo: 'Make a new key (a UUID) for each new request, and send the same body when you repeat one.',
  },
  answer_not_kept: {
    what: 'The first request under this `Idempotency-Key` was run and billed, but its whole answer is not there: it was larger than what is kept, or the router that ran it died and was not replaced in time.',
    todo: 'If you need the answer, send the request under a new key: it runs, and is billed, again. `GET /v1/requests/{id}` shows what the first one cost.',
  },
  insufficient_credits: {
    what: 'The account cannot pay for this request, not even in its shortest form. Running requests are counted in: this is not a passing shortage.',
    todo: 'Top up. `error.metadata` has `required` and `available` in nano-USD. SDKs do not retry this.',
  },
  key_limit_reached: {
    what: 'The key has a spend cap per day or month (UTC) and it is reached.',
    todo: 'Wait for the day or month to end, raise the cap, or use another key.',
  },
  rate_limit_exceeded: {
    what: "The key, the account or the account's use of this model is over its requests or tokens per minute. Nothing was charged.",
    todo: 'Wait as `Retry-After` says; SDKs do so by themselves. `x-ratelimit-*` headers on each answer show what is left.',
  },
  concurrency_limit_exceeded: {
    what: 'As many requests as allowed are running at this moment. Nothing was charged.',
    todo: 'Wait for one to end, or ask for a higher limit.',
  },
  request_exceeds_limit: {
    what: 'This one request counts more tokens than the tokens-per-minute limit holds, so waiting cannot help.',
    todo: 'Shorten the prompt or lower the output limit, or ask for a higher limit.',
  },
  credit_in_use: {
    what: 'Credit is there, but all of it is reserved by requests that are running. Reservations are released when they end.',
    todo: 'Retry as `Retry-After` says, lower `max_completion_tokens` so that less is reserved, or top up.',
  },
  no_worker: {
    what: 'No worker that serves this model is ready. Nothing was charged.',
    todo: 'Retry as `Retry-After` says. Operators: `tollgate workers list`.',
  },
  poison_request: {
    what: 'Two workers failed, one after the other, while they read this very request. It is not sent to a third one, and for ten minutes not again. Nothing was charged.',
    todo: "Change the request: its schema, grammar, parameters or text. Operators: the workers' logs of that time tell what broke; `tollgate_poison_requests_total` counts them.",
  },
  queue_full: {
    what: 'All workers are busy, and the request could not wait: the queue is full (`metadata.reason` `full`), the account has too many requests in it (`account_full`), or no worker frees up in the time that the request may wait (`deadline`). Nothing was charged.',
    todo: 'Retry as `Retry-After` says: it is how long the queue takes to drain at its present pace. `x-tollgate-max-queue-ms` sets how long a request may wait, `x-tollgate-priority: batch` lets work that is in no hurry wait behind the rest.',
  },
  credit_unavailable: {
    what: 'The credit of the account could not be checked in time. Nobody is served unpaid, so the request was refused. Nothing was charged.',
    todo: 'Retry. Operators: look at metering and Postgres; `tollgate doctor`.',
  },
  metering_behind: {
    what: 'Finished requests wait to be written to the ledger and the line is too long to take more. Nothing was charged.',
    todo: 'Retry. Operators: metering must run and reach Postgres; its drain lag is in its metrics.',
  },
  store_unavailable: {
    what: 'The store behind this service could not be reached. Nothing was charged.',
    todo: 'Retry. Operators: look at Redis (router) or Redis and Postgres (console).',
  },
  retrieval_unavailable: {
    what: 'The request asked for grounding (`rag_params`), for files or for collections, and the service behind them did not answer in time. It is never answered without its passages. No chat completion was charged.',
    todo: 'Retry as `Retry-After` says, or leave `rag_params` out. Operators: `tollgate serve retrieval` must run, reach Postgres (with pgvector), and a worker must serve the embeddings model.',
  },
  shutting_down: {
    what: 'This instance is being stopped and takes no new requests.',
    todo: 'Retry: another instance will answer.',
  },
  worker_failed: {
    what: 'The worker failed before its first byte, and so did the second attempt elsewhere. Nothing is billed.',
    todo: 'Retry.',
  },
  worker_stream_broken: {
    what: 'The worker failed in the middle of the answer. The stream ends with this error and without `[DONE]`. What was delivered is billed.',
    todo: 'Do not treat the text as complete. Retry.',
  },
  invalid_output: {
    what: 'The finished answer does not match the schema that was asked for, so it is not passed off as complete.',
    todo: 'Retry; if it repeats, simplify the schema or raise the output limit.',
  },
  first_token_timeout: {
    what: 'No token came within the time allowed for the first one.',
    todo: 'Retry, with a shorter prompt if it is very long.',
  },
  stream_timeout: {
    what: 'The worker stopped sending, or the answer took longer than allowed in total. What was delivered is billed.',
    todo: 'Retry, with a lower output limit if the answer was long.',
  },
  internal_error: {
    what: 'Something failed that should not. It was logged under the request id in `x-request-id`.',
    todo: 'Retry once; if it repeats, report the request id.',
  },
};
