import { argmin, type Policy } from '../policy.ts';

/**
 * The Gateway API Inference Extension's old default, "3:2:2" (routing notes 1.4): 3 x share of prefix blocks matched (the
 * first 256 blocks of 16 tokens are seen) + 2 x how short the polled queue is among candidates + 2 x free KV cache.
 */
const SEEN_TOKENS = 256 * 16;

export function gie322(): Policy {
  return {
    name: 'gie-322',
    pick(request, book, candidates, { random }) {
      const hits = book.hitTokens(request);
      const seen = Math.min(SEEN_TOKENS, request.promptTokens);
      let most = 0;
      let fewest = Number.POSITIVE_INFINITY;
      for (const worker of candidates) {
        most = Math.max(most, worker.polledWaiting ?? 0);
        fewest = Math.min(fewest, worker.polledWaiting ?? 0);
      }
      return argmin(
        candidates,
        (worker) => {
          const prefix = seen === 0 ? 0 : Math.min(hits[worker.index]!, seen) / seen;
          const queue = most === fewest ? 1 : (most - (worker.polledWaiting ?? 0)) / (most - fewest);
          return -(3 * prefix + 2 * queue + 2 * (1 - (worker.polledKvUsage ?? 0)));
        },
        random,
      );
    },
  };
}
