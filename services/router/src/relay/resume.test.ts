import { describe, expect, test } from '@jest/globals';
import type { ChatRequest } from '../contract/request.ts';
import { joinCounts, Resumption, rewriteResumed, Transcript } from './resume.ts';
import { NO_COUNTS } from './token-counts.ts';

const chunk = (delta: object, created = 7) =>
  Buffer.from(
    `data: ${JSON.stringify({ id: 'x', created, choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`,
  ).toString('latin1');

function transcriptOf(...deltas: object[]): Transcript {
  const transcript = new Transcript(false);
  for (const [i, delta] of deltas.entries()) transcript.add(chunk(delta), i, 0);
  return transcript;
}

const request = (more: Partial<ChatRequest> = {}): ChatRequest => ({
  model: 'm',
  messages: [],
  stream: true,
  usageInStream: 'hidden',
  choices: 1,
  maxTokens: 50,
  minTokens: 0,
  sampling: {},
  tools: null,
  toolChoice: null,
  parallelToolCalls: null,
  structured: null,
  thinking: null,
  needsWholeOutput: false,
  ...more,
});

describe('what a client was given', () => {
  test('is kept letter by letter, escapes and cut surrogates included', () => {
    const rocket = '🚀';
    const transcript = transcriptOf(
      { role: 'assistant', content: '' },
      { content: 'say "content":"x" \\ \n ' },
      { content: 'grüße 漢字 ' },
      { content: rocket[0] },
      { content: rocket[1] },
    );
    expect(transcript.message()).toBe(`say "content":"x" \\ \n grüße 漢字 ${rocket}`);
    expect(transcript.tokens).toEqual({ count: 4, isGuess: false });
    expect(transcript.created).toBe('7');
  });

  test('an open thought stays open, a closed one is written as the template prints it', () => {
    expect(transcriptOf({ reasoning: '\nLet me ' }, { reasoning_content: 'think' }).message()).toBe(
      '<think>\nLet me think',
    );
    expect(transcriptOf({ reasoning: '\nHm.\n' }, { content: '\n\nYes' }).message()).toBe(
      '<think>\nHm.\n</think>\n\nYes',
    );
    expect(transcriptOf({ reasoning: 'a', content: 'b' }, { content: 'c' }).message()).toBe(
      '<think>\na\n</think>\n\nbc',
    );
  });

  test('too much of it, or a call in it, cannot be gone on with', () => {
    const long = transcriptOf({ content: 'x'.repeat(300_000) });
    expect(long.usable).toBe(false);
    const calls = new Transcript(true);
    calls.add(chunk({ tool_calls: [{ index: 0 }] }), 1, 0);
    expect(calls.usable).toBe(false);
  });
});

describe('going on', () => {
  const given = (resumption: Resumption, text: string, tokens: number) =>
    resumption.transcript.add(chunk({ content: text }), tokens, 0);
  const counts = (completionTokens: number) => ({ ...NO_COUNTS, promptTokens: 10, completionTokens });

  test('is refused where what was passed on is no text', () => {
    const resumption = Resumption.of(request(), false)!;
    resumption.transcript.add(chunk({ content: 'a' }).replace('"a"', '"\\w"'), 1, 0);
    expect(resumption.transcript.message()).toBeNull();
    expect(resumption.after('cut', counts(1), 50)).toBe(false);
  });

  test('takes what was passed on, not what the engine counted beyond it', () => {
    const resumption = Resumption.of(request(), false)!;
    given(resumption, 'Hello', 3);
    expect(resumption.after('cut', counts(5), 50)).toBe(true);
    expect(resumption.from).toMatchObject({ message: 'Hello', givenTokens: 3, billedTokens: 3, promptTokens: 10 });
    expect(resumption.unbilledTokens).toBe(2);
    const now = {
      ...NO_COUNTS,
      promptTokens: 13,
      cachedTokens: 12,
      completionTokens: 4,
      reasoningTokens: 1,
      final: true,
    };
    expect(joinCounts(resumption.from!, now)).toEqual({
      promptTokens: 10,
      cachedTokens: 10,
      completionTokens: 7,
      reasoningTokens: 1,
      final: true,
    });
  });

  test('an engine that tells no counts leaves a guess, which says so', () => {
    const resumption = Resumption.of(request(), false)!;
    resumption.transcript.add(chunk({ role: 'assistant', content: '' }), null, 0);
    for (const word of ['a', 'b', 'c']) resumption.transcript.add(chunk({ content: word }), null, 0);
    expect(resumption.after('cut', NO_COUNTS, 50)).toBe(true);
    expect(joinCounts(resumption.from!, counts(2))).toMatchObject({
      promptTokens: 7,
      completionTokens: 5,
      isGuess: true,
    });
  });

  test('text that stop strings hold back is not billed twice', () => {
    const resumption = Resumption.of(request({ sampling: { stop: ['END', '.'] } }), false)!;
    given(resumption, 'Hello there', 6);
    resumption.after('cut', counts(6), 50);
    expect(resumption.from).toMatchObject({ givenTokens: 6, billedTokens: 4 });
    expect(resumption.unbilledTokens).toBe(2);
  });

  test.each([
    ['a document', request({ structured: {} as never }), false],
    ['a checked form', request(), true],
    ['log probabilities', request({ sampling: { logprobs: true } }), false],
    ['tools', request({ tools: [], toolChoice: 'auto' }), false],
  ])('%s: only while nothing was said', (_name, asked, hasForm) => {
    const fresh = Resumption.of(asked, hasForm)!;
    fresh.transcript.add(chunk({ role: 'assistant', content: '' }), 0, 0);
    expect(fresh.after('cut', counts(1), 50)).toBe(true);
    expect(fresh.from).toMatchObject({ message: '', givenTokens: 0 });
    const begun = Resumption.of(asked, hasForm)!;
    given(begun, '{', 1);
    expect(begun.after('cut', counts(1), 50)).toBe(false);
  });

  test('not for several choices, not for what the router decided, not beyond the limit, not for ever', () => {
    expect(Resumption.of(request({ choices: 2 }), false)).toBeNull();
    for (const reason of ['drained', 'hold_lost', 'total_timeout', 'invalid_output', 'runaway'] as const) {
      expect(Resumption.of(request(), false)!.after(reason, counts(0), 50)).toBe(false);
    }
    const full = Resumption.of(request(), false)!;
    given(full, 'x', 50);
    expect(full.after('cut', counts(50), 50)).toBe(false);
    const unlucky = Resumption.of(request(), false)!;
    given(unlucky, 'x', 1);
    const tries = Array.from({ length: 7 }, () => unlucky.after('cut', counts(1), 50));
    expect(tries).toEqual([true, true, true, true, true, false, false]);
  });
});

test("the rest's chunks look like the first's: no second role, the same time stamp, counts of the whole", () => {
  const resumption = Resumption.of(request(), false)!;
  resumption.transcript.add(chunk({ content: 'Hello' }), 3, 0);
  resumption.after('cut', { ...NO_COUNTS, promptTokens: 10, completionTokens: 3 }, 50);
  const from = resumption.from!;
  const whole = { ...NO_COUNTS, promptTokens: 10, completionTokens: 5 };
  expect(rewriteResumed(chunk({ role: 'assistant', content: '' }, 99), from, whole)).toBeNull();
  expect(rewriteResumed(chunk({ content: ' you' }, 99), from, whole)).toBe(chunk({ content: ' you' }));
  expect(rewriteResumed(chunk({ role: 'assistant', content: ' you' }, 99), from, whole)).toBe(
    chunk({ content: ' you' }),
  );
  const counted = chunk({ content: 'x' }, 99).replace(
    '}\n\n',
    ',"usage":{"prompt_tokens":13,"completion_tokens":2}}\n\n',
  );
  expect(rewriteResumed(counted, from, whole)).toContain(
    '"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15',
  );
});
