/** Cases for keywords of identity, annotation and older drafts; the others are in `schema-cases.ts`, which joins both. */
import { at, inObject, type SchemaCase } from './schema-case.ts';

const DRAFT_7 = 'http://json-schema.org/draft-07/schema#';
const DRAFT_2019 = 'https://json-schema.org/draft/2019-09/schema';
const enforced = (keyword: string, schema: Record<string, unknown>): SchemaCase => ({
  keyword,
  schema,
  openai: 'enforced',
});
const after = (keyword: string, schema: Record<string, unknown>, pointer: string, name: string): SchemaCase => ({
  keyword,
  schema,
  openai: 'after',
  dottxt: at(pointer, name),
});

const bits = { type: 'array', items: { type: 'boolean' }, maxItems: 3, contains: { const: true } };
const pair = { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } } };

export const DRAFT_CASES: readonly SchemaCase[] = [
  enforced('$schema, $id, $comment, $vocabulary', {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://example.com/root',
    $comment: 'c',
    $vocabulary: { 'https://json-schema.org/draft/2020-12/vocab/core': true },
    ...inObject({ type: 'boolean' }),
  }),
  {
    keyword: '$schema: before draft 4',
    schema: { $schema: 'http://json-schema.org/draft-03/schema#', type: 'object' },
    openai: at('/$schema', '$schema'),
  },
  enforced('$ref to an $id', {
    $defs: { a: { $id: 'https://example.com/a', type: 'boolean' } },
    $ref: 'https://example.com/a',
  }),
  enforced('$dynamicRef, $dynamicAnchor', {
    $dynamicAnchor: 'node',
    type: 'object',
    properties: { v: { type: 'boolean' }, next: { anyOf: [{ $dynamicRef: '#node' }, { type: 'null' }] } },
    required: ['v', 'next'],
    additionalProperties: false,
  }),
  enforced('$recursiveRef, $recursiveAnchor (2019-09)', {
    $schema: DRAFT_2019,
    $recursiveAnchor: true,
    type: 'object',
    properties: { v: { type: 'boolean' }, next: { anyOf: [{ $recursiveRef: '#' }, { type: 'null' }] } },
    required: ['v', 'next'],
    additionalProperties: false,
  }),
  enforced('definitions (draft 7)', {
    $schema: DRAFT_7,
    definitions: { a: { enum: ['x', 'y'] } },
    ...inObject({ $ref: '#/definitions/a' }),
  }),
  after(
    'dependencies (draft 7), a schema',
    { ...pair, dependencies: { a: { required: ['b'] } } },
    '/dependentSchemas',
    'dependentSchemas',
  ),
  after(
    'contains, minContains, maxContains',
    inObject({ ...bits, minContains: 2, maxContains: 2 }),
    '/properties/a/contains',
    'contains',
  ),
  enforced(
    'minContains, maxContains without contains',
    inObject({
      type: 'array',
      items: { type: 'boolean' },
      maxItems: 3,
      minContains: 2,
      maxContains: 2,
    }),
  ),
  after(
    'if, else',
    inObject({ type: 'boolean' }, { if: { properties: { a: { const: true } } }, else: { required: ['b'] } }),
    '/if',
    'if',
  ),
  enforced(
    'then, else without if',
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own word
    inObject({ type: 'boolean' }, { then: { required: ['b'] }, else: { required: ['b'] } }),
  ),
  enforced(
    'contentEncoding, contentMediaType, contentSchema',
    inObject({
      type: 'string',
      contentEncoding: 'base64',
      contentMediaType: 'application/json',
      contentSchema: { type: 'object' },
    }),
  ),
  enforced(
    'deprecated, readOnly, writeOnly',
    inObject({
      type: 'boolean',
      deprecated: true,
      readOnly: true,
      writeOnly: true,
    }),
  ),
];

/** Every keyword of 2020-12, and those of draft 7 and 2019-09 that it no longer has. */
export const KEYWORDS: readonly string[] = (
  '$schema $id $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment $defs ' +
  'prefixItems items contains additionalProperties properties patternProperties dependentSchemas propertyNames ' +
  'if then else allOf anyOf oneOf not unevaluatedItems unevaluatedProperties ' +
  'type const enum multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern ' +
  'maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired ' +
  'format contentEncoding contentMediaType contentSchema ' +
  'title description default deprecated readOnly writeOnly examples ' +
  'definitions dependencies additionalItems $recursiveRef $recursiveAnchor'
).split(' ');
