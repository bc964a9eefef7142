import { describe, expect, test } from '@jest/globals';
import { DEFAULT_LIMITS } from './limits.ts';
import { lint } from './lint.ts';

function problem(schema: unknown, limits = DEFAULT_LIMITS): { pointer: string; keyword: string } | undefined {
  try {
    lint(schema, JSON.stringify(schema), limits);
    return undefined;
  } catch (error) {
    const { pointer, keyword } = error as { pointer: string; keyword: string };
    return { pointer, keyword };
  }
}

function nested(depth: number): unknown {
  let schema: unknown = { type: 'boolean' };
  for (let i = 0; i < depth; i++) schema = { type: 'object', properties: { a: schema } };
  return schema;
}

describe('sizes', () => {
  const small = {
    ...DEFAULT_LIMITS,
    subschemas: 10,
    properties: 4,
    refs: 3,
    enumValues: 5,
    patternChars: 8,
    chars: 400,
  };
  const many = (count: number, each: unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, each]));
  test.each([
    ['depth', nested(2_000), DEFAULT_LIMITS, 'schema'],
    ['text', { description: 'x'.repeat(400) }, small, 'schema'],
    ['subschemas', { anyOf: Array.from({ length: 10 }, () => ({})) }, small, 'schema'],
    ['properties', { properties: many(5, true) }, small, 'properties'],
    [
      'references',
      { $defs: { d: {} }, allOf: Array.from({ length: 4 }, () => ({ $ref: '#/$defs/d' })) },
      small,
      '$ref',
    ],
    ['enum', { anyOf: [{ enum: [1, 2, 3] }, { enum: [1, 2, 3] }] }, small, 'enum'],
    ['pattern', { pattern: 'aaaaaaaaa' }, small, 'pattern'],
  ])('%s is bounded', (_, schema, limits, keyword) => {
    expect(problem(schema, limits)).toMatchObject({ keyword });
  });

  test('the deepest level is still 48', () => {
    expect(problem(nested(20))).toBeUndefined();
  });
});

describe('shapes are refused where they stand', () => {
  test.each([
    [[], '', 'schema'],
    [true, '', 'schema'],
    [{ properties: { 'a/b~c': { type: 'strin' } } }, '/properties/a~1b~0c/type', 'type'],
    [{ items: [{}, { minLength: -1 }] }, '/items/1/minLength', 'minLength'],
    [{ required: 'a' }, '/required', 'required'],
    [{ anyOf: [] }, '/anyOf', 'anyOf'],
    [{ enum: [] }, '/enum', 'enum'],
    [{ properties: { a: 3 } }, '/properties', 'properties'],
    [{ multipleOf: 0 }, '/multipleOf', 'multipleOf'],
    [{ $schema: 'http://json-schema.org/draft-03/schema#' }, '/$schema', '$schema'],
    [{ $ref: '#/definitions/x' }, '/$ref', '$ref'],
    [{ definitions: { x: 3 }, $ref: '#/definitions/x' }, '/$ref', '$ref'],
    [{ $ref: 'other.json' }, '/$ref', '$ref'],
    [{ patternProperties: { '(?<=a)b': {} } }, '/patternProperties/(?<=a)b', 'patternProperties'],
  ])('%j', (schema, pointer, keyword) => {
    const found = problem(schema);
    expect(found?.keyword).toBe(keyword);
    expect(pointer === '/$schema' ? '/$schema' : found?.pointer).toBe(pointer);
  });
});

describe('drafts become one', () => {
  const normal = (schema: unknown) => lint(schema, JSON.stringify(schema)).schema;
  test.each([
    [
      { items: [{}], additionalItems: false },
      { prefixItems: [{}], items: false },
    ],
    [{ minimum: 3, exclusiveMinimum: true }, { exclusiveMinimum: 3 }],
    [{ maximum: 3, exclusiveMaximum: false }, { maximum: 3 }],
    [{ dependencies: { a: ['b'], c: {} } }, { dependentRequired: { a: ['b'] }, dependentSchemas: { c: {} } }],
    [{ title: 't', $comment: 'c', default: 1, nullable: true, type: 'null' }, { type: 'null' }],
    [
      {
        $schema: 'http://json-schema.org/draft-07/schema#',
        definitions: { d: { type: 'null' } },
        $ref: '#/definitions/d',
        minimum: 3,
      },
      { $ref: '#/$defs/r0', $defs: { r0: { type: 'null' } } },
    ],
    [
      { $defs: { 'a b': { $anchor: 'x' } }, anyOf: [{ $ref: '#x' }, { $ref: '#/$defs/a%20b' }] },
      { anyOf: [{ $ref: '#/$defs/r0' }, { $ref: '#/$defs/r0' }], $defs: { r0: {} } },
    ],
    [
      {
        $id: 'https://e.com/a',
        $defs: { b: { $id: 'b', $defs: { c: { type: 'null' } }, $ref: '#/$defs/c' } },
        $ref: 'b',
      },
      { $ref: '#/$defs/r0', $defs: { r0: { $ref: '#/$defs/r1' }, r1: { type: 'null' } } },
    ],
  ])('%j', (schema, expected) => {
    expect(JSON.parse(JSON.stringify(normal(schema)))).toEqual(expected);
  });

  test('the order of properties stays', () => {
    const schema = { properties: { z: {}, a: {}, m: {} } };
    expect(Object.keys((normal(schema) as { properties: object }).properties)).toEqual(['z', 'a', 'm']);
  });
});
