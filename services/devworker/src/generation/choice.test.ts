import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { defaultTokenizer } from '../model/bpe.ts';
import { createChoice, openTail } from './choice.ts';
import { type Job, PLAIN_JOB } from './job.ts';
import { createPlan } from './plan.ts';

const tokenizer = defaultTokenizer();

function runChoice(job: Partial<Job>, text?: string) {
  const full: Job = { ...PLAIN_JOB, promptIds: [1, 2, 3], promptText: 'hello', maxTokens: 500, ...job };
  const plan = createPlan(tokenizer, full, full.seed ?? 1, text === undefined ? undefined : { text, complete: true });
  const choice = createChoice(tokenizer, full, 0, plan);
  const deltas: string[] = [];
  while (choice.finish === undefined) {
    choice.step();
    deltas.push(choice.deltaContent);
  }
  return { choice, deltas };
}

describe('a choice', () => {
  test('its deltas add up to its content, whatever characters it is made of', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), (text) => {
        const { choice, deltas } = runChoice({}, text);
        expect(deltas.join('')).toBe(choice.content);
        expect(choice.content).toBe(text);
        for (const delta of deltas) expect(delta).not.toContain('\uFFFD');
      }),
    );
  });

  test('a stop string is never seen, not even its beginning', () => {
    const { choice, deltas } = runChoice({ stop: ['gold'] }, 'a goblet of gold and more');
    expect(choice).toMatchObject({ content: 'a goblet of ', finish: 'stop', stopReason: 'gold' });
    expect(deltas.join('')).toBe('a goblet of ');
  });

  test('max_tokens ends it with length, min_tokens keeps it going, ignore_eos never stops by itself', () => {
    expect(runChoice({ maxTokens: 7 }).choice).toMatchObject({ count: 7, finish: 'length' });
    expect(runChoice({ minTokens: 300 }).choice.count).toBeGreaterThanOrEqual(300);
    expect(runChoice({ ignoreEos: true, maxTokens: 450 }).choice).toMatchObject({ count: 450, finish: 'length' });
  });

  test('a thought comes first and is told apart', () => {
    const { choice } = runChoice({ thinking: true });
    expect(choice.reasoning).toMatch(/^Let me think\. /);
    expect(choice.content).toMatch(/\.$/);
    expect(choice.finish).toBe('stop');
    expect(choice.reasoningTokens).toBeLessThan(choice.count);
  });

  test('a repeating answer is cut when asked', () => {
    const bias = new Map([[100, 100]]);
    const rule = { maxPatternSize: 3, minPatternSize: 1, minCount: 4 };
    expect(runChoice({ logitBias: bias, repetition: rule }).choice).toMatchObject({
      content: '~~~~',
      finish: 'repetition',
      stopReason: 'repetition_detected',
    });
  });
});

test('an open tail is the beginning of a character and nothing else', () => {
  // The mark of a broken character is a character too: a text that has it says nothing here.
  const texts = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }).filter((text) => !text.includes('\uFFFD'));
  fc.assert(
    fc.property(texts, fc.nat(40), (text, cut) => {
      const bytes = Buffer.from(text);
      const part = bytes.subarray(0, Math.min(cut, bytes.length));
      const whole = part.subarray(0, part.length - openTail(part));
      expect(text.startsWith(whole.toString('utf8'))).toBe(true);
      expect(whole.toString('utf8')).not.toContain('\uFFFD');
    }),
  );
});
