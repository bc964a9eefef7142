/** The promises of the contracts, one checkable line each. `evidence`: S said by the contract, W by its maker's wider docs, I inferred: our choice. */
export interface Line {
  id: string;
  behaviour: string;
  evidence: string;
}

export const LINES: readonly Line[] = [
  {
    id: 'C1',
    behaviour:
      '`POST {base}/chat/completions`, `Content-Type: application/json`, `Authorization: Bearer <key>` → 200 with `object:"chat.completion"`',
    evidence: "S (004's example shows no Authorization header but documents 401)",
  },
  {
    id: 'C2',
    behaviour: 'no / malformed / unknown / revoked key → 401 (and no upstream call: I)',
    evidence: 'S 001,004; W 000,003',
  },
  {
    id: 'C3',
    behaviour: 'missing `model` → 4xx (not 002, where `model` defaults to `""`); missing `messages` → 4xx',
    evidence: 'S',
  },
  { id: 'C4', behaviour: '`choices[i].index` = i for i in 0..n-1; `n` choices come back', evidence: 'S' },
  { id: 'C5', behaviour: '`usage.total_tokens = prompt_tokens + completion_tokens`', evidence: 'S 000,001,004' },
  {
    id: 'C6',
    behaviour: '`presence_penalty`/`frequency_penalty` −2 and 2 accepted, −2.01 and 2.01 refused',
    evidence: 'S all',
  },
  {
    id: 'C7',
    behaviour: '`temperature` 2 accepted, 2.01 refused (002 names no upper bound)',
    evidence: 'S 000,001,003,004',
  },
  {
    id: 'C8',
    behaviour:
      'streamed chunks: `object:"chat.completion.chunk"`, one `id`, `created`, `model` for all, `delta` not `message`',
    evidence: 'S 001; OpenAI else',
  },
  {
    id: 'C9',
    behaviour: "stream's last line is `data: [DONE]` followed by a blank line",
    evidence: 'S 001,002; I 000,003,004 (OpenAI-compatible)',
  },
  {
    id: 'C10',
    behaviour: '`finish_reason` ∈ stop, length, tool_calls, content_filter',
    evidence: 'S 001; W 000; I 003,004',
  },
  { id: '0.1', behaviour: 'base `/v1`; `POST /v1/chat/completions`, `GET /v1/models`', evidence: 'S' },
  {
    id: '0.2',
    behaviour:
      '`GET /models` → `{object:"list",data:[{id,object:"model",created,owned_by}]}`, only the models *this key* may use',
    evidence: 'W',
  },
  {
    id: '0.3',
    behaviour:
      '`response_format:{type:"json_schema",json_schema:{name,schema}}` **without `strict`** → content parses and validates, always (finish_reason stop)',
    evidence: 'S,W',
  },
  {
    id: '0.4',
    behaviour:
      "the seed's own schema: `category` one of its 4 enum values; `summary` 10..120 characters; `tags` 1..4 items – on every one of N runs",
    evidence: 'S',
  },
  { id: '0.5', behaviour: 'a field outside `required` may be absent; optional ≠ nullable', evidence: 'W' },
  {
    id: '0.6',
    behaviour: 'unsupported keyword → error naming the construct, before generation; never silently ignored',
    evidence: 'W',
  },
  { id: '0.7', behaviour: '`response_format` `json_object` and `text` accepted', evidence: 'W' },
  { id: '0.8', behaviour: '`stream:true` → SSE; `stream:false`/absent/null → one JSON body', evidence: 'S,W' },
  {
    id: '0.9',
    behaviour:
      '`stream:"patch"` → `application/x-ndjson`, one `{op:"add",path,value}` per line; first op `path:""` with `{}`/`[]`; containers seeded before items; fields in schema order; applying all ops = the non-streaming document',
    evidence: 'W',
  },
  {
    id: '0.10',
    behaviour:
      'same with `Accept: text/event-stream` → SSE, closed by `event: done`; without `response_format` schema → 400 before any record; mid-stream failure = close without terminator',
    evidence: 'W',
  },
  {
    id: '0.11',
    behaviour:
      '`stop`: "up to 4" → 4 accepted, 5 refused; OpenAPI type is **array or null only** (a bare string is outside it)',
    evidence: 'S; W',
  },
  { id: '0.12', behaviour: 'every chat parameter except `model`,`messages` accepts null', evidence: 'W' },
  {
    id: '0.13',
    behaviour:
      '`temperature` 0..2; `max_tokens`,`n` integers; no defaults, no minimum documented; `max_tokens:0` → 400',
    evidence: 'S; last I',
  },
  {
    id: '0.14',
    behaviour:
      '`tools[].type` only `"function"`; `tool_choice` untyped; `tool_calls[].function.arguments` is a JSON *string*',
    evidence: 'S,W',
  },
  { id: '0.15', behaviour: 'roles system, user, assistant, tool, function; `content` string or null', evidence: 'W' },
  { id: '0.16', behaviour: '`user` accepted; `seed` accepted, "deterministic if supported"', evidence: 'S; W' },
  {
    id: '0.17',
    behaviour:
      'response required: id, object, created, model, choices; `usage`, `system_fingerprint`, `finish_reason` nullable',
    evidence: 'S,W',
  },
  {
    id: '0.18',
    behaviour:
      '400 bad body/schema · 401 `code:"invalid_api_key"`,`type:"authentication_error"` · 402 insufficient credits · 403 key may not use this model · 404 unknown model · 429 · 500',
    evidence: 'W',
  },
  {
    id: '0.19',
    behaviour:
      'error body `{"error":{"message","type","param":null|s,"code":null|s}}` – "inspect the HTTP status and the error object"',
    evidence: 'S,W',
  },
  {
    id: '0.20',
    behaviour:
      "an SDK that calls `/responses` is to be pointed to chat completions (docs); the vendor's OpenAPI has `/responses` too",
    evidence: 'S; W',
  },
  { id: '0.21', behaviour: 'dashboard: create and manage keys', evidence: 'S' },
  { id: '1.1', behaviour: 'base `/v1`; key prefix `dos_sk_`; wrong scheme (`Basic`, bare key) → 401', evidence: 'S,W' },
  {
    id: '1.2',
    behaviour: 'missing `Content-Type: application/json` is a contract breach ("Required: Yes")',
    evidence: 'S',
  },
  {
    id: '1.3',
    behaviour:
      '`temperature` default 1.0, 0..2; −0.1 / 2.1 → 400 `Invalid value for temperature: must be between 0 and 2.`',
    evidence: 'S,W',
  },
  {
    id: '1.4',
    behaviour: "`max_tokens` default = model's; negative → 400; above the context limit → 400",
    evidence: 'S; W',
  },
  {
    id: '1.5',
    behaviour:
      '`top_p` default 1.0; `frequency_penalty`,`presence_penalty` default 0; `n` default 1; `stream` default false; `stop`,`tools`,`response_format` default null',
    evidence: 'S',
  },
  { id: '1.6', behaviour: '`stop` string or array, 4 accepted, 5 → 400', evidence: 'S' },
  {
    id: '1.7',
    behaviour: '`tool_choice` default `"auto"`; `"none"`, named function; `"required"` only in the guide',
    evidence: 'S; W',
  },
  {
    id: '1.8',
    behaviour:
      '`response_format` `json_object`: always valid JSON; "JSON" must appear in a message, else an error or worse',
    evidence: 'S; W',
  },
  {
    id: '1.9',
    behaviour:
      '`json_schema` with `strict:true`: all fields in `required`, `additionalProperties:false`, six types + null, recursively',
    evidence: 'W',
  },
  {
    id: '1.10',
    behaviour:
      'role ∈ system,user,assistant,tool (so `developer` → 400); `content` "string, required" **but null is used with tool_calls** → accept null there',
    evidence: 'S,W',
  },
  {
    id: '1.11',
    behaviour: 'empty `messages` → 400; malformed JSON → 400; **unknown model → 400 (not 404)**',
    evidence: 'W',
  },
  {
    id: '1.12',
    behaviour:
      'tool answer: `finish_reason:"tool_calls"`, `message.tool_calls[]`, `content:null`; several calls in one message; each answered by a `tool` message with its `tool_call_id`',
    evidence: 'S,W',
  },
  {
    id: '1.13',
    behaviour: 'streamed tool calls arrive as `delta.tool_calls[]` keyed by `index`, arguments in pieces',
    evidence: 'W',
  },
  {
    id: '1.14',
    behaviour: 'stream: first chunk `delta.role:"assistant"`, middle `content`, last `delta:{}` + finish_reason',
    evidence: 'W',
  },
  {
    id: '1.15',
    behaviour: '**"The final chunk includes finish_reason and usage statistics"** (unasked)',
    evidence: 'S',
  },
  {
    id: '1.16',
    behaviour:
      '*versus* usage only with `stream_options.include_usage`, in an extra chunk with `choices:[]` before `[DONE]`',
    evidence: 'W',
  },
  {
    id: '1.17',
    behaviour:
      '400/401/402/429/500/503 with type `invalid_request_error`, `authentication_error`, `payment_required`, `rate_limit_error`, `server_error`, `service_unavailable`; **`code` is the integer status**',
    evidence: 'S; W',
  },
  { id: '1.18', behaviour: '*versus* `code:"invalid_api_key"` (string) in the authentication page', evidence: 'W' },
  {
    id: '1.19',
    behaviour: 'every response has `X-RateLimit-Limit` and `X-RateLimit-Remaining`; 429 has `Retry-After`',
    evidence: 'W',
  },
  {
    id: '1.20',
    behaviour:
      '60 requests per **sliding** 60 s per key: 60 pass, the 61st within 60 s of the first → 429; a stream counts as one; a 429 is not processed and not charged',
    evidence: 'W',
  },
  {
    id: '1.21',
    behaviour: '*versus* plans Free 60 rpm/100 k tpm, Plus 120/500 k, Pro 300/2 M, "per API key"',
    evidence: 'W',
  },
  {
    id: '1.22',
    behaviour:
      '`GET /v1/models` (401, 500 documented); `GET /v1/catalog` = catalogue with prices; `model:"dos-auto"` = routed',
    evidence: 'W',
  },
  {
    id: '1.23',
    behaviour:
      'balance 0 → 402 until topped up; usage counted after completion; streams of paid models hold the estimate first and settle at the end (changelog: "kept on interruption")',
    evidence: 'W',
  },
  {
    id: '1.24',
    behaviour:
      'dashboard: keys named, shown once, listed with last-used time, unlimited in number, stored as SHA-256; **delete revokes at once (next call 401)**; balance, spend and usage live; monthly alerts and hard limits; model catalogue',
    evidence: 'W',
  },
  {
    id: '1.25',
    behaviour:
      'sticky routing: a session above 3 K tokens (one message) or 5 K (cumulative) is pinned to its back end, 10 min for self-hosted vLLM (prefix cache)',
    evidence: 'W',
  },
  { id: '2.1', behaviour: '`model` optional, default `""` → the project\'s/default model answers', evidence: 'S' },
  {
    id: '2.2',
    behaviour:
      '`rag_params` optional object, default none = RAG off; a request with it must not be passed to an engine that would 400 on it',
    evidence: 'S; I',
  },
  {
    id: '2.3',
    behaviour:
      '`chat_id` (name not in the dump: "Chat ID for logging"), default `""`; appears in logs, not in the prompt',
    evidence: 'S',
  },
  {
    id: '2.4',
    behaviour:
      '`messages` length ≥ 1: `[]` refused; `tools` length ≥ 1: `[]` **refused**; `stop` length ≥ 1: `[]` refused, **no upper limit**',
    evidence: 'S',
  },
  {
    id: '2.5',
    behaviour: '`tool_choice` none/auto/required/named; default **none without tools, auto with**',
    evidence: 'S',
  },
  {
    id: '2.6',
    behaviour:
      '`temperature` **≥ 0.001** (0 refused), default 0.2; `top_p` ≥ 0.001, default 0.6; no upper bound stated',
    evidence: 'S',
  },
  {
    id: '2.7',
    behaviour:
      '`max_tokens` in [1, context_length − 1), default **2048** (so a bare request stops at 2048 with `length`); prompt + output ≤ context',
    evidence: 'S',
  },
  {
    id: '2.8',
    behaviour:
      '`max_completion_tokens` same range and default; **if both set, max_completion_tokens wins** (and counts reasoning tokens)',
    evidence: 'S',
  },
  { id: '2.9', behaviour: '`n` default 1; "positive non-zero integer"; penalties default 0, −2..2', evidence: 'S' },
  { id: '2.10', behaviour: '`logit_bias` map token id → −100..100; ±100.5 refused', evidence: 'S; last I' },
  {
    id: '2.11',
    behaviour:
      'sampling parameters a model does not support are **ignored, not refused** (temperature, top_p, stop, penalties, logit_bias)',
    evidence: 'S',
  },
  { id: '2.12', behaviour: '`stream` default false; stream terminated by `data: [DONE]`', evidence: 'S' },
  { id: '2.13', behaviour: '`user` accepted, for monitoring', evidence: 'S' },
  {
    id: '2.14',
    behaviour:
      'header token (required): user PAT **or** service key; headers user id, project id: optional with a PAT, needed with a service key (service key without them → 4xx)',
    evidence: 'S; last I',
  },
  {
    id: '2.15',
    behaviour: 'usage is attributed to (user, project): from the PAT itself, or from the headers',
    evidence: 'I from 2.14',
  },
  { id: '2.16', behaviour: 'portal: recent requests with time, status, user agent, behind log-in', evidence: 'S' },
  {
    id: '2.17',
    behaviour:
      'status codes and error body: **not in the dump**; a FastAPI-style 422 `{"detail":[…]}` is likely, unproven',
    evidence: 'I',
  },
  { id: '3.1', behaviour: '`POST /v1/chat/completions`; Bearer', evidence: 'S' },
  {
    id: '3.2',
    behaviour:
      'every optional parameter is **nullable: explicit null = absent** (stream, max_tokens, temperature, top_p, top_k, min_p, penalties, stop, tool_choice, logprobs, top_logprobs)',
    evidence: 'S',
  },
  { id: '3.3', behaviour: '`max_tokens` ≥ 1 (0 refused), no default', evidence: 'S' },
  {
    id: '3.4',
    behaviour: '`temperature` default 1, max 2 (0 from the prose); `top_p` default 1, max 1, no stated minimum',
    evidence: 'S',
  },
  {
    id: '3.5',
    behaviour:
      '`top_k` integer ≥ −1, default −1 = no limit; −2 refused; 0 passes validation and must not reach an engine that reads it differently',
    evidence: 'S; last I',
  },
  { id: '3.6', behaviour: '`min_p` default 0, max 1; 1.01 refused', evidence: 'S' },
  {
    id: '3.7',
    behaviour: '`top_k`, `min_p` reach vLLM/SGLang unchanged (no "unknown parameter" error)',
    evidence: 'S',
  },
  { id: '3.8', behaviour: '`stop` string **or** array, 4 accepted, 5 refused', evidence: 'S' },
  { id: '3.9', behaviour: '`tool_choice` string enum or object', evidence: 'S' },
  {
    id: '3.10',
    behaviour:
      '`logprobs` default false; `top_logprobs` 0..20, 21 refused; with `logprobs:true` each choice has `logprobs.content[]` with ≤ top_logprobs entries',
    evidence: 'S; shape I',
  },
  {
    id: '3.11',
    behaviour: 'statuses 200, 400, 401, 429, 500 only: parameter errors are 400, **no 402, 422, 503**',
    evidence: 'W',
  },
  {
    id: '3.12',
    behaviour:
      'under load the request is held, not refused: non-streaming → blank lines until the JSON; streaming → `:` comments; final JSON still parses',
    evidence: 'W',
  },
  { id: '3.13', behaviour: 'after 30 min the server closes the connection', evidence: 'W' },
  {
    id: '4.1',
    behaviour: 'base path **`/api/v1`**: `POST /api/v1/chat/completions`; `/v1/...` need not exist',
    evidence: 'S',
  },
  {
    id: '4.2',
    behaviour:
      '`temperature` ≤ 2, `top_p` ≤ 1, `n` ≥ 1, penalties ±2, `top_logprobs` ≤ 20: 2.01, 1.01, 0, 2.1, 21 → **422**',
    evidence: 'S; code by the gloss of 422',
  },
  {
    id: '4.3',
    behaviour: 'body not JSON, not an object, wrong JSON types → **400** Invalid Format',
    evidence: 'S + gloss',
  },
  { id: '4.4', behaviour: '`max_tokens:0`, `max_completion_tokens:-1` → 422', evidence: 'I (no minimum stated)' },
  {
    id: '4.5',
    behaviour: '`stop` string, array **or explicit null**; no maximum stated; `tool_choice` enum, object or null',
    evidence: 'S',
  },
  {
    id: '4.6',
    behaviour: 'both `max_tokens` and `max_completion_tokens` accepted; precedence **not stated**',
    evidence: 'S',
  },
  { id: '4.7', behaviour: '`reasoning_effort` enum incl. `minimal`; unknown value → 422', evidence: 'S; last I' },
  {
    id: '4.8',
    behaviour: '`response_format.type` text / json_object / json_schema with name, description, schema, strict',
    evidence: 'S (text and the object; rest I)',
  },
  {
    id: '4.9',
    behaviour: '`seed`, `logprobs`, `logit_bias` (map), `tools`, `messages[].name/tool_calls/tool_call_id` accepted',
    evidence: 'S',
  },
  {
    id: '4.10',
    behaviour:
      '401 Authentication Fails · 402 Insufficient Balance · 429 Rate Limit Reached · 500 Server Error · 503 Server Overloaded, each `application/json` (body shape not shown)',
    evidence: 'S',
  },
  {
    id: '4.11',
    behaviour: 'response as C1 with `system_fingerprint`; `message.role/content/name/tool_calls`',
    evidence: 'S',
  },
  { id: '4.12', behaviour: '`stream:true` → stream; nothing promised about usage or `[DONE]`', evidence: 'S' },
];

/** A line without a test: its contract says the opposite elsewhere. */
export interface Note {
  status: 'superseded';
  reason: string;
}

export const UNTESTED: Readonly<Record<string, Note>> = {
  '1.18': {
    status: 'superseded',
    reason: "by 1.17: the seed's integer; the name of the code is in `metadata.doc_url`",
  },
};

/** Lines that need a worker which is slow, or which there are two of: shown with look-alikes alone. */
export const LOOK_ALIKES_ALONE: ReadonlySet<string> = new Set(['1.25', '3.12', '3.13']);

/** How a tested line is read here, and where it is not kept to the letter. */
export const REMARKS: Readonly<Record<string, string>> = {
  C2: 'A wrong scheme is malformed. No upstream call is ours.',
  '0.9': 'The order of lines is the order of the text. A value that is no container is told once it is whole.',
  '0.10':
    '`event: done` has the data `{}` (ours). A cut also leaves the HTTP body without its end, so that NDJSON tells it too. `n`, tools, `logprobs` and `stream_options` are refused beside it.',
  '0.11': "A bare string is refused: the maker's description has a list or null.",
  '0.13': '`max_tokens: 0` is ours.',
  '0.20': '`/responses` is 404 with words that point to chat completions.',
  '0.21': 'Console, metering and router together (`contracts/console.test.ts`), as 1.24 and 2.16.',
  '1.1': 'deviation: keys begin with `tg_live_`.',
  '1.9': 'Where a schema leaves the strict subset, it is refused by pointer and keyword.',
  '1.16': 'Only when `stream_options.include_usage` is true; unasked, 1.15 holds.',
  '1.19':
    'deviation: an answer to a request that never reached admission (401, 400) has no limit headers, since reading them would cost Redis a call; a key without a limit has none to tell.',
  '1.20':
    'deviation: a bucket that refills evenly. 60 pass at once; after that one more each second, not 60 after a minute of silence.',
  '1.14': 'A last token that an engine puts beside the finish reason is given before it.',
  '1.15': 'Usage is in the chunk with the finish reason, as the seed says.',
  '1.23': 'Also with a real console and metering: 402 until credit is added.',
  '1.21': 'Plans are limits that an operator sets per key and account.',
  '1.24': 'Digests are HMAC-SHA-256 under a secret of the installation.',
  '1.25':
    'deviation: no pin of ten minutes. A prompt goes where its beginning is cached, at any length and for as long as it is, unless that worker is too busy.',
  '2.2':
    'Grounded answers: docs/retrieval.md, test/retrieval. Refused by name where no retrieval service is connected.',
  '2.4': "deviation: vLLM takes four stop strings, so the fifth is refused in this contract's words.",
  '2.6': "Above the engine's range (2 and 1) the largest value it knows is sent.",
  '2.9': 'At most 8, as everywhere: every answer is held and billed.',
  '2.11': 'Of sampling parameters that this contract does not have, none is looked at.',
  '2.14': 'Header names are ours: `X-User-Id`, `X-Project-Id`.',
  '2.16': 'Asked with a session; a key asks for its own at `/rag/v1/requests`.',
  '2.17': 'Ours: 422 with `detail` and the error object beside it.',
  '3.4': '`top_p: 0` is sent as the smallest mass there is.',
  '3.5': '0 is sent as -1.',
  '3.11':
    '402 becomes 429, 403 becomes 401, 5xx becomes 500; an unknown model is 400. 404 and 405 of unknown addresses stay.',
  '3.12':
    "From two seconds of waiting for a worker's answer. There the status is 200 already: a late error is a body or an event.",
  '4.4': 'Ours.',
  '4.5': 'deviation: vLLM takes four stop strings.',
  '4.6': 'Ours: `max_completion_tokens` wins.',
  '4.7': '422 is ours. minimal and none switch thinking off, the rest on.',
  '4.11': '`system_fingerprint` is null where the engine has none (SGLang).',
  '4.10': "The name stands before the text: `Insufficient Balance: ...`. The body is OpenAI's shape (ours).",
};
