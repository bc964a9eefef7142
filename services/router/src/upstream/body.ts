/**
 * The body that a worker gets, in its own dialect, built from the request model alone: no field of the client's JSON
 * reaches a worker unless it was read and checked (facts/engines.md 5, facts/reliability.md 5).
 */
import type { ChatRequest } from '../contract/request.ts';
import type { Continuation } from '../relay/resume.ts';
import type { EngineConstraint } from '../schema-gate/constraint.ts';
import type { EngineDialect } from '../schema-gate/dialect.ts';

/** Fields that the router sets itself and never takes from a client. */
export interface WorkerFields {
  /** Per account, so that one tenant can neither read nor time another's prefixes. */
  cacheSalt: string;
  requestId: string;
  /** Lower = sooner, 0 = as usual; workers that do not schedule by priority ignore it. */
  priority: number;
  /** The assistant's answer so far, to be gone on with; absent: a new answer. */
  continuation?: Continuation | null;
}

/** The parts that do not depend on the worker or on the output limit, written once per request. */
export interface RequestText {
  messages: string;
  tools: string | null;
}

export function requestText(request: ChatRequest): RequestText {
  return {
    messages: JSON.stringify(request.messages),
    tools: request.tools === null ? null : JSON.stringify(request.tools),
  };
}

/** JSON for `POST /v1/chat/completions`; `maxTokens` is always explicit (MONEY.md 2.3). */
export function chatBody(
  request: ChatRequest,
  text: RequestText,
  maxTokens: number,
  constraint: EngineConstraint,
  fields: WorkerFields,
  dialect: EngineDialect,
): string {
  const sglang = dialect.engine === 'sglang';
  const from = fields.continuation ?? null;
  const messages = from === null ? text.messages : continued(text.messages, from.message);
  const minTokens = request.minTokens - (from?.givenTokens ?? 0);
  let body = `{"model":${JSON.stringify(request.model)},"messages":${messages},"max_tokens":${maxTokens}`;
  if (minTokens > 0) body += `,"min_tokens":${minTokens}`;
  // vLLM refuses to continue a message and to begin one at once; SGLang knows one field of the two.
  if (from !== null && from.message !== '') {
    body += sglang ? ',"continue_final_message":true' : ',"add_generation_prompt":false,"continue_final_message":true';
  }
  if (request.choices > 1) body += `,"n":${request.choices}`;
  const { sampling } = request;
  for (const name in sampling) {
    body += sglang ? sglangSampling(name, sampling[name]) : `,"${name}":${JSON.stringify(sampling[name])}`;
  }
  if (text.tools !== null) {
    body += `,"tools":${text.tools}`;
    if (request.toolChoice !== null) body += `,"tool_choice":${JSON.stringify(request.toolChoice)}`;
    if (request.parallelToolCalls !== null) body += `,"parallel_tool_calls":${request.parallelToolCalls}`;
  }
  for (const name in constraint) body += `,"${name}":${JSON.stringify(constraint[name])}`;
  if (request.thinking !== null) body += `,"chat_template_kwargs":{"enable_thinking":${request.thinking}}`;
  if (request.stream) {
    body += ',"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}';
  }
  // SGLang knows no X-Request-Id, and a higher number is sooner there.
  if (sglang) body += `,"rid":"${workerRequestId(fields.requestId)}"`;
  if (fields.priority !== 0) body += `,"priority":${sglang ? -fields.priority : fields.priority}`;
  return `${body},"cache_salt":"${fields.cacheSalt}"}`;
}

/** The conversation with the assistant's unfinished message at its end. */
function continued(messages: string, message: string): string {
  if (message === '') return messages;
  return `${messages.slice(0, -1)},{"role":"assistant","content":${JSON.stringify(message)}}]`;
}

/** The id of an answer, the same whichever engine makes it: vLLM puts `chatcmpl-` before X-Request-Id. */
export function workerRequestId(requestId: string): string {
  return `chatcmpl-${requestId}`;
}

export function sglangSampling(name: string, value: unknown): string {
  // vLLM takes 0 and -1 for "no limit", SGLang -1 alone.
  if (name === 'top_k' && value === 0) return ',"top_k":-1';
  if (name === 'include_stop_str_in_output') return `,"no_stop_trim":${JSON.stringify(value)}`;
  return `,"${name}":${JSON.stringify(value)}`;
}

/** JSON for `POST /tokenize`: how many prompt tokens the chat template makes of this request. */
export function tokenizeBody(request: ChatRequest, text: RequestText): string {
  let body = `{"model":${JSON.stringify(request.model)},"messages":${text.messages}`;
  if (text.tools !== null) body += `,"tools":${text.tools}`;
  if (request.thinking !== null) body += `,"chat_template_kwargs":{"enable_thinking":${request.thinking}}`;
  return `${body}}`;
}
