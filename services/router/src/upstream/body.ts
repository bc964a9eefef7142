/**
 * The body that a vLLM worker gets, built from the request model alone: no field of the client's JSON reaches a worker
 * unless it was read and checked (facts/engines.md 5, facts/reliability.md 5).
 */
import type { ChatRequest } from '../contract/request.ts';

/** Fields that the router sets itself and never takes from a client. */
export interface WorkerFields {
  /** Per account, so that one tenant can neither read nor time another's prefixes. */
  cacheSalt: string;
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

/** JSON for `POST /v1/chat/completions` of vLLM 0.29 and newer; `maxTokens` is always explicit (MONEY.md 2.3). */
export function vllmChatBody(request: ChatRequest, text: RequestText, maxTokens: number, fields: WorkerFields): string {
  let body = `{"model":${JSON.stringify(request.model)},"messages":${text.messages},"max_tokens":${maxTokens}`;
  if (request.minTokens > 0) body += `,"min_tokens":${request.minTokens}`;
  if (request.choices > 1) body += `,"n":${request.choices}`;
  for (const name in request.sampling) body += `,"${name}":${JSON.stringify(request.sampling[name])}`;
  if (text.tools !== null) {
    body += `,"tools":${text.tools}`;
    if (request.toolChoice !== null) body += `,"tool_choice":${JSON.stringify(request.toolChoice)}`;
    if (request.parallelToolCalls !== null) body += `,"parallel_tool_calls":${request.parallelToolCalls}`;
  }
  if (request.responseFormat !== null) body += `,"response_format":${JSON.stringify(request.responseFormat)}`;
  if (request.thinking !== null) body += `,"chat_template_kwargs":{"enable_thinking":${request.thinking}}`;
  if (request.stream) {
    body += ',"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}';
  }
  return `${body},"cache_salt":"${fields.cacheSalt}"}`;
}

/** JSON for vLLM's `POST /tokenize`: how many prompt tokens the chat template makes of this request. */
export function vllmTokenizeBody(request: ChatRequest, text: RequestText): string {
  let body = `{"model":${JSON.stringify(request.model)},"messages":${text.messages}`;
  if (text.tools !== null) body += `,"tools":${text.tools}`;
  if (request.thinking !== null) body += `,"chat_template_kwargs":{"enable_thinking":${request.thinking}}`;
  return `${body}}`;
}
