import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { defaultTokenizer, SPECIAL_TOKENS, TOKEN } from './bpe.ts';
import { answerWriter } from './language.ts';

const tokenizer = defaultTokenizer();

describe('the tokenizer', () => {
  test('gives back every text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        expect(tokenizer.decode(tokenizer.encodePlain(text))).toBe(text);
      }),
    );
  });

  test('a blob without a break is encoded in time, and comes back', () => {
    const blob = Buffer.from(Array.from({ length: 60_000 }, (_, i) => (i * 7919) % 256))
      .toString('base64')
      .replaceAll(/[^a-z]/gi, 'x');
    expect(tokenizer.decode(tokenizer.encode(blob))).toBe(blob);
    const pairs = '\u{10400}'.repeat(500);
    expect(tokenizer.decode(tokenizer.encode(pairs))).toBe(pairs);
  });

  test('special tokens written out in a text become one id each, plainly spelled ones do not', () => {
    const text = SPECIAL_TOKENS.join('x');
    expect(tokenizer.encode(text).filter((id) => id < SPECIAL_TOKENS.length)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(tokenizer.encodePlain('<tool_call>').includes(TOKEN.toolCall)).toBe(false);
  });

  test('bytes are not tokens: English takes about four characters a token', () => {
    const writer = answerWriter(1, []);
    let text = '';
    for (let i = 0; i < 50; i++) text += writer.next() ?? '';
    const charsPerToken = text.length / tokenizer.encode(text).length;
    expect(charsPerToken).toBeGreaterThan(3);
    expect(charsPerToken).toBeLessThan(6);
  });

  test('single characters have the ids of the byte alphabet (so has the recorded tokenizer)', () => {
    expect(tokenizer.encode('~')).toEqual([100]);
    expect(tokenizer.encode('D')).toEqual([42]);
  });
});
