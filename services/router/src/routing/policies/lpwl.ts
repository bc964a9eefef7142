import { argmin, type Policy } from '../policy.ts';

/** Least pending work left (agentic-kvc report): queued uncached prefill + what of this prompt is not held; no knobs. */
export function lpwl(): Policy {
  return {
    name: 'lpwl',
    pick(request, book, candidates, { random }) {
      const hits = book.hitTokens(request);
      return argmin(
        candidates,
        (worker) => worker.pendingPrefillTokens + Math.max(0, request.promptTokens - hits[worker.index]!),
        random,
      );
    },
  };
}
