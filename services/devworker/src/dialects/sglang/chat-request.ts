/**
 * SGLang's chat requests, told in vLLM's terms and read by vLLM's reader: any model is accepted and echoed, unknown
 * fields (vLLM's `structured_outputs` among them) are ignored, `regex` and `ebnf` stand at the top. From source, not
 * recorded.
 */

import type { ModelContext, Prepared } from '../dialect.ts';
import { type ChatStyle, prepareChat as prepareVllm } from '../vllm/chat-request.ts';
import { ApiError } from '../vllm/errors.ts';
import { isObject } from '../vllm/pydantic.ts';

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequestError', message);
}

/** The constraint fields of SGLang as vLLM's `structured_outputs`. */
function constraintOf(body: Record<string, unknown>): object | undefined {
  const { regex, ebnf, response_format: format } = body;
  const shaped = isObject(format) && format.type !== 'text';
  const asked = [regex, ebnf, shaped ? format : undefined].filter((value) => value !== undefined && value !== null);
  if (asked.length > 1) throw badRequest('Only one of regex, json_schema, or ebnf can be set.');
  if (isObject(format) && format.type === 'json_schema') {
    const schema = isObject(format.json_schema) ? (format.json_schema.schema ?? null) : null;
    if (schema === null) throw badRequest('schema_ is required for json_schema response format request.');
  }
  if (typeof regex === 'string') return { regex };
  if (typeof ebnf === 'string') return { grammar: ebnf };
  return undefined;
}

/** The same refusal in SGLang's words; what is no refusal stays as it is. */
export function reworded(error: unknown, maxModelLen: number): unknown {
  if (!(error instanceof ApiError)) return error;
  if (error.param === 'input_tokens' || error.param === 'input_text') {
    const asked = /requested (\d+) output tokens/.exec(error.message)?.[1];
    const input = /at least (\d+) input tokens/.exec(error.message)?.[1];
    const text =
      asked !== undefined && asked !== '0'
        ? `Requested token count exceeds the model's maximum context length of ${maxModelLen} tokens.`
        : `The input (${input ?? 'too many'} tokens) is longer than the model's context length (${maxModelLen} tokens).`;
    return badRequest(text);
  }
  if (error.param === 'max_tokens' && error.message.includes('max_model_len')) {
    return badRequest(`Requested token count exceeds the model's maximum context length of ${maxModelLen} tokens.`);
  }
  // Only what a grammar compiler refuses comes late; that is not decided here.
  return new ApiError(error.status, error.type, error.message.replace(/ \(parameter=[^)]*\)$/, ''), null);
}

export function prepareChat(body: unknown, context: ModelContext): Prepared<ChatStyle> {
  if (!isObject(body)) return prepareVllm(body, context);
  const model = typeof body.model === 'string' ? body.model : 'default';
  const { regex: _regex, ebnf: _ebnf, structured_outputs: _ignored, stop, rid, priority, ...rest } = body;
  const structured = constraintOf(body);
  const tools = Array.isArray(rest.tools) && rest.tools.length === 0 ? undefined : rest.tools;
  const mapped = {
    ...rest,
    model,
    tools,
    tool_choice: tools === undefined ? undefined : rest.tool_choice,
    ...(structured === undefined ? {} : { structured_outputs: structured }),
    ...(typeof rid === 'string' ? { request_id: rid } : {}),
    // One field here, two at vLLM.
    ...(rest.continue_final_message === true ? { add_generation_prompt: false } : {}),
  };
  try {
    const { job, style } = prepareVllm(mapped, { ...context, model });
    // No limit on the number of stop strings; a higher priority runs sooner.
    job.stop =
      typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop.filter((item) => typeof item === 'string') : [];
    job.priority = typeof priority === 'number' ? -priority : 0;
    return { job, style };
  } catch (error) {
    throw reworded(error, context.maxModelLen);
  }
}
