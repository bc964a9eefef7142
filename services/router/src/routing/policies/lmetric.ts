import { argmin, type Policy } from '../policy.ts';

/** LMetric (arXiv 2603.15202): uncached prefill tokens, queued ones included, times the batch size; no knobs. */
export function lmetric(): Policy {
  return {
    name: 'lmetric',
    pick(request, book, candidates, { random }) {
      const hits = book.hitTokens(request);
      return argmin(
        candidates,
        (worker) => (worker.pendingPrefillTokens + request.promptTokens - hits[worker.index]!) * (worker.running + 1),
        random,
      );
    },
  };
}
