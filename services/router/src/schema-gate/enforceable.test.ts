import { describe, expect, test } from '@jest/globals';
import { VLLM } from './dialect.ts';
import { enforceable } from './enforceable.ts';
import { lint } from './lint.ts';

const engine = (schema: unknown) => enforceable(lint(schema, JSON.stringify(schema)), VLLM);
const plain = (schema: unknown) => JSON.parse(JSON.stringify(engine(schema).schema));
const named = (count: number, each: (index: number) => unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, each(index)]));

describe('the schema for the engine', () => {
  test('keeps the order of properties and closes objects that declare some', () => {
    const made = plain({ properties: { z: { type: 'null' }, a: { type: 'null' } }, required: ['z'] });
    expect(made).toEqual({
      type: 'object',
      properties: { z: { type: 'null' }, a: { type: 'null' } },
      required: ['z'],
      additionalProperties: false,
    });
    expect(Object.keys(made.properties)).toEqual(['z', 'a']);
  });

  test('joins what stands beside anyOf, $ref and allOf, since engines forget it', () => {
    const made = plain({
      $defs: { small: { type: 'integer', maximum: 9 } },
      type: 'object',
      properties: {
        n: { $ref: '#/$defs/small', minimum: 5 },
        m: { allOf: [{ type: 'integer' }, { minimum: 1, maximum: 2 }] },
      },
      anyOf: [{ required: ['n'] }, { required: ['m'] }],
    });
    const properties = {
      n: { type: 'integer', minimum: 5, maximum: 9 },
      m: { type: 'integer', minimum: 1, maximum: 2 },
    };
    const branch = (name: string) => ({ type: 'object', properties, required: [name], additionalProperties: false });
    expect(made).toEqual({ anyOf: [branch('n'), branch('m')] });
  });

  test('declares what is required and not declared, and leaves out what may not be there', () => {
    expect(plain({ properties: { a: false }, required: ['b'], additionalProperties: { type: 'null' } })).toEqual({
      type: 'object',
      properties: { b: { type: 'null' } },
      required: ['b'],
      additionalProperties: { type: 'null' },
    });
  });

  test('drops branches and optional properties that nothing can satisfy, and endless ones', () => {
    const schema = {
      $defs: { endless: { type: 'object', properties: { e: { $ref: '#/$defs/endless' } }, required: ['e'] } },
      properties: { a: { anyOf: [{ $ref: '#/$defs/endless' }, { type: 'null' }] }, b: { $ref: '#/$defs/endless' } },
      required: ['a'],
    };
    expect(plain(schema).properties).toEqual({ a: { type: 'null' } });
  });

  test('names every keyword that the engine is not told', () => {
    const { findings } = engine({
      type: 'array',
      items: { type: 'integer', not: { const: 1 } },
      uniqueItems: true,
      contains: {},
    });
    expect(findings.filter(({ how }) => how === 'dropped').map(({ pointer }) => pointer)).toEqual([
      '/contains',
      '/items/not',
      '/uniqueItems',
    ]);
  });
});

describe('schemas made to cost more than they are worth are refused or cut, not worked through', () => {
  const refs = (count: number) => ({
    $defs: named(count, (i) => ({
      properties: named(6, (j) => ({ $ref: `#/$defs/p${(i * 7 + j * 3) % count}` })),
      allOf: [{ $ref: `#/$defs/p${(i + 1) % count}` }],
    })),
    $ref: '#/$defs/p0',
  });
  const doubling = {
    $defs: {
      ...named(40, (i) => ({ allOf: [{ $ref: `#/$defs/p${i + 1}` }, { $ref: `#/$defs/p${i + 1}` }] })),
      p40: { type: 'object', required: ['a'] },
    },
    $ref: '#/$defs/p0',
  };
  const patterns = { properties: named(60, (i) => ({ pattern: `^(a|b${i}){1,900}(c|d){1,900}x$` })) };
  test.each([
    ['references in a ring', refs(60)],
    ['references that double', doubling],
    ['patterns', patterns],
  ])('%s', (_, schema) => {
    expect(() => engine(schema)).toThrow(/too (many|large)/);
  });

  test('a product of many anyOf is left to the check after', () => {
    const schema = { allOf: Array.from({ length: 40 }, () => ({ anyOf: [{ minimum: 1 }, { maxLength: 3 }] })) };
    expect(engine(schema).findings).toContainEqual(expect.objectContaining({ keyword: 'allOf', how: 'dropped' }));
  });
});
