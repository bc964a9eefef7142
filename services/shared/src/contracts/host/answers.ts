/**
 * What the API's host answers, besides errors: one schema per operation of its OpenAPI document, which is made from them.
 * Strict where the shape is ours to the last field; loose where an engine may add fields. Times of OpenAI's objects are
 * seconds since 1970; money is nano-USD in decimal strings.
 */
import { z } from 'zod';

const nusd = z.string().regex(/^-?\d{1,30}$/);
const seconds = z.int().meta({ description: 'Seconds since 1970.' });
const iso = z.iso.datetime({ offset: true });
const count = z.int().min(0);
const text = z.string();
const metadata = z.record(z.string(), z.string());

/** OpenAI's list with cursors by id. */
const idList = <T extends z.ZodType>(item: T) =>
  z.strictObject({
    object: z.literal('list'),
    data: z.array(item),
    first_id: text.nullable(),
    last_id: text.nullable(),
    has_more: z.boolean(),
  });
/** Our own lists: pass `next` as `?cursor`. */
const cursorList = <T extends z.ZodType>(item: T) =>
  z.strictObject({ object: z.literal('list'), data: z.array(item), next: text.nullable() });

const usage = z.looseObject({ prompt_tokens: count, completion_tokens: count, total_tokens: count });

// -- generations -----------------------------------------------------------------------------------------------------

export const chatCompletion = z.looseObject({
  id: text,
  object: z.literal('chat.completion'),
  created: seconds,
  model: text,
  choices: z.array(
    z.looseObject({
      index: count,
      message: z.looseObject({ role: z.literal('assistant'), content: text.nullable() }),
      finish_reason: z.enum(['stop', 'length', 'tool_calls', 'content_filter']).nullable(),
    }),
  ),
  usage,
});
export const textCompletion = z.looseObject({
  id: text,
  object: z.literal('text_completion'),
  created: seconds,
  model: text,
  choices: z.array(z.looseObject({ index: count, text, finish_reason: text.nullable() })),
  usage,
});
export const embeddings = z.looseObject({
  object: z.literal('list'),
  model: text,
  data: z.array(
    z.looseObject({
      object: z.literal('embedding'),
      index: count,
      embedding: z.union([z.array(z.number()), text.meta({ description: 'base64, where it was asked for.' })]),
    }),
  ),
  usage: z.looseObject({ prompt_tokens: count, total_tokens: count }),
});
export const response = z.looseObject({
  id: text,
  object: z.literal('response'),
  model: text,
  status: z.enum(['completed', 'incomplete', 'failed', 'in_progress']),
  output: z.array(z.looseObject({ type: text })),
  usage: z.looseObject({ input_tokens: count, output_tokens: count }).nullable(),
});
export const message = z.looseObject({
  id: text,
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: text,
  content: z.array(z.looseObject({ type: text })),
  stop_reason: text.nullable(),
  usage: z.looseObject({ input_tokens: count, output_tokens: count }),
});

// -- the key, its models and its prices ------------------------------------------------------------------------------

const limits = z.strictObject({
  requests_per_minute: count.nullable(),
  tokens_per_minute: count.nullable(),
  concurrency: count.nullable(),
});
const left = z
  .strictObject({ limit: count, remaining: z.int(), resetMs: count })
  .nullable()
  .meta({ description: 'Of the limit with the smallest share left; null = there is none.' });
const cap = z.strictObject({ limit_nusd: nusd, used_nusd: nusd, remaining_nusd: nusd }).nullable();
export const key = z.strictObject({
  object: z.literal('key'),
  id: text,
  account_id: text,
  kind: text,
  models: z.array(text).nullable().meta({ description: 'null = all that are on sale.' }),
  expires_at: iso.nullable(),
  limits: z.strictObject({ key: limits, account: limits }),
  remaining: z.strictObject({ requests: left, tokens: left }),
  running: z.strictObject({ key: count, account: count }),
  caps: z.strictObject({ day: cap, month: cap }),
  credit: z
    .strictObject({ ready_nusd: nusd, held_nusd: nusd, spent_nusd: nusd })
    .nullable()
    .meta({ description: 'The part of the balance that stands ready; more is fetched as it is needed.' }),
});
export const keyHistory = z.strictObject({
  object: z.literal('key.history'),
  key_id: text,
  spend_nusd: z.strictObject({ day: nusd, week: nusd, month: nusd }),
  days: z.array(z.strictObject({ day: text, amount_nusd: nusd })),
});
export const model = z.strictObject({
  id: text,
  object: z.literal('model'),
  created: seconds,
  owned_by: text,
  max_model_len: count,
});
export const models = z.strictObject({ object: z.literal('list'), data: z.array(model) });
export const quote = z.strictObject({
  object: z.literal('quote'),
  endpoint: text,
  model: text,
  prompt_tokens_bound: count,
  grounding_bytes_bound: count.optional().meta({ description: 'Bytes that passages may add to the prompt.' }),
  output_tokens_limit: count,
  choices: count,
  max_cost_nusd: nusd.meta({ description: 'The hold: no bill is ever above it.' }),
  max_cost_usd: text,
  price_id: text,
  would_pass: z.boolean(),
  output_lowered: z.boolean(),
  credit: z.enum(['ready', 'fetched', 'not_reserved']),
  refused_by: z
    .looseObject({ code: text, status: z.int(), frees_in_ms: z.number().nullable() })
    .nullable()
    .meta({ description: 'The limit that would refuse, and when it frees.' }),
  first_token_ms_expected: count.nullable(),
});

// -- what a key did --------------------------------------------------------------------------------------------------

export const usageTotals = cursorList(
  z.strictObject({
    object: z.literal('usage'),
    start: iso,
    by: z.enum(['hour', 'day']),
    model: text,
    requests: count,
    prompt_tokens: count,
    cached_tokens: count,
    completion_tokens: count,
    amount_nusd: nusd,
  }),
);
const requestFields = {
  object: z.literal('request'),
  id: text,
  endpoint: text.nullable(),
  model: text,
  stream: z.boolean().nullable(),
  outcome: text,
  status: z.int().nullable(),
  finish_reason: text.nullable(),
  prompt_tokens: count,
  cached_tokens: count,
  completion_tokens: count,
  amount_nusd: nusd,
  admitted_at: iso,
  finished_at: iso,
  first_token_ms: count.nullable(),
  duration_ms: count.nullable(),
  project_id: text.nullable(),
  user_id: text.nullable(),
  chat_id: text.nullable(),
  user_agent: text.nullable(),
  user: text.nullable(),
};
export const requests = cursorList(z.strictObject(requestFields));
export const receipt = z.strictObject({
  ...requestFields,
  body: z.unknown().optional().meta({ description: 'With `include=body`: what is kept of it, or null.' }),
  client_request_id: text.nullable(),
  final: z.boolean(),
  reasoning_tokens: count.nullable(),
  count_source: text,
  amount_usd: text,
  clipped_to_hold: z.boolean(),
  price: z.strictObject({
    id: text.nullable(),
    unit: z.literal('nano_usd_per_million_tokens').optional(),
    input: nusd.optional(),
    cached_input: nusd.optional(),
    output: nusd.optional(),
  }),
  receipt: z
    .strictObject({ jws: text, seq: text, hash: text })
    .nullable()
    .meta({ description: 'Signed a moment after the posting; null until then.' }),
  timing: z.strictObject({
    queue_ms: count.nullable(),
    first_token_ms: count.nullable(),
    duration_ms: count.nullable(),
  }),
  entries: z
    .array(z.strictObject({ transaction_id: text, kind: text, created_at: iso, bucket: text, amount_nusd: nusd }))
    .meta({ description: 'Of the ledger; they add up to 0.' }),
});

// -- files, batches, vector stores -----------------------------------------------------------------------------------

export const deleted = z.strictObject({ id: text, object: text, deleted: z.literal(true) });
export const file = z.strictObject({
  id: text,
  object: z.literal('file'),
  bytes: count,
  created_at: seconds,
  filename: text,
  purpose: text,
  status: z.literal('processed'),
  expires_at: seconds.optional(),
});
export const files = idList(file);

const at = seconds.nullable();
export const batch = z.strictObject({
  id: text,
  object: z.literal('batch'),
  endpoint: text,
  errors: z
    .strictObject({ object: z.literal('list'), data: z.array(z.looseObject({ code: text, message: text })) })
    .nullable(),
  input_file_id: text,
  completion_window: text,
  status: text,
  output_file_id: text.nullable(),
  error_file_id: text.nullable(),
  created_at: seconds,
  in_progress_at: at,
  expires_at: at,
  finalizing_at: at,
  completed_at: at,
  failed_at: at,
  expired_at: at,
  cancelling_at: at,
  cancelled_at: at,
  request_counts: z.strictObject({ total: count, completed: count, failed: count }),
  metadata: metadata.nullable(),
});
export const batches = idList(batch);

const fileCounts = z.strictObject({
  in_progress: count,
  completed: count,
  failed: count,
  cancelled: count,
  total: count,
});
export const vectorStore = z.strictObject({
  id: text,
  object: z.literal('vector_store'),
  created_at: seconds,
  last_active_at: seconds,
  name: text,
  description: text.nullable().optional(),
  metadata,
  status: z.enum(['expired', 'in_progress', 'completed']),
  usage_bytes: count,
  file_counts: fileCounts,
  expires_after: z.strictObject({ anchor: z.literal('last_active_at'), days: count }).nullable(),
  expires_at: at,
  embedding_model: text,
  embedding_dimensions: count,
});
export const vectorStores = idList(vectorStore);
const fileState = z.enum(['in_progress', 'completed', 'failed', 'cancelled']);
export const vectorStoreFile = z.strictObject({
  id: text,
  object: z.literal('vector_store.file'),
  created_at: seconds,
  vector_store_id: text,
  filename: text,
  status: fileState,
  last_error: z.strictObject({ code: text, message: text }).nullable(),
  usage_bytes: count,
  attributes: z.record(z.string(), z.union([text, z.number(), z.boolean()])),
  chunking_strategy: z.strictObject({
    type: z.literal('static'),
    static: z.strictObject({ max_chunk_size_tokens: count, chunk_overlap_tokens: count }),
  }),
  progress: z.strictObject({ chunks: count, total: count.nullable() }),
});
export const vectorStoreFiles = idList(vectorStoreFile);
export const vectorStoreFileContent = z.strictObject({
  object: z.literal('vector_store.file_content.page'),
  data: z.array(z.strictObject({ type: z.literal('text'), text })),
  has_more: z.boolean(),
  next_page: text.nullable(),
});
export const fileBatch = z.strictObject({
  id: text,
  object: z.literal('vector_store.files_batch'),
  created_at: seconds,
  vector_store_id: text,
  status: fileState,
  file_counts: fileCounts,
});
export const searchResults = z.strictObject({
  object: z.literal('vector_store.search_results.page'),
  search_query: z.array(text),
  data: z.array(
    z.strictObject({
      file_id: text,
      filename: text,
      score: z.number(),
      attributes: z.record(z.string(), z.union([text, z.number(), z.boolean()])),
      content: z.array(z.strictObject({ type: z.literal('text'), text })),
      chunk: count,
      heading: text,
      place: text,
    }),
  ),
  has_more: z.boolean(),
  next_page: text.nullable(),
  usage: z.strictObject({ embedding_tokens: count }),
});

// -- the host itself -------------------------------------------------------------------------------------------------

export const keySet = z.looseObject({ keys: z.array(z.looseObject({ kty: text, kid: text })) });
/** As OpenAI's SDKs read it; `metadata.doc_url` is the page of the code. */
export const hostError = z.strictObject({
  error: z.strictObject({
    message: text,
    type: text,
    param: text.nullable(),
    code: text.nullable(),
    metadata: z.record(z.string(), z.unknown()).optional(),
  }),
});
