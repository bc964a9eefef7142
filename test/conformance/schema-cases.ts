import { DRAFT_CASES } from './schema-cases-drafts.ts';

/**
 * One schema per keyword of JSON Schema (and per way in which engines were seen to treat it), with what the gate must say of it for
 * the pinned engine (XGrammar 0.2): `enforced` by the engine alone, `after` (sent without it, checked after), or refused by name.
 * Under dottxt what is `dropped` is refused instead.
 */
export interface SchemaCase {
  keyword: string;
  schema: Record<string, unknown>;
  openai: 'enforced' | 'after' | { refused: string; keyword: string };
  /** As under openai when absent. */
  dottxt?: { refused: string; keyword: string };
  /** The devworker's XGrammar 0.1 has a gap here that the pinned engine does not have. */
  loose01?: true;
}

const at = (refused: string, keyword: string) => ({ refused, keyword });
const inObject = (a: unknown, more: Record<string, unknown> = {}) => ({
  type: 'object',
  properties: { a },
  required: ['a'],
  additionalProperties: false,
  ...more,
});
const one = (keyword: string, a: unknown, rest: Partial<SchemaCase> = {}): SchemaCase => ({
  keyword,
  schema: inObject(a),
  openai: 'enforced',
  ...rest,
});
const dropped = (keyword: string, a: unknown, pointer = `/properties/a/${keyword}`, name = keyword): SchemaCase =>
  one(keyword, a, { openai: 'after', dottxt: at(pointer, name) });

const TREE = {
  $defs: {
    t: {
      type: 'object',
      properties: { v: { type: 'boolean' }, next: { anyOf: [{ $ref: '#/$defs/t' }, { type: 'null' }] } },
      required: ['v', 'next'],
      additionalProperties: false,
    },
  },
  $ref: '#/$defs/t',
};

export const SCHEMA_CASES: readonly SchemaCase[] = [
  one('type: boolean', { type: 'boolean' }),
  one('type: null', { type: 'null' }),
  one('type: string', { type: 'string' }),
  one('type: integer, bounded by the gate', { type: 'integer' }),
  one('type: number, may overflow', { type: 'number' }, { openai: 'after' }),
  one('type: a list', { type: ['boolean', 'null'] }),
  one('type: a list, each with its own keywords', {
    type: ['string', 'integer'],
    minLength: 2,
    minimum: 0,
    maximum: 3,
  }),
  one('type: unknown', { type: 'banana' }, { openai: at('/properties/a/type', 'type') }),
  one('enum', { enum: ['red', 'green', 3, null] }),
  one('enum with values that the type beside it excludes', { type: 'string', enum: ['a', 1, null] }),
  one('enum whose values begin alike', { enum: ['abbd', 'c', 'ceaa', 'cab'] }, { loose01: true }),
  one('enum: empty', { enum: [] }, { openai: at('/properties/a/enum', 'enum') }),
  one('const', { const: { k: [1, 2] } }),
  one('minimum, maximum of an integer', { type: 'integer', minimum: -3, maximum: 12 }),
  one('minimum of an integer, fraction', { type: 'integer', minimum: 1.5, maximum: 3.5 }),
  one('minimum, maximum of a number', { type: 'number', minimum: 0, maximum: 1 }, { loose01: true }),
  one('minimum finer than the engine', { type: 'number', minimum: 1e-9, maximum: 2e-9 }, { openai: 'after' }),
  one('minimum without a type', { minimum: 3, maximum: 5 }, { loose01: true }),
  one('exclusiveMinimum, exclusiveMaximum', { type: 'integer', exclusiveMinimum: 3, exclusiveMaximum: 6 }),
  one('exclusiveMinimum: true (draft 4)', { type: 'integer', minimum: 3, exclusiveMinimum: true, maximum: 5 }),
  one('minimum above maximum', { type: 'integer', minimum: 5, maximum: 1 }, { openai: at('', 'schema') }),
  one('multipleOf, few values', { type: 'integer', multipleOf: 5, minimum: 0, maximum: 50 }, { loose01: true }),
  one('multipleOf: 1', { type: 'number', multipleOf: 1 }),
  dropped('multipleOf', { type: 'integer', multipleOf: 37 }),
  dropped('multipleOf', { type: 'number', multipleOf: 0.01, minimum: 0, maximum: 9 }),
  one('minLength, maxLength', { type: 'string', minLength: 2, maxLength: 9 }),
  one('minLength without a type', { minLength: 2 }),
  one('minLength above maxLength', { type: 'string', minLength: 9, maxLength: 2 }, { openai: at('', 'schema') }),
  one('pattern', { type: 'string', pattern: '^[a-c]{3}-[0-9]{2}$' }),
  one('pattern, not anchored', { type: 'string', pattern: 'b' }),
  one('pattern, one side of each branch anchored', { type: 'string', pattern: '^a|b$' }),
  one('pattern, a list of words', { type: 'string', pattern: '^(red|green|blue)$' }),
  one('pattern with a quote', { type: 'string', pattern: '^[^a]"\\\\$' }),
  one('pattern with a length, folded in', { type: 'string', pattern: '^[ab]+$', maxLength: 4 }),
  dropped('maxLength', { type: 'string', pattern: '^(ab|c)+$', maxLength: 4 }),
  dropped('pattern', { type: 'string', pattern: '^(?=.*[0-9]).{3,8}$' }),
  dropped('pattern', { type: 'string', pattern: '\\bword\\b' }),
  one(
    'pattern: lookbehind',
    { type: 'string', pattern: '(?<=a)b' },
    { openai: at('/properties/a/pattern', 'pattern') },
  ),
  one(
    'pattern: back-reference',
    { type: 'string', pattern: '(a)\\1' },
    { openai: at('/properties/a/pattern', 'pattern') },
  ),
  one('pattern: not one', { type: 'string', pattern: '[a-' }, { openai: at('/properties/a/pattern', 'pattern') }),
  ...[
    'date',
    'time',
    'date-time',
    'duration',
    'email',
    'hostname',
    'ipv4',
    'ipv6',
    'uuid',
    'uri',
    'uri-reference',
    'uri-template',
    'json-pointer',
    'relative-json-pointer',
  ].map((format) => one(`format: ${format}`, { type: 'string', format })),
  one('format: unknown, an annotation', { type: 'string', format: 'banana' }),
  dropped('format', { type: 'string', format: 'date', pattern: '^2' }),
  one('items', { type: 'array', items: { type: 'boolean' } }),
  one('minItems, maxItems', { type: 'array', items: { type: 'boolean' }, minItems: 1, maxItems: 3 }),
  one('prefixItems', { type: 'array', prefixItems: [{ const: 1 }, { type: 'boolean' }] }),
  one('items: a list (draft 7)', { type: 'array', items: [{ const: 1 }, { type: 'boolean' }], additionalItems: false }),
  one('items: false', { type: 'array', items: false }),
  dropped('uniqueItems', { type: 'array', items: { type: 'boolean' }, uniqueItems: true, maxItems: 3 }),
  one('uniqueItems, at most one item', { type: 'array', items: { type: 'boolean' }, uniqueItems: true, maxItems: 1 }),
  dropped('contains', { type: 'array', items: { type: 'boolean' }, contains: { const: true }, maxItems: 3 }),
  dropped('unevaluatedItems', { type: 'array', items: { type: 'boolean' }, unevaluatedItems: false }),
  one('properties, required, additionalProperties: false', inObject({ type: 'boolean' })),
  {
    keyword: 'additionalProperties: absent',
    schema: { type: 'object', properties: { a: { type: 'boolean' } } },
    openai: 'enforced',
  },
  {
    keyword: 'additionalProperties: a schema',
    schema: { type: 'object', additionalProperties: { type: 'boolean' } },
    openai: 'after',
  },
  {
    keyword: 'properties without a type',
    schema: { properties: { a: { type: 'boolean' } }, required: ['a'] },
    openai: 'enforced',
  },
  {
    keyword: 'required without properties',
    schema: { type: 'object', required: ['z'], properties: { a: { const: 1 } } },
    openai: 'after',
  },
  {
    keyword: 'required, not a list',
    schema: { type: 'object', required: true },
    openai: at('/required', 'required'),
  },
  {
    keyword: 'minProperties',
    schema: {
      type: 'object',
      properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } },
      minProperties: 2,
      additionalProperties: false,
    },
    openai: 'enforced',
  },
  {
    keyword: 'maxProperties',
    schema: {
      type: 'object',
      properties: { a: { const: 1 }, b: { const: 2 } },
      maxProperties: 1,
      additionalProperties: false,
    },
    openai: 'after',
  },
  {
    keyword: 'patternProperties',
    schema: { type: 'object', patternProperties: { '^x': { type: 'boolean' } }, additionalProperties: false },
    openai: 'after',
    dottxt: at('/patternProperties/^x', 'patternProperties'),
  },
  {
    keyword: 'propertyNames',
    schema: {
      type: 'object',
      propertyNames: { pattern: '^[ab]$' },
      additionalProperties: { type: 'boolean' },
      maxProperties: 2,
    },
    openai: 'after',
    dottxt: at('/propertyNames', 'propertyNames'),
  },
  {
    keyword: 'dependentRequired',
    schema: { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, dependentRequired: { a: ['b'] } },
    openai: 'after',
    dottxt: at('/dependentRequired', 'dependentRequired'),
  },
  {
    keyword: 'dependencies (draft 7)',
    schema: { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, dependencies: { a: ['b'] } },
    openai: 'after',
    dottxt: at('/dependentRequired', 'dependentRequired'),
  },
  {
    keyword: 'dependentSchemas',
    schema: {
      type: 'object',
      properties: { a: { const: 1 }, b: { const: 2 } },
      dependentSchemas: { a: { required: ['b'] } },
    },
    openai: 'after',
    dottxt: at('/dependentSchemas', 'dependentSchemas'),
  },
  {
    keyword: 'unevaluatedProperties',
    schema: inObject({ type: 'boolean' }, { unevaluatedProperties: false }),
    openai: 'after',
    dottxt: at('/unevaluatedProperties', 'unevaluatedProperties'),
  },
  {
    keyword: 'if, then',
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own word
    schema: inObject({ type: 'boolean' }, { if: { properties: { a: { const: true } } }, then: { required: ['b'] } }),
    openai: 'after',
    dottxt: at('/if', 'if'),
  },
  dropped('not', { type: 'integer', not: { const: 3 } }),
  one('anyOf', { anyOf: [{ type: 'boolean' }, { type: 'null' }] }),
  {
    keyword: 'anyOf beside other keywords',
    schema: {
      type: 'object',
      properties: { a: { const: 1 }, b: { const: 2 } },
      additionalProperties: false,
      anyOf: [{ required: ['a'] }, { required: ['b'] }],
    },
    openai: 'enforced',
  },
  one('oneOf, branches that cannot meet', { oneOf: [{ type: 'boolean' }, { type: 'string' }] }),
  one('oneOf, told apart by a const', {
    oneOf: [inObject({ const: 1 }), inObject({ const: 2 })],
  }),
  dropped('oneOf', { oneOf: [{ type: 'boolean' }, { const: true }] }),
  one('allOf, joined', { allOf: [{ type: 'integer' }, { minimum: 3, maximum: 5 }] }),
  one(
    'allOf of objects',
    {
      allOf: [
        inObject({ const: 1 }, { additionalProperties: true }),
        { properties: { b: { const: 2 } }, required: ['b'] },
      ],
    },
    { openai: 'after' },
  ),
  one(
    'allOf that nothing satisfies',
    { allOf: [{ type: 'string' }, { type: 'integer' }] },
    { openai: at('', 'schema') },
  ),
  { keyword: '$ref', schema: { $defs: { a: { enum: ['x', 'y'] } }, $ref: '#/$defs/a' }, openai: 'enforced' },
  {
    keyword: '$ref beside other keywords',
    schema: { $defs: { a: { type: 'integer', maximum: 9 } }, $ref: '#/$defs/a', minimum: 5 },
    openai: 'enforced',
  },
  { keyword: '$ref, recursive', schema: TREE, openai: 'enforced' },
  {
    keyword: '$ref, recursive without an end',
    schema: { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] },
    openai: at('', 'schema'),
  },
  { keyword: '$ref to nowhere', schema: inObject({ $ref: '#/$defs/none' }), openai: at('/properties/a/$ref', '$ref') },
  {
    keyword: '$ref, remote',
    schema: inObject({ $ref: 'https://example.com/s' }),
    openai: at('/properties/a/$ref', '$ref'),
  },
  {
    keyword: '$anchor',
    schema: { $defs: { a: { $anchor: 'here', type: 'boolean' } }, $ref: '#here' },
    openai: 'enforced',
  },
  { keyword: 'no keyword at all', schema: {}, openai: 'after' },
  one('title, description, default, examples', {
    type: 'boolean',
    title: 't',
    description: 'd',
    default: true,
    examples: [false],
  }),
  one('x-own', { type: 'boolean', 'x-own': 1 }),
  one('minimun', { type: 'integer', minimun: 3 }, { dottxt: at('/properties/a/minimun', 'minimun') }),
  ...DRAFT_CASES,
];
