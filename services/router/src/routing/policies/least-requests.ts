import { argmin, type Policy } from '../policy.ts';

/** Fewest requests in flight, ties at random. */
export function leastRequests(): Policy {
  return {
    name: 'least-requests',
    prefixBlind: true,
    pick: (_request, _book, candidates, { random }) => argmin(candidates, (worker) => worker.running, random),
  };
}
