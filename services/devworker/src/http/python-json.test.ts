import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { JsonDecodeError, JsonTooDeepError, parsePythonJson, stringifyExact } from './python-json.ts';

describe("Python's JSON", () => {
  test('reads what JSON.parse reads, the same', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        // Integers beyond 2^53 are exact here; written out and read by JSON.parse they must be its numbers.
        const same = (value: unknown) => JSON.parse(stringifyExact(value)) as unknown;
        expect(same(parsePythonJson(text))).toEqual(JSON.parse(text));
        // A word that only Python knows sends everything through the other parser.
        expect(same((parsePythonJson(`[NaN, ${text}]`) as unknown[])[1])).toEqual(JSON.parse(text));
      }),
    );
  });

  test('keeps big integers, reads NaN and Infinity, the last of two equal keys wins', () => {
    expect(parsePythonJson('[9223372036854775808, 1e999, -Infinity]')).toEqual([
      9_223_372_036_854_775_808n,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
    expect(parsePythonJson('{"a":1,"a":2}')).toEqual({ a: 2 });
  });

  test.each([
    ['{"model": "x", ', 15, 'Expecting property name enclosed in double quotes'],
    ['{"a": ', 6, 'Expecting value'],
    ['{"a" 1}', 5, "Expecting ':' delimiter"],
    ['[1 2]', 3, "Expecting ',' delimiter"],
    ['"abc', 0, 'Unterminated string starting at'],
    ['1 x', 2, 'Extra data'],
  ])('says what is wrong with %s', (text, position, message) => {
    expect(() => parsePythonJson(text)).toThrow(message);
    try {
      parsePythonJson(text);
    } catch (error) {
      expect((error as JsonDecodeError).position).toBe(position);
      expect(error).toBeInstanceOf(JsonDecodeError);
    }
  });

  test('gives up where the recursion limit is', () => {
    expect(() => parsePythonJson('['.repeat(20_000) + ']'.repeat(20_000))).toThrow(JsonTooDeepError);
    expect(parsePythonJson('['.repeat(900) + ']'.repeat(900))).toBeDefined();
  });

  test('__proto__ is a key like any other', () => {
    const parsed = parsePythonJson('[NaN, {"__proto__": {"polluted": 1}}]') as unknown[];
    expect(Object.keys(parsed[1] as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
