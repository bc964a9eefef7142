/** What crosses the wire of `POST /v1/chat/completions`: only the fields that Tollgate itself reads or writes. */

/** Usage as OpenAI and vLLM write it; every count is optional because engines differ. */
export interface WireUsage {
  prompt_tokens?: number;
  completion_tokens?: number;
  total_tokens?: number;
  prompt_tokens_details?: { cached_tokens?: number | null } | null;
  completion_tokens_details?: { reasoning_tokens?: number | null } | null;
  /** SGLang's place for it. */
  reasoning_tokens?: number | null;
}

export interface WireToolCall {
  index?: number;
  id?: string | null;
  type?: string;
  function?: { name?: string | null; arguments?: string | null };
}

export interface WireStreamChoice {
  index?: number;
  delta?: { content?: string | null; tool_calls?: WireToolCall[] | null };
  /** Of a text completion, which has no `delta`. */
  text?: string;
  finish_reason?: string | null;
  /** The stop string or token that ended it: vLLM's name for it, then SGLang's. */
  stop_reason?: string | number | null;
  matched_stop?: string | number | null;
}

export interface WireStreamChunk {
  id?: string;
  object?: string;
  choices?: WireStreamChoice[];
  usage?: WireUsage | null;
  error?: WireError;
}

export interface WireChoice {
  index?: number;
  message?: WireMessage;
  finish_reason?: string | null;
  stop_reason?: string | number | null;
  matched_stop?: string | number | null;
}

export interface WireMessage {
  content?: string | null;
  refusal?: string | null;
  tool_calls?: WireToolCall[] | null;
  reasoning?: string | null;
  reasoning_content?: string | null;
}

export interface WireCompletion {
  id?: string;
  choices?: WireChoice[];
  usage?: WireUsage | null;
  service_tier?: string | null;
  system_fingerprint?: string | null;
}

/** Error of a worker: vLLM nests it under `error`, SGLang's is flat; `code` is a number or a string. */
export interface WireError {
  message?: string;
  type?: string;
  param?: string | null;
  code?: number | string | null;
}
