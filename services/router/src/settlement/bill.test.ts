import { describe, expect, test } from '@jest/globals';
import type { Outcome } from '@tollgate/shared/domain/outcome';
import { type Bill, billOf, type Ending, wantsTokenizer } from './bill.ts';

const running = { promptTokens: 100, cachedTokens: null, completionTokens: 7, reasoningTokens: 2, final: false };
const closing = { ...running, cachedTokens: 64, final: true };
const unseen = { promptTokens: null, cachedTokens: null, completionTokens: 0, reasoningTokens: 0, final: false };
const ending = (outcome: Outcome, more: Partial<Ending> = {}): Ending => ({
  outcome,
  stream: true,
  dispatched: true,
  answerStarted: true,
  counts: running,
  promptBytes: 400,
  guessedTokens: 9,
  tokenizedPrompt: null,
  abandonedTokens: 0,
  resumeTokens: 0,
  invalidTokens: 0,
  ...more,
});
const tokens = (bill: Bill) =>
  bill.kind === 'void' ? 'void' : [bill.promptTokens, bill.cachedTokens, bill.completionTokens];

describe('who pays for what (MONEY.md section 6)', () => {
  test('a served request: what the engine says', () => {
    expect(tokens(billOf(ending('served', { counts: closing })))).toEqual([100, 64, 7]);
  });

  test('a client that leaves a stream: the prompt in full, and the output so far', () => {
    for (const outcome of ['client_gone', 'slow_reader_cut'] as const) {
      expect(tokens(billOf(ending(outcome)))).toEqual([100, 0, 7]);
      expect(tokens(billOf(ending(outcome, { counts: closing })))).toEqual([100, 64, 7]);
    }
  });

  test('a client that leaves a plain request: the prompt; the rest is absorbed', () => {
    const left = ending('client_gone', { stream: false, answerStarted: false, counts: unseen, tokenizedPrompt: 90 });
    expect(billOf(left)).toMatchObject({ promptTokens: 90, cachedTokens: 0, completionTokens: 0, source: 'engine' });
    expect(billOf({ ...left, tokenizedPrompt: null })).toMatchObject({ promptTokens: 100, source: 'estimated' });
  });

  test('a worker that dies, our drain, a time-out: delivered tokens, the prompt at the cached price', () => {
    for (const outcome of ['worker_lost', 'worker_error', 'timed_out', 'drained'] as const) {
      expect(tokens(billOf(ending(outcome)))).toEqual([100, 100, 7]);
      expect(billOf(ending(outcome, { answerStarted: false }))).toEqual({ kind: 'void', tokensKept: 0 });
    }
  });

  test('nothing sent yet: nothing to pay, but a stream left early keeps its prompt charged to the rate', () => {
    expect(billOf(ending('client_gone', { answerStarted: false, counts: unseen }))).toEqual({
      kind: 'void',
      tokensKept: 100,
    });
    expect(billOf(ending('client_gone', { dispatched: false }))).toEqual({ kind: 'void', tokensKept: 0 });
    expect(billOf(ending('worker_refused'))).toEqual({ kind: 'void', tokensKept: 0 });
    expect(billOf(ending('refused_capacity'))).toEqual({ kind: 'void', tokensKept: 0 });
  });

  test('no usage seen: bytes / 4 and what was passed on, flagged as estimated', () => {
    expect(billOf(ending('worker_lost', { counts: unseen }))).toMatchObject({
      promptTokens: 100,
      completionTokens: 9,
      source: 'estimated',
    });
  });

  test('work thrown away by a retry is absorbed, not billed', () => {
    expect(billOf(ending('served', { counts: closing, abandonedTokens: 5 }))).toMatchObject({
      completionTokens: 7,
      absorbed: { retry: 5 },
    });
  });

  test('the tokenizer is asked only when somebody left, the worker had the prompt, and nobody counted it', () => {
    expect(wantsTokenizer(ending('client_gone', { stream: false, answerStarted: false, counts: unseen }))).toBe(true);
    expect(wantsTokenizer(ending('client_gone'))).toBe(false);
    expect(wantsTokenizer(ending('served', { counts: unseen }))).toBe(false);
    expect(wantsTokenizer(ending('client_gone', { dispatched: false, counts: unseen }))).toBe(false);
  });
});
