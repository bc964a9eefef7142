/** The few gauges that the router reads of an engine's Prometheus text. */
import type { Engine } from '@tollgate/shared/domain/worker';

export interface EngineGauges {
  running: number | null;
  waiting: number | null;
  /** 0..1 */
  kvUsage: number | null;
}

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
  return { running: first(names.running), waiting: first(names.waiting), kvUsage: first(names.kvUsage) };
}

/** Sum over the label sets of one metric; null when it is not there. */
function readGauge(text: string, name: string): number | null {
  let sum: number | null = null;
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + name.length)) {
    const after = text[at + name.length];
    if ((at > 0 && text[at - 1] !== '\n') || (after !== '{' && after !== ' ')) continue;
    const lineEnd = text.indexOf('\n', at);
    const line = text.slice(at, lineEnd === -1 ? undefined : lineEnd);
    const value = Number(line.slice(line.lastIndexOf(' ') + 1));
    if (Number.isFinite(value)) sum = (sum ?? 0) + value;
  }
  return sum;
}
