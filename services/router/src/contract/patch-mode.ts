/** `stream: "patch"`: one document under a schema, streamed as the operations that build it. */
import { invalid, isObject } from './checks.ts';
import type { ChatRequest } from './request.ts';

/** Marks the request; refuses what a patch stream has no place for. */
export function asPatch(request: ChatRequest): void {
  const format = request.structured?.response_format;
  if (!isObject(format) || format.type !== 'json_schema') {
    throw invalid('stream', "'patch' needs a 'response_format' of type 'json_schema'.");
  }
  if (request.choices > 1) throw invalid('n', "it must be 1 when 'stream' is 'patch'.");
  if (request.tools !== null && request.toolChoice !== 'none') {
    throw invalid('tools', "they cannot be called when 'stream' is 'patch'.");
  }
  if (request.sampling.logprobs === true) throw invalid('logprobs', "it has no place when 'stream' is 'patch'.");
  request.patch = true;
}
