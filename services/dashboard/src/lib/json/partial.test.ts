import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parsePartial, plainValue } from './partial.ts';

const RUNS = 150;

describe('reading JSON that may stop anywhere', () => {
  test('agrees with JSON.parse on whole documents', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const { root, error } = parsePartial(text, true);
        expect(error).toBeNull();
        expect(JSON.stringify(plainValue(root!))).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: RUNS },
    );
  });

  test('every beginning of a document is a beginning, never an error', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, cut) => {
        expect(parsePartial(text.slice(0, cut % (text.length + 1))).error).toBeNull();
      }),
      { numRuns: RUNS },
    );
  });

  test('says at which place it breaks', () => {
    expect(parsePartial('{"a": 1,}').error).toEqual({
      message: 'a property name in double quotes must come here',
      at: 8,
    });
    expect(parsePartial('[1 2]').error?.at).toBe(3);
    expect(parsePartial('{"a": tru}').error?.at).toBe(6);
    expect(parsePartial('{} x').error?.at).toBe(3);
    expect(parsePartial('"a\nb"').error?.at).toBe(2);
    expect(parsePartial('"\\x"').error?.at).toBe(1);
    expect(parsePartial('01').error).not.toBeNull();
    expect(parsePartial('['.repeat(400)).error?.message).toContain('deeper');
  });

  test('what has not ended is marked', () => {
    const { root } = parsePartial('{"name": "Vie');
    expect(root?.done).toBe(false);
    expect(plainValue(root!)).toEqual({ name: 'Vie' });
    expect(parsePartial('12').root?.done).toBe(false);
    expect(parsePartial('12', true).root?.done).toBe(true);
    expect(parsePartial('{"a": 1', true).error?.message).toContain('ends before');
    expect(parsePartial('', true).error?.message).toBe('empty');
  });
});
