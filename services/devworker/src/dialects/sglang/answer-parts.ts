/** What SGLang's chat answers and text completions share. */
import type { Counts } from '../vllm/usage.ts';

/** Qwen3's end-of-turn token, which a natural end reports as what it matched. */
const QWEN_IM_END = 151_645;

/** `finish`: why the choice ended; `reason`: the stop string or token that ended it, if one did. */
export function matchedStop(finish: string | undefined, reason: string | number | null): string | number | null {
  return finish === 'stop' ? (reason ?? QWEN_IM_END) : null;
}

export function usage({ prompt, completion, cached, reasoning }: Omit<Counts, 'created'>): object {
  return {
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    completion_tokens: completion,
    // Nothing cached is told as nothing, not as 0.
    prompt_tokens_details: cached > 0 ? { cached_tokens: cached } : null,
    reasoning_tokens: reasoning,
  };
}
