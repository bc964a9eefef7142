import { expect, test } from '@jest/globals';
import { readExplanation, seconds } from './explanation.ts';

test("the router's explanation is read whole; anything else is none", () => {
  const terms = { queueMs: 10, prefillMs: 200.5, factor: 1 };
  const candidate = {
    worker: 'http://a',
    costMs: 213.5,
    terms,
    running: 2,
    pendingPrefillMs: 9,
    hitTokens: 64,
    health: 1,
  };
  const header = JSON.stringify({ policy: 'cost', chosen: 'http://a', of: 3, candidates: [candidate] });
  const { pendingPrefillMs: _unused, ...shown } = candidate;
  expect(readExplanation(header)).toEqual({ policy: 'cost', chosen: 'http://a', of: 3, candidates: [shown] });
  expect(readExplanation(null)).toBeNull();
  expect(readExplanation('{"policy":')).toBeNull();
  expect(readExplanation('{"policy":"cost"}')).toBeNull();
  const other = { policy: 'p2c', chosen: 'w', of: 1, candidates: [{ worker: 'w', costMs: null }] };
  expect(readExplanation(JSON.stringify(other))?.candidates[0]).toMatchObject({ costMs: null, terms: null });
  expect([seconds(214), seconds(null)]).toEqual(['0.214\u00a0s', '–']);
});
