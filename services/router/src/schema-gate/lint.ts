/**
 * Looks a customer's schema over before anything is sent: shapes, sizes, references, patterns. Pure; throws SchemaProblem with the
 * JSON pointer and the keyword at fault, since the engines' own texts name neither.
 */
import { DEFAULT_LIMITS, type SchemaLimits } from './limits.ts';
import { type Normalized, normalize, type Schema, type SchemaObject } from './normalize.ts';
import { isRecord, SchemaProblem, step } from './problem.ts';
import { linearRegex } from './regex-linear.ts';
import { PatternError } from './regex-parse.ts';

/** `text` is the schema as JSON (its length is what counts against the limit). */
export function lint(raw: unknown, text: string, limits: SchemaLimits = DEFAULT_LIMITS): Normalized {
  if (text.length > limits.chars) throw new SchemaProblem('', 'schema', `longer than ${limits.chars} characters`);
  if (!isRecord(raw)) throw new SchemaProblem('', 'schema', 'the schema must be an object');
  const normalized = normalize(raw, limits);
  checkPatterns(normalized, limits);
  return normalized;
}

/** Every pattern must be one that the linear-time matcher takes: it decides whether a finished document is valid. */
function checkPatterns({ schema, pointers }: Normalized, limits: SchemaLimits): void {
  let size = 0;
  let named = 0;
  const seen = new Set<string>();
  const check = (source: string, pointer: string, keyword: string) => {
    if (seen.has(source)) return;
    seen.add(source);
    try {
      size += linearRegex(source).size;
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      throw new SchemaProblem(pointer, keyword, `"${keyword}" has ${error.construct}, which is not supported`);
    }
    if (size > limits.patternSize)
      throw new SchemaProblem(pointer, keyword, 'the patterns of this schema are too large together');
  };
  forEachSchema(schema, (node) => {
    const at = pointers.get(node) ?? '';
    if (typeof node.pattern === 'string') check(node.pattern, step(at, 'pattern'), 'pattern');
    for (const source of Object.keys((node.patternProperties as object | undefined) ?? {})) {
      const pointer = step(step(at, 'patternProperties'), source);
      if (++named > limits.patternProperties) {
        throw new SchemaProblem(
          pointer,
          'patternProperties',
          `more than ${limits.patternProperties} "patternProperties" in all`,
        );
      }
      check(source, pointer, 'patternProperties');
    }
  });
}

const MAPS = ['properties', 'patternProperties', 'dependentSchemas', '$defs'];
const LISTS = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const ONES = [
  'not',
  'if',
  'then',
  'else',
  'additionalProperties',
  'propertyNames',
  'unevaluatedProperties',
  'items',
  'unevaluatedItems',
  'contains',
];

/** Calls `visit` for every object schema of a normalised schema, parents first. */
export function forEachSchema(schema: Schema, visit: (node: SchemaObject) => void): void {
  if (typeof schema === 'boolean') return;
  visit(schema);
  for (const keyword of MAPS) {
    for (const each of Object.values((schema[keyword] as Record<string, Schema> | undefined) ?? {}))
      forEachSchema(each, visit);
  }
  for (const keyword of LISTS)
    for (const each of (schema[keyword] as Schema[] | undefined) ?? []) forEachSchema(each, visit);
  for (const keyword of ONES) if (schema[keyword] !== undefined) forEachSchema(schema[keyword] as Schema, visit);
}
