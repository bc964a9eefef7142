import { tokensAt } from '../fleet-book.ts';
import { argmin, type Policy } from '../policy.ts';
import type { BlockHash } from '../prefix-index.ts';

/**
 * SGLang router's `cache_aware` with its command line's defaults (routing notes 1.1): balance by load when the spread is
 * over 64 requests and over 1.5 times the least; else the last worker that touched the deepest known node of a prefix
 * tree, if more than 30 % of the prompt matched; else the least loaded. The tree holds 2^26 characters per worker, about
 * 16.7 million tokens: far more than a worker's cache, hence its stale hits.
 */
const CACHE_THRESHOLD = 0.3;
const BALANCE_ABS = 64;
const BALANCE_REL = 1.5;
const TREE_TOKENS_PER_WORKER = 2 ** 26 / 4;

export function sglangCacheAware(): Policy {
  /** Block -> the worker that touched it last; least recently used first. */
  const tree = new Map<BlockHash, number>();
  let capacity = 0;
  return {
    name: 'sglang-cache-aware',
    pick(request, book, candidates, { random }) {
      const blockTokens = Math.max(1, tokensAt(request, request.blocks.length) / Math.max(1, request.blocks.length));
      capacity = (TREE_TOKENS_PER_WORKER * book.workers.length) / blockTokens;
      let most = 0;
      let fewest = Number.POSITIVE_INFINITY;
      for (const worker of candidates) {
        most = Math.max(most, worker.running);
        fewest = Math.min(fewest, worker.running);
      }
      const imbalanced = most - fewest > BALANCE_ABS && most > BALANCE_REL * fewest;
      if (!imbalanced) {
        let depth = 0;
        while (depth < request.blocks.length && tree.has(request.blocks[depth]!)) depth++;
        if (tokensAt(request, depth) / Math.max(1, request.promptTokens) > CACHE_THRESHOLD) {
          const tenant = tree.get(request.blocks[depth - 1]!);
          const holder = candidates.find((worker) => worker.index === tenant);
          if (holder) return holder;
        }
      }
      return argmin(candidates, (worker) => worker.running, random);
    },
    onDispatch(request, worker) {
      for (const hash of request.blocks) {
        tree.delete(hash);
        tree.set(hash, worker.index);
      }
      while (tree.size > capacity) tree.delete(tree.keys().next().value!);
    },
    onLeave(worker) {
      for (const [hash, index] of tree) if (index === worker.index) tree.delete(hash);
    },
  };
}
