import { describe, expect, test } from '@jest/globals';
import type { EngineWork } from '@tollgate/shared/db/engine-counter-store';
import { differencesOf } from './difference.ts';

const work = (engine: Partial<EngineWork['engine']>, absorbed: Record<string, number> = {}): EngineWork => ({
  workerUrl: 'http://w',
  engine: { promptTokens: 1_000, completionTokens: 500, requests: 10, restarts: 0, ...engine },
  billed: { promptTokens: 1_000, completionTokens: 500, requests: 10 },
  absorbed,
});
const shortly = (each: EngineWork) => differencesOf(each).map(({ kind, cause, tokens }) => [kind, cause, tokens]);

describe('what an engine counted and what was billed', () => {
  test('nothing where they agree to the token', () => {
    expect(shortly(work({}))).toEqual([]);
  });

  test('what the records themselves call absorbed explains so much and no more', () => {
    expect(shortly(work({ completionTokens: 530 }, { retry: 20, abort_plain: 10 }))).toEqual([
      ['completion', 'absorbed', 30],
    ]);
    expect(shortly(work({ completionTokens: 510 }, { retry: 30 }))).toEqual([['completion', 'absorbed', 10]]);
  });

  test('more requests than ours, with answers: foreign traffic; without: clients that left', () => {
    expect(shortly(work({ promptTokens: 1_500, completionTokens: 700, requests: 14 }))).toEqual([
      ['completion', 'foreign', 200],
      ['prompt', 'foreign', 500],
    ]);
    expect(shortly(work({ promptTokens: 1_200, completionTokens: 503, requests: 12 }))).toEqual([
      ['completion', 'aborted', 3],
      ['prompt', 'aborted', 200],
    ]);
  });

  test('less than was billed: lost with a restart, or never to be', () => {
    expect(shortly(work({ promptTokens: 900, completionTokens: 450, restarts: 1 }))).toEqual([
      ['completion', 'restarted', -50],
      ['prompt', 'restarted', -100],
    ]);
    expect(shortly(work({ promptTokens: 999 }))).toEqual([['prompt', 'overbilled', -1]]);
  });
});
