/** What vLLM 0.29 would generate from, without generating: bodies of `.../render`, and of answers in token ids. */
import type { ChoiceState } from '../../generation/choice.ts';
import type { Job } from '../../generation/job.ts';
import { DEFAULT_TEMPERATURE } from './sampling.ts';
import { type TextCounts, textUsage } from './usage.ts';

/** Of generation_config.json; greedy decoding ignores them, and what has its default is left out. */
const DEFAULT_TOP_P = 0.8;
const DEFAULT_TOP_K = 20;

const given = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback);

/** vLLM's own form of the sampling rules, fields with their default values left out where it leaves them out. */
function samplingParams(body: Record<string, unknown>, job: Job, isChat: boolean): object {
  const greedy = job.temperature === 0;
  const topP = greedy ? 1 : given(body.top_p, DEFAULT_TOP_P);
  const topK = greedy ? 0 : given(body.top_k, DEFAULT_TOP_K);
  return {
    ...(job.n === 1 ? {} : { n: job.n }),
    presence_penalty: given(body.presence_penalty, 0),
    frequency_penalty: given(body.frequency_penalty, 0),
    repetition_penalty: given(body.repetition_penalty, 1),
    temperature: given(body.temperature, DEFAULT_TEMPERATURE),
    ...(topP === 1 ? {} : { top_p: topP }),
    ...(topK === 0 ? {} : { top_k: topK }),
    ...(typeof body.min_p === 'number' ? { min_p: body.min_p } : {}),
    ...(job.seed === undefined ? {} : { seed: job.seed }),
    stop: job.stop,
    stop_token_ids: job.stopTokenIds,
    ...(job.ignoreEos ? { ignore_eos: true } : {}),
    max_tokens: job.maxTokens,
    ...(job.minTokens === 0 ? {} : { min_tokens: job.minTokens }),
    // The reasoning parser forces it off, and chat alone has one.
    ...(isChat ? { skip_special_tokens: false } : {}),
    output_kind: 2,
    skip_clone: true,
    bad_words: job.badWords,
    skip_reading_prefix_cache: false,
  };
}

/** One rendered prompt. `body` is the request as it came. */
export function rendered(id: string, model: string, body: Record<string, unknown>, job: Job, isChat: boolean): object {
  return {
    request_id: id,
    token_ids: job.promptIds,
    assistant_tokens_mask: null,
    token_offsets: null,
    features: null,
    content_parts: null,
    sampling_params: samplingParams(body, job, isChat),
    model,
    stream: false,
    stream_options: null,
    cache_salt: job.cacheSalt ?? null,
    priority: 0,
    kv_transfer_params: null,
    ec_transfer_params: null,
  };
}

/** The answer of `/inference/v1/generate`. */
export function tokensBody(
  head: { id: string; model: string; createdS: number },
  choices: readonly ChoiceState[],
  counts: TextCounts,
): string {
  return JSON.stringify({
    request_id: head.id,
    model: head.model,
    created: head.createdS,
    choices: choices.map(({ index, finish, ids }) => ({
      index,
      logprobs: null,
      finish_reason: finish,
      token_ids: ids,
      routed_experts: null,
      sampling_mask: null,
    })),
    usage: textUsage(counts),
    prompt_logprobs: null,
    kv_transfer_params: null,
    ec_transfer_params: null,
  });
}
