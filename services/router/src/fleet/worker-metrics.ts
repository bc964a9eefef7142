/** The few figures that the router reads of an engine's Prometheus text. */
import type { Engine } from '@tollgate/shared/domain/worker';

export interface EngineGauges {
  running: number | null;
  waiting: number | null;
  /** 0..1 */
  kvUsage: number | null;
  /** Size of the KV cache in tokens; null when it does not say. */
  kvTokens: number | null;
  /** Prompt tokens that were looked up in the prefix cache since its start, and those that were found. */
  prefixTokens: number | null;
  prefixHitTokens: number | null;
  /** Requests that were thrown out of a full cache and begun anew, since its start. */
  preemptions: number | null;
  /** Unix time of the process's start, in seconds: another one means an empty cache. */
  startedS: number | null;
  /** Since its start: tokens of all prompts and of all answers, requests that ended. Held against what was billed. */
  promptTokens: number | null;
  completionTokens: number | null;
  requests: number | null;
}

export const NO_GAUGES: EngineGauges = {
  running: null,
  waiting: null,
  kvUsage: null,
  kvTokens: null,
  prefixTokens: null,
  prefixHitTokens: null,
  preemptions: null,
  startedS: null,
  promptTokens: null,
  completionTokens: null,
  requests: null,
};

/**
 * Metric names by engine, newer before older: engines rename. vLLM: `gpu_cache_usage_perc` and `gpu_prefix_cache_*` until
 * 0.11; a counter has `_total` on the wire since 0.9, and had none before. SGLang needs `--enable-metrics`.
 */
export const ENGINE_METRICS = {
  vllm: {
    running: ['vllm:num_requests_running'],
    waiting: ['vllm:num_requests_waiting'],
    kvUsage: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
    kvTokens: [],
    prefixTokens: [
      'vllm:prefix_cache_queries_total',
      'vllm:prefix_cache_queries',
      'vllm:gpu_prefix_cache_queries_total',
      'vllm:gpu_prefix_cache_queries',
    ],
    prefixHitTokens: [
      'vllm:prefix_cache_hits_total',
      'vllm:prefix_cache_hits',
      'vllm:gpu_prefix_cache_hits_total',
      'vllm:gpu_prefix_cache_hits',
    ],
    preemptions: ['vllm:num_preemptions_total', 'vllm:num_preemptions'],
    startedS: ['process_start_time_seconds'],
    promptTokens: ['vllm:prompt_tokens_total', 'vllm:prompt_tokens'],
    completionTokens: ['vllm:generation_tokens_total', 'vllm:generation_tokens'],
    requests: ['vllm:request_success_total', 'vllm:request_success'],
  },
  sglang: {
    running: ['sglang:num_running_reqs'],
    waiting: ['sglang:num_queue_reqs'],
    kvUsage: ['sglang:token_usage'],
    kvTokens: ['sglang:max_total_num_tokens'],
    prefixTokens: ['sglang:prompt_tokens_total'],
    prefixHitTokens: ['sglang:cached_tokens_total'],
    preemptions: ['sglang:num_retracted_reqs_total', 'sglang:num_retracted_reqs'],
    startedS: ['process_start_time_seconds'],
    promptTokens: ['sglang:prompt_tokens_total'],
    completionTokens: ['sglang:generation_tokens_total'],
    requests: ['sglang:num_requests_total'],
  },
} as const satisfies Record<Engine, Record<keyof EngineGauges, readonly string[]>>;

export function readGauges(text: string, engine: Engine): EngineGauges {
  const gauges = { ...NO_GAUGES };
  for (const [gauge, names] of Object.entries(ENGINE_METRICS[engine])) {
    for (const name of names) {
      const value = readGauge(text, name);
      if (value === null) continue;
      gauges[gauge as keyof EngineGauges] = value;
      break;
    }
  }
  if (engine === 'vllm') gauges.kvTokens = vllmKvTokens(text);
  return gauges;
}

/** vLLM tells block size and count as labels of a metric that is always 1, one for each engine of the server. */
function vllmKvTokens(text: string): number | null {
  let sum: number | null = null;
  for (const line of linesOf(text, 'vllm:cache_config_info')) {
    const size = /[{,]block_size="(\d+)"/.exec(line);
    const count = /[{,]num_gpu_blocks="(\d+)"/.exec(line);
    if (size !== null && count !== null) sum = (sum ?? 0) + Number(size[1]) * Number(count[1]);
  }
  return sum;
}

/** Sum over the label sets of one metric; null when it is not there. */
function readGauge(text: string, name: string): number | null {
  let sum: number | null = null;
  for (const line of linesOf(text, name)) {
    const value = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (Number.isFinite(value)) sum = (sum ?? 0) + value;
  }
  return sum;
}

/** The samples of one metric. */
function* linesOf(text: string, name: string): Generator<string> {
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + name.length)) {
    const after = text[at + name.length];
    if ((at > 0 && text[at - 1] !== '\n') || (after !== '{' && after !== ' ')) continue;
    const lineEnd = text.indexOf('\n', at);
    yield text.slice(at, lineEnd === -1 ? undefined : lineEnd);
  }
}
