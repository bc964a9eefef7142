import { type Policy, twoRandom } from '../policy.ts';

/** Power of two choices: of two random workers the one with fewer requests in flight. */
export function p2c(): Policy {
  return {
    name: 'p2c',
    prefixBlind: true,
    pick(_request, _book, candidates, { random }) {
      const [a, b] = twoRandom(candidates, random);
      return b.running < a.running ? b : a;
    },
  };
}
