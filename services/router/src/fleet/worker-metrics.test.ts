import { expect, test } from '@jest/globals';
import { readGauges } from './worker-metrics.ts';

test('the KV cache of a vLLM is blocks times their size, over all engines of the server', () => {
  const info = (engine: number, blocks: string) =>
    `vllm:cache_config_info{_block_size_resolved="True",block_size="16",engine="${engine}",mamba_block_size="None",num_cpu_blocks="None",num_gpu_blocks="${blocks}",num_gpu_blocks_override="None"} 1.0`;
  const text = ['# TYPE vllm:cache_config_info gauge', info(0, '1000'), info(1, '500')].join('\n');
  expect(readGauges(`${text}\nprocess_start_time_seconds 1.76e+09\n`, 'vllm')).toEqual({
    running: null,
    waiting: null,
    kvUsage: null,
    kvTokens: 24_000,
    startedS: 1_760_000_000,
  });
  expect(readGauges(info(0, 'None'), 'vllm').kvTokens).toBeNull();
});

test('SGLang tells the tokens themselves', () => {
  const text = 'sglang:max_total_num_tokens{model_name="m"} 80000.0\nsglang:num_running_reqs{model_name="m"} 3.0\n';
  expect(readGauges(text, 'sglang')).toMatchObject({ kvTokens: 80_000, running: 3, startedS: null });
});
