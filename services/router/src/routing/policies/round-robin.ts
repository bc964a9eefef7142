import type { Policy } from '../policy.ts';

/** Each worker in turn. */
export function roundRobin(): Policy {
  let next = 0;
  return {
    name: 'round-robin',
    prefixBlind: true,
    pick: (_request, _book, candidates) => candidates[next++ % candidates.length]!,
  };
}
