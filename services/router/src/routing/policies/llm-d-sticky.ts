import { argmin, type Policy } from '../policy.ts';

/**
 * llm-d's default since August 2026, "sticky until saturated" (routing notes 1.4): keep the workers that hold at least
 * 80 % of the prompt unless the best of them is over 18 s of prefill behind the least loaded; then the least
 * in-flight uncached tokens + what this prompt would add.
 */
const HIT_SHARE = 0.8;
const GAP_MS = 18_000;
const PEAK_TOKENS_PER_MS = 15.928;

export function llmDSticky(): Policy {
  return {
    name: 'llm-d-sticky',
    pick(request, book, candidates, { random }) {
      const hits = book.hitTokens(request);
      const holders = candidates.filter((worker) => hits[worker.index]! >= HIT_SHARE * request.promptTokens);
      const load = (tokens: number) => tokens / PEAK_TOKENS_PER_MS;
      const least = Math.min(...candidates.map((worker) => worker.pendingPrefillTokens));
      const leastHolder = Math.min(...holders.map((worker) => worker.pendingPrefillTokens));
      const keep = holders.length > 0 && load(leastHolder) - load(least) <= GAP_MS;
      return argmin(
        keep ? holders : candidates,
        (worker) => worker.pendingPrefillTokens + request.promptTokens - hits[worker.index]!,
        random,
      );
    },
  };
}
