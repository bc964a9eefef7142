/**
 * What stands between a schema and XGrammar 0.1.27 (WASM) when vLLM 0.29 with xgrammar 0.2.8 is the measure:
 * vLLM's own list of refused features, and the few places where the two releases differ (`differences.ts`).
 */
import { XGRAMMAR_LINES } from './differences.ts';

type Json = unknown;

const FORMATS = new Set([
  ...['email', 'date', 'time', 'date-time', 'duration', 'ipv4', 'ipv6', 'hostname', 'uuid', 'uri', 'uri-reference'],
  ...['uri-template', 'json-pointer', 'relative-json-pointer'],
]);

function isObject(value: Json): value is Record<string, Json> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** vLLM's `has_xgrammar_unsupported_json_features`: looks only where a sibling `type` says so. */
export function hasUnsupportedFeatures(schema: Json): boolean {
  if (Array.isArray(schema)) return schema.some(hasUnsupportedFeatures);
  if (!isObject(schema)) return false;
  const { type } = schema;
  if ((type === 'number' || type === 'integer') && 'multipleOf' in schema) return true;
  if (type === 'array' && ['uniqueItems', 'contains', 'minContains', 'maxContains'].some((key) => key in schema))
    return true;
  if (type === 'string') {
    if (typeof schema.format === 'string' && !FORMATS.has(schema.format)) return true;
    const shaped = 'pattern' in schema || 'format' in schema;
    if (shaped && ('minLength' in schema || 'maxLength' in schema)) return true;
  }
  if (type === 'object' && ('patternProperties' in schema || 'propertyNames' in schema)) return true;
  return Object.values(schema).some(hasUnsupportedFeatures);
}

/** What xgrammar 0.2.8 says and 0.1.27 says otherwise or not at all; undefined when there is nothing to say. */
export function refusalOf028(schema: Json): string | undefined {
  if (Array.isArray(schema)) {
    for (const item of schema) {
      const refusal = refusalOf028(item);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }
  if (!isObject(schema)) return undefined;
  if (Array.isArray(schema.enum) && schema.enum.length === 0)
    return `${XGRAMMAR_LINES.schema}: enum array must not be empty`;
  for (const value of Object.values(schema)) {
    const refusal = refusalOf028(value);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** Look-around groups of a pattern: 0.2.8 drops them without a word, 0.1.27 refuses. */
export function withoutLookaround(pattern: string): string {
  let text = '';
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] === '\\') {
      text += pattern.slice(i, i + 2);
      i++;
      continue;
    }
    const match = /^\(\?<?[=!]/.exec(pattern.slice(i));
    if (!match) {
      text += pattern[i];
      continue;
    }
    let depth = 0;
    for (; i < pattern.length; i++) {
      if (pattern[i] === '\\') i++;
      else if (pattern[i] === '(') depth++;
      else if (pattern[i] === ')' && --depth === 0) break;
    }
  }
  return text;
}

// The quote comes after the range: a hexadecimal digit there would be read as part of its end.
const NOT_IN_STRINGS = '\\x00-\\x1f"\\\\';

/**
 * A pattern whose wildcards leave out what may not stand raw in a JSON string: 0.1.27 puts a pattern's characters into
 * the document as they are, so that `.` could end the string. What the narrowed pattern matches, the pattern matches.
 */
export function withoutQuotes(pattern: string): string {
  let text = '';
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    if (char === '\\') {
      const letter = pattern[++i] ?? '';
      if (inClass) text += `\\${letter}`;
      else if (letter === 'S') text += `[^\\s${NOT_IN_STRINGS}]`;
      else if (letter === 'D') text += `[^0-9${NOT_IN_STRINGS}]`;
      else if (letter === 'W') text += `[^a-zA-Z0-9_${NOT_IN_STRINGS}]`;
      else text += `\\${letter}`;
    } else if (inClass) {
      text += char;
      if (char === ']') inClass = false;
    } else if (char === '[') {
      inClass = true;
      text += char;
      if (pattern[i + 1] === '^') {
        i++;
        text += `^${NOT_IN_STRINGS}`;
      }
    } else if (char === '.') text += `[^${NOT_IN_STRINGS}]`;
    else text += char;
  }
  return text;
}

/** 0.1.27 puts the quotes of a string next to the first and the last alternative only: a group keeps them outside. */
function grouped(pattern: string): string {
  return pattern.includes('|') ? `(${pattern})` : pattern;
}

export interface PreparedSchema {
  /** The schema as it is given to 0.1.27. */
  schema: Json;
  /** Every property name in it. */
  keys: Set<string>;
  /** Every pattern in it. */
  patterns: string[];
}

/** Makes a schema ready for 0.1.27 and gathers what helps to fill it. */
export function prepareSchema(schema: Json): PreparedSchema {
  const keys = new Set<string>();
  const patterns: string[] = [];
  const walk = (value: Json, isProperties: boolean): Json => {
    if (Array.isArray(value)) return value.map((item) => walk(item, false));
    if (!isObject(value)) return value;
    const copy: Record<string, Json> = {};
    for (const [key, item] of Object.entries(value)) {
      if (isProperties) keys.add(key);
      if (!isProperties && (key === 'enum' || key === 'const' || key === 'default' || key === 'examples'))
        copy[key] = item;
      else if (!isProperties && key === 'pattern' && typeof item === 'string') {
        patterns.push(withoutLookaround(item));
        copy[key] = grouped(withoutQuotes(withoutLookaround(item)));
      } else
        copy[key] = walk(item, !isProperties && (key === 'properties' || key === '$defs' || key === 'definitions'));
    }
    return copy;
  };
  return { schema: walk(schema, false), keys, patterns };
}
