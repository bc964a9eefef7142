/** Token counts of an answer, and their JSON with vLLM's keys in vLLM's order. */

export interface Counts {
  prompt: number;
  completion: number;
  cached: number;
  created: number;
  reasoning: number;
}

/** What text completions, and answers in token ids, tell of their tokens. */
export type TextCounts = Pick<Counts, 'prompt' | 'completion' | 'cached'>;

/** Usage of one chunk (`continuous_usage_stats`): no details of the prompt. */
export function chunkUsage(prompt: number, completion: number, reasoning: number): string {
  return `{"prompt_tokens":${prompt},"total_tokens":${prompt + completion},"completion_tokens":${completion},"completion_tokens_details":{"reasoning_tokens":${reasoning}}}`;
}

/** Usage of a stream's last chunk. */
export function finalStreamUsage(counts: Counts): string {
  const { prompt, completion, cached, created, reasoning } = counts;
  return `{"prompt_tokens":${prompt},"total_tokens":${prompt + completion},"completion_tokens":${completion},"prompt_tokens_details":{"cached_tokens":${cached},"created_cache_tokens":${created}},"completion_tokens_details":{"reasoning_tokens":${reasoning}}}`;
}

/** Usage of a plain chat answer. Beam search tells nothing about the cache. */
export function plainUsage(counts: Counts, beamSearch: boolean): object {
  const { prompt, completion, cached, created, reasoning } = counts;
  return {
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    completion_tokens: completion,
    prompt_tokens_details: beamSearch
      ? null
      : { cached_tokens: cached, created_cache_tokens: created, multimodal_tokens: null },
    completion_tokens_details: { reasoning_tokens: reasoning },
  };
}

/** Usage of a plain text completion, and of an answer in token ids. */
export function textUsage({ prompt, completion, cached }: TextCounts): object {
  return {
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    completion_tokens: completion,
    prompt_tokens_details: { cached_tokens: cached, created_cache_tokens: null, multimodal_tokens: null },
    completion_tokens_details: null,
  };
}
