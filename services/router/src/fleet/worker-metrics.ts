/** The few figures that the router reads of an engine's Prometheus text. */
import type { Engine } from '@tollgate/shared/domain/worker';

export interface EngineGauges {
  running: number | null;
  waiting: number | null;
  /** 0..1 */
  kvUsage: number | null;
  /** Size of the KV cache in tokens; null when it does not say. */
  kvTokens: number | null;
  /** Unix time of the process's start, in seconds: another one means an empty cache. */
  startedS: number | null;
}

export const NO_GAUGES: EngineGauges = { running: null, waiting: null, kvUsage: null, kvTokens: null, startedS: null };

/** Metric names by engine; older names after newer ones. */
const NAMES: Record<Engine, { running: string[]; waiting: string[]; kvUsage: string[] }> = {
  vllm: {
    running: ['vllm:num_requests_running'],
    waiting: ['vllm:num_requests_waiting'],
    kvUsage: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
  },
  sglang: {
    running: ['sglang:num_running_reqs'],
    waiting: ['sglang:num_queue_reqs'],
    kvUsage: ['sglang:token_usage'],
  },
};

export function readGauges(text: string, engine: Engine): EngineGauges {
  const names = NAMES[engine];
  const first = (candidates: string[]): number | null => {
    for (const name of candidates) {
      const value = readGauge(text, name);
      if (value !== null) return value;
    }
    return null;
  };
  return {
    running: first(names.running),
    waiting: first(names.waiting),
    kvUsage: first(names.kvUsage),
    kvTokens: engine === 'vllm' ? vllmKvTokens(text) : readGauge(text, 'sglang:max_total_num_tokens'),
    startedS: readGauge(text, 'process_start_time_seconds'),
  };
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
