import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { parsePartial } from './partial.ts';
import { validate } from './validate.ts';

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 2, maxLength: 10 },
    age: { type: 'integer', minimum: 0 },
    mood: { enum: ['calm', 'cross'] },
    tags: { type: 'array', items: { $ref: '#/$defs/tag' }, minItems: 1, maxItems: 2 },
  },
  required: ['name', 'age'],
  additionalProperties: false,
  $defs: { tag: { type: 'string', pattern: '^[a-z]+$' } },
};
const problems = (text: string, schema: unknown = person, final = true) =>
  validate(parsePartial(text, final).root!, schema).map(({ path, message }) => `${path}: ${message}`);

describe('checking a document against a schema', () => {
  test('names each problem with its place', () => {
    expect(problems('{"name":"Ann","age":3,"mood":"calm","tags":["a"]}')).toEqual([]);
    expect(problems('{"name":"A","age":-1,"mood":"glad","tags":["A","b","c"],"x":1}')).toEqual([
      '/name: must be at least 2 characters long',
      '/age: must be at least 0',
      '/mood: must be one of "calm", "cross"',
      '/tags/0: must match ^[a-z]+$',
      '/tags: must have at most 2 items',
      '/x: is not a property of the schema',
    ]);
    expect(problems('{}')).toEqual([': lacks the property "name"', ': lacks the property "age"']);
    expect(problems('[]')).toEqual([': must be object, is array']);
  });

  test('while it streams only what can no longer become right is a problem', () => {
    for (const text of ['{', '{"na', '{"name":"A', '{"name":"Ann","mood":"c', '{"name":"Ann","tags":[', '{"age":1.'])
      expect(problems(text, person, false)).toEqual([]);
    expect(problems('{"mood":"x', person, false)).toEqual(['/mood: must be one of "calm", "cross"']);
    expect(problems('{"name":"Bartholomew', person, false)).toEqual(['/name: must be at most 10 characters long']);
    expect(problems('{"name":1', person, false)).toEqual(['/name: must be string, is number']);
  });

  test('combinations and references, also those that go round', () => {
    const either = { oneOf: [{ type: 'string' }, { type: 'object', required: ['a'] }] };
    expect(problems('"x"', either)).toEqual([]);
    expect(problems('3', either)).toEqual([': fits none of the choices (oneOf)']);
    expect(problems('"x"', { not: { type: 'string' } })).toEqual([': is excluded (not)']);
    const list = { type: 'object', properties: { next: { $ref: '#' } }, additionalProperties: false };
    expect(problems('{"next":{"next":{"y":1}}}', list)).toEqual(['/next/next/y: is not a property of the schema']);
    expect(problems('1', { $ref: '#' })).toEqual([]);
  });

  test('a multiple is one as people count', () => {
    for (const [value, step] of [
      [0.3, 0.1],
      [1e21, 7.5],
      [0, 3],
      [-6, 3],
    ])
      expect(problems(String(value), { multipleOf: step })).toEqual([]);
    expect(problems('7', { multipleOf: 3 })).toEqual([': must be a multiple of 3']);
    expect(problems('5e-324', { multipleOf: 0.5 })).toEqual([': must be a multiple of 0.5']);
  });

  test('agrees with ajv about whole documents', () => {
    const ajv = new Ajv({ strict: false, allowUnionTypes: true });
    const leaf = fc.constantFrom<object>(
      { type: 'string', minLength: 1 },
      { type: 'integer', minimum: 3 },
      { type: ['number', 'null'], maximum: 7 },
      { type: 'boolean' },
      { enum: [1, 'a', null] },
      { const: { a: 1 } },
      {},
    );
    const schema = fc.letrec<{ any: object }>((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.record({ type: fc.constant('array'), items: tie('any'), maxItems: fc.nat(3) }),
        fc.record({
          type: fc.constant('object'),
          properties: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('any')),
          required: fc.subarray(['a', 'b']),
          additionalProperties: fc.boolean(),
        }),
        fc.record({ anyOf: fc.array(tie('any'), { minLength: 1, maxLength: 3 }) }),
      ),
    })).any;
    const document = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom<unknown>(1, 'a', null, true, [], 4, '')),
      fc.array(fc.constantFrom<unknown>(1, 'a', null, 3.5)),
    );
    fc.assert(
      fc.property(schema, document, (made, value) => {
        const text = JSON.stringify(value);
        expect(problems(text, made).length === 0).toBe(ajv.validate(made, JSON.parse(text)));
      }),
      { numRuns: 150 },
    );
  });
});
