import { argmin, type Policy } from '../policy.ts';

/** NVIDIA Dynamo's KV router with its defaults (routing notes 1.6): prefill blocks left after overlap + decode blocks. */
const BLOCK_TOKENS = 16;

export function dynamoLinear(): Policy {
  return {
    name: 'dynamo-linear',
    pick(request, book, candidates, { random }) {
      const hits = book.hitTokens(request);
      return argmin(
        candidates,
        (worker) => {
          const raw = (worker.pendingPrefillTokens + request.promptTokens) / BLOCK_TOKENS;
          const overlap = hits[worker.index]! / BLOCK_TOKENS;
          return Math.max(raw - overlap, 0) + (worker.heldTokens + request.promptTokens) / BLOCK_TOKENS;
        },
        random,
      );
    },
  };
}
