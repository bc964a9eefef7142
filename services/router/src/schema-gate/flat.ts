/**
 * A conjunction of assertions in one flat record: what a schema says once its references, `allOf` and one branch of its `anyOf` are
 * put together. XGrammar looks at one of `$ref`, `const`, `enum`, `anyOf`, `type` and forgets what stands beside it, so the gate
 * joins them itself.
 */
import { TYPES, type TypeName } from './keywords.ts';
import type { Schema, SchemaObject } from './normalize.ts';
import { linearRegex } from './regex-linear.ts';

/** A keyword that the engine's schema does not carry. */
export interface Lost {
  pointer: string;
  keyword: string;
}

export interface Pattern {
  source: string;
  pointer: string;
}

export interface Flat {
  /** Where the first part stood. */
  pointer: string;
  types: ReadonlySet<TypeName>;
  /** Whether any part named a type. */
  typed: boolean;
  values: unknown[] | undefined;
  properties: Map<string, Schema>;
  patternProperties: [string, Schema][];
  additional: Schema | undefined;
  required: Set<string>;
  minProperties: number;
  maxProperties: number;
  prefix: Schema[];
  items: Schema | undefined;
  minItems: number;
  maxItems: number;
  unique: Lost | undefined;
  minLength: number;
  maxLength: number;
  lengthAt: Lost | undefined;
  patterns: Pattern[];
  formats: { name: string; pointer: string }[];
  minimum: number;
  maximum: number;
  exclusiveMinimum: number;
  exclusiveMaximum: number;
  multiples: { of: number; pointer: string }[];
  lost: Lost[];
  /** Set on a flat that is nothing but a reference (`#/$defs/rN`): it can be passed on as one. */
  ref: string | undefined;
}

const INF = Number.POSITIVE_INFINITY;
export const ALL_TYPES: ReadonlySet<TypeName> = new Set(TYPES);

/** Keywords that no engine's schema can carry here; always checked after. */
const NEVER_SENT = [
  'not',
  'if',
  'contains',
  'minContains',
  'maxContains',
  'propertyNames',
  'dependentRequired',
  'dependentSchemas',
  'unevaluatedProperties',
  'unevaluatedItems',
];

export function emptyFlat(pointer: string): Flat {
  return {
    pointer,
    types: ALL_TYPES,
    typed: false,
    values: undefined,
    properties: new Map(),
    patternProperties: [],
    additional: undefined,
    required: new Set(),
    minProperties: 0,
    maxProperties: INF,
    prefix: [],
    items: undefined,
    minItems: 0,
    maxItems: INF,
    unique: undefined,
    minLength: 0,
    maxLength: INF,
    lengthAt: undefined,
    patterns: [],
    formats: [],
    minimum: -INF,
    maximum: INF,
    exclusiveMinimum: -INF,
    exclusiveMaximum: INF,
    multiples: [],
    lost: [],
    ref: undefined,
  };
}

/** The assertions of one schema object, its applicators in place (`$ref`, `allOf`, `anyOf`, `oneOf`) left aside. */
export function flatOf(schema: SchemaObject, pointer: string): Flat {
  const flat = emptyFlat(pointer);
  const number = (keyword: string, otherwise: number) => (schema[keyword] as number | undefined) ?? otherwise;
  if (schema.type !== undefined) {
    flat.typed = true;
    flat.types = new Set(typesOf(schema.type as TypeName | TypeName[]));
  }
  if (schema.enum !== undefined) flat.values = schema.enum as unknown[];
  if (schema.const !== undefined) flat.values = joinValues(flat.values, [schema.const]);
  flat.properties = new Map(Object.entries((schema.properties as Record<string, Schema> | undefined) ?? {}));
  flat.patternProperties = Object.entries((schema.patternProperties as Record<string, Schema> | undefined) ?? {});
  flat.additional = schema.additionalProperties as Schema | undefined;
  flat.required = new Set((schema.required as string[] | undefined) ?? []);
  flat.minProperties = number('minProperties', 0);
  flat.maxProperties = number('maxProperties', INF);
  flat.prefix = (schema.prefixItems as Schema[] | undefined) ?? [];
  flat.items = schema.items as Schema | undefined;
  flat.minItems = number('minItems', 0);
  flat.maxItems = number('maxItems', INF);
  if (schema.uniqueItems === true) flat.unique = { pointer: `${pointer}/uniqueItems`, keyword: 'uniqueItems' };
  flat.minLength = number('minLength', 0);
  flat.maxLength = number('maxLength', INF);
  const length = schema.maxLength !== undefined ? 'maxLength' : 'minLength';
  if (schema[length] !== undefined) flat.lengthAt = { pointer: `${pointer}/${length}`, keyword: length };
  if (schema.pattern !== undefined)
    flat.patterns = [{ source: schema.pattern as string, pointer: `${pointer}/pattern` }];
  if (schema.format !== undefined) flat.formats = [{ name: schema.format as string, pointer: `${pointer}/format` }];
  flat.minimum = number('minimum', -INF);
  flat.maximum = number('maximum', INF);
  flat.exclusiveMinimum = number('exclusiveMinimum', -INF);
  flat.exclusiveMaximum = number('exclusiveMaximum', INF);
  if (schema.multipleOf !== undefined) {
    flat.multiples = [{ of: schema.multipleOf as number, pointer: `${pointer}/multipleOf` }];
  }
  flat.lost = NEVER_SENT.filter((keyword) => schema[keyword] !== undefined && !saysNothing(schema, keyword)).map(
    (keyword) => ({
      pointer: `${pointer}/${keyword}`,
      keyword,
    }),
  );
  return flat;
}

function saysNothing(schema: SchemaObject, keyword: string): boolean {
  const value = schema[keyword];
  if (keyword === 'not') return value === false;
  if (keyword === 'if') return schema.then === undefined && schema.else === undefined;
  if (keyword === 'minContains' || keyword === 'maxContains') return schema.contains === undefined;
  if (keyword === 'dependentRequired' || keyword === 'dependentSchemas')
    return Object.keys(value as object).length === 0;
  return (
    value === true ||
    (typeof value === 'object' && value !== null && Object.keys(value).length === 0 && keyword !== 'contains')
  );
}

/** `integer` is part of `number`. */
function typesOf(type: TypeName | TypeName[]): TypeName[] {
  const named = Array.isArray(type) ? type : [type];
  return named.includes('number') && !named.includes('integer') ? [...named, 'integer'] : named;
}

/** True when no part of it asserts anything: joining with it changes nothing. */
export function isTrivial(flat: Flat): boolean {
  const blank = emptyFlat(flat.pointer);
  return (Object.keys(blank) as (keyof Flat)[]).every((key) => {
    const value = flat[key];
    if (value instanceof Map) return value.size === 0;
    if (key === 'types') return !flat.typed;
    if (value instanceof Set) return value.size === 0;
    return Array.isArray(value) ? value.length === 0 : value === blank[key];
  });
}

/** What the flat asks of the property `name`: its own schema and every matching patternProperties, or what is left for others. */
export function propertySchema(flat: Flat, name: string): Schema {
  const parts: Schema[] = [];
  const own = flat.properties.get(name);
  if (own !== undefined) parts.push(own);
  for (const [source, schema] of flat.patternProperties) if (linearRegex(source).test(name)) parts.push(schema);
  if (parts.length === 0) return flat.additional ?? true;
  return parts.reduce(both);
}

/** Both schemas at once. */
export function both(a: Schema, b: Schema): Schema {
  if (a === true || a === b) return b;
  if (b === true) return a;
  if (a === false || b === false) return false;
  return { allOf: [a, b] };
}

const maybeBoth = (a: Schema | undefined, b: Schema | undefined): Schema | undefined =>
  a === undefined ? b : b === undefined ? a : both(a, b);

/** What satisfies both flats; undefined when nothing can. */
export function join(a: Flat, b: Flat): Flat | undefined {
  const types = new Set([...a.types].filter((type) => b.types.has(type)));
  if (types.size === 0) return undefined;
  const values = joinValues(a.values, b.values);
  if (values !== undefined && values.length === 0) return undefined;
  const properties = new Map<string, Schema>();
  for (const name of [...a.properties.keys(), ...b.properties.keys()]) {
    if (!properties.has(name)) properties.set(name, both(propertySchema(a, name), propertySchema(b, name)));
  }
  const prefix: Schema[] = [];
  for (let i = 0; i < Math.max(a.prefix.length, b.prefix.length); i++) {
    prefix.push(both(a.prefix[i] ?? a.items ?? true, b.prefix[i] ?? b.items ?? true));
  }
  return {
    pointer: a.pointer,
    types,
    typed: a.typed || b.typed,
    values,
    properties,
    patternProperties: [...a.patternProperties, ...b.patternProperties],
    additional: maybeBoth(a.additional, b.additional),
    required: new Set([...a.required, ...b.required]),
    minProperties: Math.max(a.minProperties, b.minProperties),
    maxProperties: Math.min(a.maxProperties, b.maxProperties),
    prefix,
    items: maybeBoth(a.items, b.items),
    minItems: Math.max(a.minItems, b.minItems),
    maxItems: Math.min(a.maxItems, b.maxItems),
    unique: a.unique ?? b.unique,
    minLength: Math.max(a.minLength, b.minLength),
    maxLength: Math.min(a.maxLength, b.maxLength),
    lengthAt: a.lengthAt ?? b.lengthAt,
    patterns: [
      ...a.patterns,
      ...b.patterns.filter((each) => !a.patterns.some((known) => known.source === each.source)),
    ],
    formats: [...a.formats, ...b.formats.filter((each) => !a.formats.some((known) => known.name === each.name))],
    minimum: Math.max(a.minimum, b.minimum),
    maximum: Math.min(a.maximum, b.maximum),
    exclusiveMinimum: Math.max(a.exclusiveMinimum, b.exclusiveMinimum),
    exclusiveMaximum: Math.min(a.exclusiveMaximum, b.exclusiveMaximum),
    multiples: [...a.multiples, ...b.multiples.filter((each) => !a.multiples.some((known) => known.of === each.of))],
    lost: [...a.lost, ...b.lost],
    ref: undefined,
  };
}

function joinValues(a: unknown[] | undefined, b: unknown[] | undefined): unknown[] | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const texts = new Set(b.map(canonical));
  return a.filter((value) => texts.has(canonical(value)));
}

/** JSON text with sorted keys: equal exactly when JSON Schema calls the values equal. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
}
