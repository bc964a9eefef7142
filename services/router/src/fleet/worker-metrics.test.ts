import { expect, test } from '@jest/globals';
import { NO_GAUGES, readGauges } from './worker-metrics.ts';

test('the KV cache of a vLLM is blocks times their size, over all engines of the server', () => {
  const info = (engine: number, blocks: string) =>
    `vllm:cache_config_info{_block_size_resolved="True",block_size="16",engine="${engine}",mamba_block_size="None",num_cpu_blocks="None",num_gpu_blocks="${blocks}",num_gpu_blocks_override="None"} 1.0`;
  const text = ['# TYPE vllm:cache_config_info gauge', info(0, '1000'), info(1, '500')].join('\n');
  expect(readGauges(`${text}\nprocess_start_time_seconds 1.76e+09\n`, 'vllm')).toEqual({
    ...NO_GAUGES,
    kvTokens: 24_000,
    startedS: 1_760_000_000,
  });
  expect(readGauges(info(0, 'None'), 'vllm').kvTokens).toBeNull();
});

test('SGLang tells the tokens themselves', () => {
  const text = 'sglang:max_total_num_tokens{model_name="m"} 80000.0\nsglang:num_running_reqs{model_name="m"} 3.0\n';
  expect(readGauges(text, 'sglang')).toMatchObject({ kvTokens: 80_000, running: 3, startedS: null });
});

test.each([
  ['vllm:kv_cache_usage_perc{engine="0"} 0.25', { kvUsage: 0.25 }],
  ['vllm:gpu_cache_usage_perc 0.5', { kvUsage: 0.5 }],
  [
    'vllm:prefix_cache_queries_total{engine="0"} 90.0\nvllm:prefix_cache_hits_total{engine="0"} 45.0',
    { prefixTokens: 90, prefixHitTokens: 45 },
  ],
  [
    'vllm:gpu_prefix_cache_queries_total 9\nvllm:gpu_prefix_cache_hits_total 4',
    { prefixTokens: 9, prefixHitTokens: 4 },
  ],
  ['vllm:num_preemptions_total{engine="0"} 3\nvllm:num_preemptions_total{engine="1"} 4', { preemptions: 7 }],
  // The parts of a metric are not the metric.
  ['vllm:num_requests_waiting_by_reason{reason="capacity"} 8\nvllm:num_requests_waiting 2', { waiting: 2 }],
])('every name that an engine has had is read: %s', (text, expected) => {
  expect(readGauges(`${text}\n`, 'vllm')).toEqual({ ...NO_GAUGES, ...expected });
});

test('of an old and a new name the new one counts; what is no number is nothing', () => {
  const text = 'vllm:gpu_cache_usage_perc 0.9\nvllm:kv_cache_usage_perc 0.1\nvllm:num_requests_running NaN\n';
  expect(readGauges(text, 'vllm')).toEqual({ ...NO_GAUGES, kvUsage: 0.1 });
});
