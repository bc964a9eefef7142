import { describe, expect, test } from '@jest/globals';
import { lint } from './lint.ts';
import { Lru } from './lru.ts';
import { StructuredAnswer } from './outcome.ts';
import { checkChoice, checkObject, checkRegex, compileCheck } from './validate.ts';
import { WhitespaceGuard } from './whitespace.ts';

const check = (schema: unknown) => compileCheck(lint(schema, JSON.stringify(schema)).schema);

describe('finished documents', () => {
  test.each([
    ['not JSON', '{"a":', { keyword: 'json', pointer: '' }],
    ['a key twice', '{"o":[{"a":1,"\\u0061":2}]}', { keyword: 'duplicate key', pointer: '/o/0/a' }],
    ['a number beyond the largest', '{"o":[{"a":7},{"a":1e999}]}', { keyword: 'number', pointer: '/o/1/a' }],
    ['a breach of the schema', '{"n":"x"}', { keyword: 'type', pointer: '/n' }],
  ])('%s is caught and pointed at', (_, text, violation) => {
    expect(check({ properties: { n: { type: 'number' } } })(text)).toMatchObject(violation);
  });

  test('a valid one passes, with strings that hold braces, quotes and escapes', () => {
    expect(check({ type: 'object' })('{"a\\"{":"}],\\\\","b":[{"a":1},{"a":-1.5e3}],"c":{"a":{}}}')).toBeUndefined();
  });

  test('uniqueItems compares by value, not by spelling', () => {
    const unique = check({ uniqueItems: true });
    expect(unique('[{"a":1,"b":2},{"b":2,"a":1.0}]')).toMatchObject({ keyword: 'uniqueItems' });
    expect(unique('[1,"1",[1],{"a":1}]')).toBeUndefined();
  });

  test('multipleOf takes what decimals mean', () => {
    expect(check({ multipleOf: 0.01 })('0.07')).toBeUndefined();
    expect(check({ multipleOf: 0.01 })('0.075')).toMatchObject({ keyword: 'multipleOf' });
  });

  test('schemas with the same $id do not meet', () => {
    const a = check({ $id: 'https://example.com/s', type: 'string' });
    const b = check({ $id: 'https://example.com/s', type: 'integer' });
    expect([a('"x"'), b('1')]).toEqual([undefined, undefined]);
  });

  test('other forms of answer', () => {
    expect(checkObject('[]')).toMatchObject({ keyword: 'type' });
    expect(checkObject(' {"a":1}')).toBeUndefined();
    expect(checkChoice(['a', 'b'])('c')).toMatchObject({ keyword: 'choice' });
    expect(checkRegex('a|b')('ab')).toMatchObject({ keyword: 'regex' });
    expect(checkRegex('a|b')('b')).toBeUndefined();
  });
});

describe('a structured answer', () => {
  const answer = (text: string, reason: string | null, stop: unknown) => {
    const each = new StructuredAnswer(check({ type: 'object', required: ['a'] }), true);
    for (const char of text) each.push(char);
    return each.finish(reason, stop).kind;
  };

  test.each([
    ['{"a":1}', 'stop', null, 'complete'],
    ['{"a":1}', 'stop', 151645, 'complete'],
    ['{"b":1}', 'stop', null, 'invalid'],
    ['{"a":', 'stop', null, 'invalid'],
    ['{"a":1}', 'length', null, 'cut'],
    ['{"a":1}', 'abort', null, 'cut'],
    ['{"a":1}', 'stop', '}', 'cut'],
    ['{"a":1}', null, null, 'cut'],
  ])('%s with finish %s and stop %s is %s', (text, reason, stop, kind) => {
    expect(answer(text, reason, stop)).toBe(kind);
  });

  test('is cancelled when it runs away in white space, wherever the chunks are cut', () => {
    const guard = new WhitespaceGuard(10);
    expect(guard.push(`{"a b": "${' '.repeat(50)}\\" ${' '.repeat(50)}"`)).toBe(false);
    expect([guard.push('     '), guard.push('\n\t  \r'), guard.push(' ')]).toEqual([false, false, true]);
  });
});

test('the cache of prepared schemas is bounded in count and in size, oldest use first', () => {
  const lru = new Lru<number>(3, 100);
  for (const key of ['a', 'b', 'c']) lru.set(key, 1, 10);
  lru.get('a');
  lru.set('d', 1, 10);
  expect(['a', 'b', 'c', 'd'].map((key) => lru.get(key))).toEqual([1, undefined, 1, 1]);
  lru.set('e', 1, 90);
  expect([lru.count, lru.get('e')]).toEqual([2, 1]);
  lru.set('f', 1, 101);
  expect(lru.count).toBe(0);
});
