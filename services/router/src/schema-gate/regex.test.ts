import { describe, expect, test } from '@jest/globals';
import { testSeed } from '@tollgate/shared/testkit/counts';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { FORMATS } from './formats.ts';
import { anyTextPattern, emitPattern, literalStrings } from './regex-emit.ts';
import { linearRegex } from './regex-linear.ts';
import { PatternError, parseRegex } from './regex-parse.ts';

const random = seededRandom(testSeed());

function randomPattern(depth: number): string {
  const kind = random.int(depth > 0 ? 8 : 2);
  if (kind === 0) return 'abc'[random.int(3)]!;
  if (kind === 1) return ['[ab]', '[^a-c]', '\\d', '.', '\\n', '["a]', '\\\\'][random.int(7)]!;
  if (kind <= 3) return randomPattern(depth - 1) + randomPattern(depth - 1);
  if (kind === 4) return `(${randomPattern(depth - 1)}|${randomPattern(depth - 1)})`;
  if (kind === 5) return ['^', '$', '\\b', '\\B'][random.int(4)]! + randomPattern(depth - 1);
  return `(${randomPattern(depth - 1)})${['?', '*', '+', '{2}', '{0,2}', '{1,3}', '{2,}'][random.int(7)]}`;
}

const randomText = () =>
  Array.from(
    { length: random.int(8) },
    () => ['a', 'b', 'c', 'd', '1', '"', '\\', '\n', ' ', 'é'][random.int(10)],
  ).join('');

describe('linear-time patterns', () => {
  test('agree with the language on random patterns and texts', () => {
    for (let round = 0; round < 400; round++) {
      const source = randomPattern(4);
      const native = new RegExp(source, 'u');
      const linear = linearRegex(source);
      for (let i = 0; i < 25; i++) {
        const text = randomText();
        expect({ source, text, matches: linear.test(text) }).toEqual({ source, text, matches: native.test(text) });
      }
    }
  });

  test('count code points, not halves of them', () => {
    const { test: matches } = linearRegex('^.{2}$');
    expect(['😀a', '😀', 'é1', 'abc'].map(matches)).toEqual([true, false, true, false]);
  });

  test('read lookaheads that follow a leading ^', () => {
    const { test: matches } = linearRegex('^(?=.*\\d)(?!.*x)[a-z0-9]{3,8}$');
    expect(['ab1', 'abc', 'ab1x', 'a1', '1bcdefgh'].map(matches)).toEqual([true, false, false, false, true]);
  });

  test('end on a pattern and a text that would keep a backtracking engine busy for ever', () => {
    expect(linearRegex('^(a+)+$').test(`${'a'.repeat(20_000)}!`)).toBe(false);
    expect(linearRegex('^(a|a)*b$').test('a'.repeat(20_000))).toBe(false);
  });

  test.each([
    ['(a)\\1', 'a back-reference'],
    ['(?<=a)b', 'a lookbehind'],
    ['a(?=b)', 'a lookahead that does not directly follow a leading "^"'],
    ['[a-', 'an unclosed "["'],
    ['(a', 'an unclosed "("'],
    ['*a', 'a quantifier with nothing before it'],
    ['((a{1,1000}){1,1000}){1,1000}', 'a repetition that is too large'],
  ])('refuse %s by name', (source, construct) => {
    expect(() => linearRegex(source)).toThrow(new PatternError(construct));
  });
});

describe('patterns for the engine', () => {
  const options = { minLength: 0, maxLength: Number.POSITIVE_INFINITY, asciiClassesOnly: false };
  const emit = (source: string, more: Partial<typeof options> = {}) =>
    emitPattern(parseRegex(source), { ...options, ...more });

  test('say what an unanchored pattern means to an engine that anchors all', () => {
    const any = '(?:[^\\x00-\\x1F"\\\\]|\\\\["\\\\bfnrt])';
    expect(emit('b').pattern).toBe(`^${any}*b${any}*$`);
    expect(emit('^a|b$').pattern).toBe(`^(?:a${any}*|${any}*b)$`);
  });

  test('write quotes and backslashes as JSON escapes', () => {
    expect(emit('^"\\\\$').pattern).toBe('^(?:\\\\")(?:\\\\\\\\)$');
  });

  test('never use "?" after a group, which XGrammar 0.2.8 misreads', () => {
    expect(emit('^(ab*)?c$').pattern).toBe('^(?:ab*){0,1}c$');
  });

  test('fold a length in where one run of single characters varies', () => {
    expect(emit('^x-[ab]+$', { minLength: 4, maxLength: 6 })).toMatchObject({
      pattern: '^x\\-[ab]{2,4}$',
      lengthExact: true,
    });
    expect(emit('^(ab|c)+$', { maxLength: 6 })).toMatchObject({ lengthExact: false });
  });

  test('list fixed strings', () => {
    expect(literalStrings(parseRegex('^(red|gr(e|a)y)$'))).toEqual(['red', 'grey', 'gray']);
    expect(literalStrings(parseRegex('^a+$'))).toBeUndefined();
  });

  test('bound a text by its length', () => {
    expect(anyTextPattern(2, 5)).toBe('^(?:[^\\x00-\\x1F"\\\\]|\\\\["\\\\bfnrt]){2,5}$');
  });
});

test('every known format is one that ajv-formats checks', () => {
  for (const name of FORMATS.keys()) expect(Object.keys(fullFormats)).toContain(name);
});
