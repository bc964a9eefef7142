/** Every operation of the API's host under OpenAI's contract: what it takes, what it answers, how it refuses. */

import { FILE_EXPIRY_SECONDS } from '@tollgate/console/files/expiry';
import { UPLOAD_PURPOSES } from '@tollgate/console/files/service';
import { listQuery as filesQuery } from '@tollgate/console/http/files';
import { receiptQuery, requestsQuery, usageQuery } from '@tollgate/console/http/own-usage';
import { listQuery as batchesQuery, createBody as createBatch } from '@tollgate/metering/batches/api';
import * as stores from '@tollgate/retrieval/http/input';
import type { ProfileFile } from '@tollgate/router/contract/profile-file';
import * as completions from '@tollgate/router/endpoints/completions';
import * as embeddings from '@tollgate/router/endpoints/embeddings';
import * as messages from '@tollgate/router/endpoints/messages';
import * as responses from '@tollgate/router/endpoints/responses';
import type * as answers from '@tollgate/shared/contracts/host/answers';
import { jsonSchemaOf } from '@tollgate/shared/contracts/json-schema';
import type { ErrorCode } from '@tollgate/shared/domain/errors';
import { bodyOf } from './fields.ts';
import { chatBody, object, type Schema, text } from './parameters.ts';

export interface Operation {
  method: 'get' | 'post' | 'delete';
  path: string;
  /** Its name in the document, such as `files.create`. */
  name: string;
  summary: string;
  description?: string;
  query?: Schema;
  body?: Schema;
  bodyType?: 'multipart/form-data';
  /** Name of an export of `contracts/host/answers.ts`, or a content type whose content is no JSON of ours. */
  answer: keyof typeof answers | { type: string };
  /** Besides JSON, a stream of events when it was asked for. */
  streams?: boolean;
  /** Anybody may ask. */
  open?: boolean;
  errors?: readonly ErrorCode[];
}

const NONE: ReadonlySet<string> = new Set();
const STORE = '/v1/vector_stores/{vector_store_id}';
const BATCH_OF_STORE = `${STORE}/file_batches/{batch_id}`;

const WRITES: readonly ErrorCode[] = ['invalid_json', 'body_too_large', 'unsupported_media_type'];
const ASKS: readonly ErrorCode[] = ['invalid_request', 'unsupported_parameter'];
const PASSED: readonly ErrorCode[] = ['service_unavailable', 'endpoint_not_allowed', ...ASKS];
const GENERATES: readonly ErrorCode[] = [
  ...WRITES,
  ...ASKS,
  'json_too_deep',
  'invalid_schema',
  'context_length_exceeded',
  'poison_request',
  'model_not_found',
  'model_not_allowed',
  'endpoint_not_allowed',
  'endpoint_not_supported',
  'insufficient_credits',
  'key_limit_reached',
  'rate_limit_exceeded',
  'concurrency_limit_exceeded',
  'request_exceeds_limit',
  'credit_in_use',
  'no_worker',
  'queue_full',
  'credit_unavailable',
  'metering_behind',
  'worker_failed',
  'worker_stream_broken',
  'invalid_output',
  'first_token_timeout',
  'stream_timeout',
  'idempotency_key_reused',
  'answer_not_kept',
  'shutting_down',
];

const UPLOAD = object(
  {
    purpose: text({ enum: [...UPLOAD_PURPOSES] }),
    file: text({ format: 'binary' }),
    'expires_after[anchor]': text({ enum: ['created_at'] }),
    'expires_after[seconds]': {
      ...{ type: 'integer', minimum: FILE_EXPIRY_SECONDS.min, maximum: FILE_EXPIRY_SECONDS.max },
      description: 'It goes so many seconds after it was made.',
    },
  },
  ['purpose', 'file'],
);

/** The generations, in the words of a contract file. */
function generations(file: ProfileFile): Operation[] {
  const made = (name: string, path: string, rest: Pick<Operation, 'summary' | 'body' | 'answer'>): Operation => ({
    ...{ method: 'post', path, name, errors: GENERATES },
    ...rest,
  });
  const all = [
    made('chat.create', '/v1/chat/completions', {
      summary: 'An answer to a conversation',
      body: chatBody(file),
      answer: 'chatCompletion',
    }),
    made('completions.create', '/v1/completions', {
      summary: 'Text that goes on',
      body: bodyOf('/completions', { own: completions.OWN, shared: completions.SHARED }, file),
      answer: 'textCompletion',
    }),
    made('embeddings.create', '/v1/embeddings', {
      summary: 'Vectors of texts',
      body: bodyOf('/embeddings', { own: embeddings.OWN, shared: NONE }, file),
      answer: 'embeddings',
    }),
    made('responses.create', '/v1/responses', {
      summary: 'OpenAI’s responses API; nothing is stored',
      body: bodyOf('/responses', { own: responses.OWN, shared: responses.SHARED }, file),
      answer: 'response',
    }),
    made('messages.create', '/v1/messages', {
      summary: 'Anthropic’s messages API; its errors have that API’s shape',
      body: bodyOf('/messages', { own: messages.OWN, shared: NONE }, file),
      answer: 'message',
    }),
  ];
  return all.map((each) => (each.name === 'embeddings.create' ? each : { ...each, streams: true }));
}

const AROUND: readonly Operation[] = [
  {
    ...{ method: 'post', path: '/v1/quote', name: 'quote.create', answer: 'quote' },
    summary: 'What a request would cost at most, and whether it would pass now',
    description: 'The body of the endpoint that `endpoint` names, chat when it is absent. Free; nothing is held.',
    body: object({ endpoint: text({ description: 'Such as /v1/completions.' }) }, [], { additionalProperties: true }),
    errors: [...WRITES, ...ASKS, 'model_not_found', 'model_not_allowed', 'endpoint_not_allowed'],
  },
  {
    ...{ method: 'get', path: '/v1/models', name: 'models.list', answer: 'models' },
    summary: 'Models that the key may use',
  },
  {
    ...{ method: 'get', path: '/v1/models/{model}', name: 'models.get', answer: 'model' },
    summary: 'One model; the slash of its id may stand as it is',
    errors: ['model_not_found'],
  },
  {
    ...{ method: 'get', path: '/v1/key', name: 'key.get', answer: 'key' },
    summary: 'The key’s limits and caps, what is left of them, and the credit that stands ready',
  },
  {
    ...{ method: 'get', path: '/v1/key/history', name: 'key.history', answer: 'keyHistory', errors: PASSED },
    summary: 'What the key spent: today, this week, this month, and each of the last 31 days',
  },
  {
    ...{ method: 'get', path: '/v1/usage', name: 'usage.list', answer: 'usageTotals', errors: PASSED },
    summary: 'Tokens and spend of the key by hour or day and model, newest first',
    query: jsonSchemaOf(usageQuery),
  },
  {
    ...{ method: 'get', path: '/v1/requests', name: 'requests.list', answer: 'requests', errors: PASSED },
    summary: 'Finished requests of the key, newest first',
    query: jsonSchemaOf(requestsQuery),
  },
  {
    ...{ method: 'get', path: '/v1/requests/{request_id}', name: 'requests.get', answer: 'receipt' },
    summary: 'The receipt of a request: tokens, price, ledger entries, times, signature',
    query: jsonSchemaOf(receiptQuery),
    errors: [...PASSED, 'not_found'],
  },
];

const FILES: readonly Operation[] = [
  {
    ...{ method: 'post', path: '/v1/files', name: 'files.create', answer: 'file' },
    summary: 'Upload a file',
    body: UPLOAD,
    bodyType: 'multipart/form-data',
    errors: [...PASSED, ...WRITES, 'idempotency_key_reused'],
  },
  {
    ...{ method: 'get', path: '/v1/files', name: 'files.list', answer: 'files', errors: PASSED },
    summary: 'Files, newest first',
    query: jsonSchemaOf(filesQuery),
  },
  {
    ...{ method: 'get', path: '/v1/files/{file_id}', name: 'files.get', answer: 'file' },
    summary: 'One file',
    errors: [...PASSED, 'not_found'],
  },
  {
    ...{ method: 'get', path: '/v1/files/{file_id}/content', name: 'files.content' },
    summary: 'Its bytes',
    answer: { type: 'application/octet-stream' },
    errors: [...PASSED, 'not_found'],
  },
  {
    ...{ method: 'delete', path: '/v1/files/{file_id}', name: 'files.delete', answer: 'deleted' },
    summary: 'Delete a file: its bytes, and its passages in every vector store',
    errors: [...PASSED, 'not_found'],
  },
];

const BATCHES: readonly Operation[] = [
  {
    ...{ method: 'post', path: '/v1/batches', name: 'batches.create', answer: 'batch' },
    summary: 'Run the requests of a file',
    body: jsonSchemaOf(createBatch),
    errors: [...PASSED, ...WRITES, 'not_found', 'conflict', 'idempotency_key_reused'],
  },
  {
    ...{ method: 'get', path: '/v1/batches', name: 'batches.list', answer: 'batches', errors: PASSED },
    summary: 'Batches, newest first',
    query: jsonSchemaOf(batchesQuery),
  },
  {
    ...{ method: 'get', path: '/v1/batches/{batch_id}', name: 'batches.get', answer: 'batch' },
    summary: 'One batch and how far it is',
    errors: [...PASSED, 'not_found'],
  },
  {
    ...{ method: 'post', path: '/v1/batches/{batch_id}/cancel', name: 'batches.cancel', answer: 'batch' },
    summary: 'Start nothing more of it; what was answered stays',
    errors: [...PASSED, 'not_found', 'conflict', 'idempotency_key_reused'],
  },
];

const ofStores = (
  method: Operation['method'],
  path: string,
  name: string,
  summary: string,
  rest: Pick<Operation, 'answer' | 'query' | 'body'>,
): Operation => ({
  ...{ method, path, summary, name: `vector_stores.${name}` },
  ...rest,
  errors: [
    ...PASSED,
    ...(rest.body ? [...WRITES, 'conflict' as const] : []),
    ...(method === 'post' ? ['idempotency_key_reused' as const] : []),
    ...(path.includes('{') ? ['not_found' as const] : []),
  ],
});

const STORES: readonly Operation[] = [
  ofStores('post', '/v1/vector_stores', 'create', 'Make a collection of files to search', {
    body: jsonSchemaOf(stores.createStore),
    answer: 'vectorStore',
  }),
  ofStores('get', '/v1/vector_stores', 'list', 'Vector stores, newest first', {
    query: jsonSchemaOf(stores.listQuery),
    answer: 'vectorStores',
  }),
  ofStores('get', STORE, 'get', 'One vector store', { answer: 'vectorStore' }),
  ofStores('post', STORE, 'update', 'Rename it, describe it, say when it ends', {
    body: jsonSchemaOf(stores.updateStore),
    answer: 'vectorStore',
  }),
  ofStores('delete', STORE, 'delete', 'Delete it; the files stay', { answer: 'deleted' }),
  ofStores('post', `${STORE}/search`, 'search', 'Passages that fit a question, best first', {
    body: jsonSchemaOf(stores.searchInput),
    answer: 'searchResults',
  }),
  ofStores('post', `${STORE}/files`, 'files.create', 'Put a file into it: it is read afterwards', {
    body: jsonSchemaOf(stores.addFile),
    answer: 'vectorStoreFile',
  }),
  ofStores('get', `${STORE}/files`, 'files.list', 'Its files and how far each was read', {
    query: jsonSchemaOf(stores.listFilesQuery),
    answer: 'vectorStoreFiles',
  }),
  ofStores('get', `${STORE}/files/{file_id}`, 'files.get', 'One file of it', { answer: 'vectorStoreFile' }),
  ofStores('get', `${STORE}/files/{file_id}/content`, 'files.content', 'What the file was cut into, in its order', {
    answer: 'vectorStoreFileContent',
  }),
  ofStores('post', `${STORE}/files/{file_id}`, 'files.update', 'Change the attributes by which searches filter', {
    body: jsonSchemaOf(stores.updateFile),
    answer: 'vectorStoreFile',
  }),
  ofStores('delete', `${STORE}/files/{file_id}`, 'files.delete', 'Take a file out of it; the file stays', {
    answer: 'deleted',
  }),
  ofStores('post', `${STORE}/file_batches`, 'file_batches.create', 'Put many files into it', {
    body: jsonSchemaOf(stores.addBatch),
    answer: 'fileBatch',
  }),
  ofStores('get', BATCH_OF_STORE, 'file_batches.get', 'How far those files are', { answer: 'fileBatch' }),
  ofStores('post', `${BATCH_OF_STORE}/cancel`, 'file_batches.cancel', 'Read no more of them', { answer: 'fileBatch' }),
  ofStores('get', `${BATCH_OF_STORE}/files`, 'file_batches.files', 'Each of those files', {
    query: jsonSchemaOf(stores.listFilesQuery),
    answer: 'vectorStoreFiles',
  }),
];

const HOST: readonly Operation[] = [
  {
    ...{ method: 'get', path: '/.well-known/jwks.json', name: 'host.keys', answer: 'keySet', open: true },
    summary: 'Public keys of receipts',
  },
  {
    ...{ method: 'get', path: '/v1/openapi.json', name: 'host.openapi', open: true },
    summary: 'This document',
    answer: { type: 'application/json' },
  },
  {
    ...{ method: 'get', path: '/healthz', name: 'host.health', open: true },
    summary: 'Whether this process lives',
    answer: { type: 'text/plain' },
  },
  {
    ...{ method: 'get', path: '/readyz', name: 'host.ready', open: true },
    summary: 'Whether this process takes requests; why not, with status 503',
    answer: { type: 'text/plain' },
  },
];

export function operations(file: ProfileFile): Operation[] {
  return [...generations(file), ...AROUND, ...FILES, ...BATCHES, ...STORES, ...HOST];
}
