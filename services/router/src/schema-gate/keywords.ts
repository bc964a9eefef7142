/** What the gate knows of JSON Schema's keywords, for drafts 4 to 2020-12. */

/** Say nothing about a document: dropped before anything else. */
export const ANNOTATIONS = new Set([
  '$comment',
  '$schema',
  '$vocabulary',
  'title',
  'description',
  'default',
  'examples',
  'example',
  'deprecated',
  'readOnly',
  'writeOnly',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
  '$id',
  'id',
  '$anchor',
  '$dynamicAnchor',
  '$recursiveAnchor',
  '$defs',
  'definitions',
]);

type Shape =
  | 'schema'
  | 'schemas'
  | 'schemaMap'
  | 'schemaOrSchemas'
  | 'count'
  | 'number'
  | 'positive'
  | 'string'
  | 'boolean'
  | 'names'
  | 'namesMap'
  | 'values'
  | 'any'
  | 'type'
  | 'bound';

/** Keywords that say something, with the shape of their value. */
export const ASSERTIONS: Record<string, Shape> = {
  $ref: 'string',
  $dynamicRef: 'string',
  $recursiveRef: 'string',
  type: 'type',
  enum: 'values',
  const: 'any',
  allOf: 'schemas',
  anyOf: 'schemas',
  oneOf: 'schemas',
  not: 'schema',
  if: 'schema',
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema's own word
  then: 'schema',
  else: 'schema',
  properties: 'schemaMap',
  patternProperties: 'schemaMap',
  additionalProperties: 'schema',
  propertyNames: 'schema',
  unevaluatedProperties: 'schema',
  required: 'names',
  minProperties: 'count',
  maxProperties: 'count',
  dependentRequired: 'namesMap',
  dependentSchemas: 'schemaMap',
  dependencies: 'any',
  items: 'schemaOrSchemas',
  prefixItems: 'schemas',
  additionalItems: 'schema',
  unevaluatedItems: 'schema',
  contains: 'schema',
  minContains: 'count',
  maxContains: 'count',
  minItems: 'count',
  maxItems: 'count',
  uniqueItems: 'boolean',
  minLength: 'count',
  maxLength: 'count',
  pattern: 'string',
  format: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'bound',
  exclusiveMaximum: 'bound',
  multipleOf: 'positive',
};

export const TYPES = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'] as const;
export type TypeName = (typeof TYPES)[number];
const TYPE_NAMES = new Set<unknown>(TYPES);

/** What the value of a keyword must be, said in words, when it is not that; undefined when it is. Subschemas are checked later. */
export function shapeProblem(keyword: string, value: unknown): string | undefined {
  switch (ASSERTIONS[keyword]!) {
    case 'schema':
      return isSchema(value) ? undefined : 'must be a schema (an object or a boolean)';
    case 'schemas':
      return Array.isArray(value) && value.length > 0 && value.every(isSchema)
        ? undefined
        : 'must be a list of one or more schemas';
    case 'schemaOrSchemas':
      return isSchema(value) || (Array.isArray(value) && value.every(isSchema)) ? undefined : 'must be a schema';
    case 'schemaMap':
      return isMap(value) && Object.values(value).every(isSchema) ? undefined : 'must be an object of schemas';
    case 'count':
      return Number.isInteger(value) && (value as number) >= 0 ? undefined : 'must be a whole number, zero or more';
    case 'number':
      return typeof value === 'number' ? undefined : 'must be a number';
    case 'bound':
      return typeof value === 'number' || typeof value === 'boolean' ? undefined : 'must be a number';
    case 'positive':
      return typeof value === 'number' && value > 0 ? undefined : 'must be a number above zero';
    case 'string':
      return typeof value === 'string' ? undefined : 'must be a string';
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'must be true or false';
    case 'names':
      return isNames(value) ? undefined : 'must be a list of names';
    case 'namesMap':
      return isMap(value) && Object.values(value).every(isNames) ? undefined : 'must be an object of lists of names';
    case 'values':
      return Array.isArray(value) && value.length > 0 ? undefined : 'must be a list of one or more values';
    case 'type':
      return (
        Array.isArray(value)
          ? value.length > 0 && value.every((each) => TYPE_NAMES.has(each))
          : TYPE_NAMES.has(value)
      )
        ? undefined
        : `must be one of ${TYPES.join(', ')}, or a list of them`;
    case 'any':
      return undefined;
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSchema = (value: unknown): boolean => typeof value === 'boolean' || isMap(value);
const isNames = (value: unknown): boolean => Array.isArray(value) && value.every((each) => typeof each === 'string');

/**
 * The keyword that an unknown one is probably a slip of (`minimun`, `additionalproperties`); undefined for names that mean something
 * else to somebody. Names that begin with `x-`, `_` or `$` are somebody's own.
 */
export function meantKeyword(unknown: string): string | undefined {
  if (/^[xX]-|^[_$]/.test(unknown) || unknown.length < 4) return undefined;
  return Object.keys(ASSERTIONS).find((known) => {
    if (known.toLowerCase() === unknown.toLowerCase()) return true;
    return known.length >= 5 && distance(known, unknown) <= (known.length < 9 ? 1 : 2);
  });
}

/** Letters to insert, drop or change. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
