import { describe, expect, test } from '@jest/globals';
import { choiceIn, compactSearch, listIn, numberIn, queryText, textIn, timeIn } from './search.ts';

describe('filters in the address', () => {
  test('what is not understood is dropped', () => {
    expect(textIn({ q: '  a ' }, 'q')).toBe('a');
    expect(textIn({ q: { $gt: 1 } }, 'q')).toBeUndefined();
    expect(textIn({ q: 'x'.repeat(300) }, 'q')).toBeUndefined();
    expect(choiceIn({ by: 'day' }, 'by', ['hour', 'day'])).toBe('day');
    expect(choiceIn({ by: 'year' }, 'by', ['hour', 'day'])).toBeUndefined();
    expect(numberIn({ n: '12' }, 'n', 0, 100)).toBe(12);
    expect(numberIn({ n: '1e9' }, 'n', 0, 100)).toBeUndefined();
    expect(numberIn({ n: '' }, 'n', 0, 100)).toBeUndefined();
    expect(timeIn({ from: '2026-11-21' }, 'from')).toBe('2026-11-21T00:00:00.000Z');
    expect(timeIn({ from: 'yesterday' }, 'from')).toBeUndefined();
  });

  test('lists come in both forms, without repeats', () => {
    expect(listIn({ m: ['a', 'b', 'a', ''] }, 'm')).toEqual(['a', 'b']);
    expect(listIn({ m: 'a' }, 'm')).toEqual(['a']);
    expect(listIn({ m: [] }, 'm')).toBeUndefined();
    expect(listIn({}, 'm')).toBeUndefined();
  });

  test('addresses and queries hold only what is set', () => {
    expect(compactSearch({ a: undefined, b: 1 })).toEqual({ b: 1 });
    expect(queryText({ a: undefined, m: ['x', 'y z'], n: 0, e: '' })).toBe('?m=x&m=y+z&n=0');
    expect(queryText({})).toBe('');
  });
});
