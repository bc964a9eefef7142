/**
 * `/metrics` of vLLM 0.29: the recorded page (names, help, types, labels, buckets; `data/metrics-vllm-0.29.0.txt`)
 * filled with this worker's numbers. What the worker does not model stays 0.
 */
import { readFileSync } from 'node:fs';
import type { Seen } from '../../engine/engine.ts';
import type { Worker } from '../../http/worker.ts';

interface Line {
  /** Comment lines are printed as they are. */
  text: string;
  /** Lookup key: the name with the labels that tell samples apart; empty for comments. */
  key: string;
}

/** Labels that are the same on every sample. */
const COMMON_LABEL = /^(?:engine|model_name)=/;

function parseLines(template: string): Line[] {
  return template.split('\n').map((text) => {
    if (text === '' || text.startsWith('#')) return { text, key: '' };
    const brace = text.indexOf('{');
    if (brace < 0) return { text, key: text };
    const name = text.slice(0, brace);
    // The information sample is a list of settings: its labels do not tell anything apart.
    if (name === 'vllm:cache_config_info') return { text, key: name };
    const labels = text
      .slice(brace + 1, -1)
      .split(',')
      .filter((label) => !COMMON_LABEL.test(label));
    return { text, key: labels.length === 0 ? name : `${name}{${labels.join(',')}}` };
  });
}

let lines: Line[] | undefined;

function templateLines(): Line[] {
  lines ??= parseLines(readFileSync(new URL('../../../data/metrics-vllm-0.29.0.txt', import.meta.url), 'utf8'));
  return lines;
}

interface Histogram {
  bounds: number[];
  /** Observations per bound, not yet summed up. */
  buckets: number[];
  count: number;
  sum: number;
}

export interface Metrics {
  /** A request was accepted. */
  onRequest(n: number, maxTokens: number): void;
  /** A sequence is over; aborted ones are in no counter but the token totals, as in the real server. */
  onSequence(promptTokens: number, seen: Seen, finish: string | undefined): void;
  /** The page. */
  text(worker: Worker): string;
}

/** Prometheus' Python client's text of a float. */
export function prometheusFloat(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  const text = Number.isInteger(value) ? `${value}.0` : String(value);
  const dot = text.indexOf('.');
  if (value <= 0 || dot <= 6) return text;
  const mantissa = `${text[0]}.${text.slice(1, dot)}${text.slice(dot + 1)}`.replace(/[0.]+$/, '');
  return `${mantissa}e+${String(dot - 1).padStart(2, '0')}`;
}

export function createMetrics(createdS: number, speed: number): Metrics {
  const histograms = new Map<string, Histogram>();
  const success = new Map<string, number>();
  for (const { key } of templateLines()) {
    const match = /^(.*)_bucket\{le="([^"]+)"\}$/.exec(key);
    if (!match) continue;
    let histogram = histograms.get(match[1]!);
    if (!histogram) {
      histogram = { bounds: [], buckets: [], count: 0, sum: 0 };
      histograms.set(match[1]!, histogram);
    }
    histogram.bounds.push(match[2] === '+Inf' ? Number.POSITIVE_INFINITY : Number(match[2]));
    histogram.buckets.push(0);
  }

  function observe(name: string, value: number, times = 1): void {
    const histogram = histograms.get(`vllm:${name}`)!;
    histogram.buckets[histogram.bounds.findIndex((bound) => value <= bound)]! += times;
    histogram.count += times;
    histogram.sum += value * times;
  }

  return {
    onRequest(n, maxTokens) {
      observe('request_params_n', n);
      observe('request_params_max_tokens', maxTokens);
    },
    onSequence(promptTokens, seen, finish) {
      // A client of a sped-up worker sees shorter times: the page tells what the client sees.
      const seconds = (engineMs: number) => engineMs / speed / 1000;
      if (seen.firstTokenMs !== undefined) observe('time_to_first_token_seconds', seconds(seen.firstTokenMs));
      if (finish === undefined || seen.firstTokenMs === undefined) return;
      success.set(finish, (success.get(finish) ?? 0) + 1);
      const decodeMs = seen.totalMs - seen.firstTokenMs;
      const others = Math.max(0, seen.generatedTokens - 1);
      if (others > 0) observe('inter_token_latency_seconds', seconds(decodeMs / others), others);
      observe('request_time_per_output_token_seconds', others > 0 ? seconds(decodeMs / others) : 0);
      observe('request_prompt_tokens', promptTokens);
      observe('request_generation_tokens', seen.generatedTokens);
      observe('request_max_num_generation_tokens', seen.generatedTokens);
      observe('e2e_request_latency_seconds', seconds(seen.totalMs));
      observe('request_queue_time_seconds', seconds(seen.queuedMs));
      observe('request_inference_time_seconds', seconds(seen.totalMs - seen.queuedMs));
      observe('request_prefill_time_seconds', seconds(seen.firstTokenMs - seen.queuedMs));
      observe('request_decode_time_seconds', seconds(decodeMs));
      observe('request_prefill_kv_computed_tokens', promptTokens - seen.cachedTokens);
    },
    text(worker) {
      const stats = worker.engine.stats();
      const { model, blockSize } = worker.settings;
      const values = new Map<string, number>([
        ['vllm:num_requests_running', stats.running],
        ['vllm:num_requests_waiting', stats.waiting],
        ['vllm:num_requests_waiting_by_reason{reason="capacity"}', stats.waiting],
        ['vllm:engine_sleep_state{sleep_state="awake"}', 1],
        ['vllm:kv_cache_usage_perc', stats.kvUsage],
        ['vllm:prefix_cache_queries_total', stats.queriedTokens],
        ['vllm:prefix_cache_hits_total', stats.cachedPromptTokens],
        ['vllm:num_preemptions_total', stats.preemptions],
        ['vllm:prompt_tokens_total', stats.promptTokens],
        ['vllm:prompt_tokens_by_source_total{source="local_compute"}', stats.promptTokens - stats.cachedPromptTokens],
        ['vllm:prompt_tokens_by_source_total{source="local_cache_hit"}', stats.cachedPromptTokens],
        ['vllm:prompt_tokens_cached_total', stats.cachedPromptTokens],
        ['vllm:generation_tokens_total', stats.generatedTokens],
        ['vllm:cache_config_info', 1],
        ['process_resident_memory_bytes', process.memoryUsage.rss()],
        ['process_start_time_seconds', createdS],
        ['process_cpu_seconds_total', process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6],
      ]);
      for (const [finish, count] of success)
        values.set(`vllm:request_success_total{finished_reason="${finish}"}`, count);
      for (const [name, { bounds, buckets, count, sum }] of histograms) {
        let below = 0;
        for (const [i, bound] of bounds.entries()) {
          below += buckets[i]!;
          values.set(`${name}_bucket{le="${prometheusFloat(bound)}"}`, below);
        }
        values.set(`${name}_count`, count);
        values.set(`${name}_sum`, sum);
      }
      const page: string[] = [];
      for (const { text, key } of templateLines()) {
        if (key === '') {
          page.push(text);
          continue;
        }
        const known = values.get(key) ?? (/_created(?:\{|$)/.test(key) ? createdS : 0);
        page.push(`${text} ${prometheusFloat(known)}`);
      }
      return page
        .join('\n')
        .replaceAll('@model', model)
        .replace('@blockSize', String(blockSize))
        .replace('@numBlocks', String(stats.totalBlocks))
        .replace('@kvTokens', String(stats.totalBlocks * blockSize));
    },
  };
}
