/** What a vLLM says of itself in `/metrics`. */

export interface EngineCounters {
  promptTokens: number;
  generationTokens: number;
  running: number;
  waiting: number;
}

export async function engineCounters(url: string): Promise<EngineCounters> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const sum = (name: string): number => {
    let total = 0;
    for (const line of text.split('\n')) {
      if (line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        total += Number(line.slice(line.lastIndexOf(' ')));
    }
    return total;
  };
  return {
    promptTokens: sum('vllm:prompt_tokens_total'),
    generationTokens: sum('vllm:generation_tokens_total'),
    running: sum('vllm:num_requests_running'),
    waiting: sum('vllm:num_requests_waiting'),
  };
}
