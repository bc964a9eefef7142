/** What is wrong, or will not be enforced while decoding, in a JSON Schema that somebody types for an answer. */
import { type JsonNode, parsePartial, plainValue } from './partial.ts';
import { resolveRef } from './validate.ts';

export interface Finding {
  severity: 'error' | 'warning';
  message: string;
  /** Places in the text. */
  start: number;
  end: number;
}

const TYPES = new Set(['object', 'array', 'string', 'number', 'integer', 'boolean', 'null']);
/** What the decoder is not told (docs/structured-output.md): the finished answer is checked instead. */
const CHECKED_AFTER = new Set(
  (
    'not if then else contains minContains maxContains patternProperties propertyNames dependentRequired ' +
    'dependentSchemas unevaluatedItems unevaluatedProperties uniqueItems'
  ).split(' '),
);
const ENFORCED =
  '$ref $defs definitions type enum const properties required additionalProperties items prefixItems minItems maxItems ' +
  'minLength maxLength pattern format minimum maximum exclusiveMinimum exclusiveMaximum multipleOf anyOf oneOf allOf ' +
  'minProperties maxProperties description title default examples';
const KEYWORDS = [...ENFORCED.split(' '), ...CHECKED_AFTER];
/** Keywords whose value is a schema, a list of schemas, or a map of names to schemas. */
const ONE = ['additionalProperties', 'items', 'not', 'propertyNames', 'contains', 'if', 'then', 'else'];
const MANY = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const MAPS = ['properties', 'patternProperties', '$defs', 'definitions'];

type ObjectNode = JsonNode & { kind: 'object' };
const member = (node: ObjectNode, name: string) => node.members.find(({ key }) => key === name);

/** A keyword that is one letter away from a known one is a slip; other unknown ones are annotations, as the standard says. */
function slip(key: string): string | null {
  if (KEYWORDS.includes(key)) return null;
  const meant = KEYWORDS.find((known) => known.length > 3 && oneLetterAway(key, known));
  return meant ? `"${key}" means nothing; is it "${meant}"?` : null;
}

/** One letter added, lost or changed, or another case. */
export function oneLetterAway(a: string, b: string): boolean {
  if (a.toLowerCase() === b.toLowerCase()) return true;
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (long.length - short.length > 1) return false;
  let at = 0;
  while (at < short.length && short[at] === long[at]) at++;
  return short.slice(short.length === long.length ? at + 1 : at) === long.slice(at + 1);
}

export interface LintOptions {
  /** Whether the request says `strict: true`, which asks more of a schema. */
  strict: boolean;
}

/** Findings in order of place; empty for a schema that is enforced as it stands. */
export function lintSchema(text: string, { strict }: LintOptions): Finding[] {
  if (text.trim() === '') return [];
  const { root, error } = parsePartial(text, true);
  if (error) {
    const start = Math.min(error.at, text.length);
    return [{ severity: 'error', message: `not JSON: ${error.message}`, start, end: Math.min(text.length, start + 1) }];
  }
  const findings: Finding[] = [];
  const whole = plainValue(root!);
  const say = (severity: Finding['severity'], node: JsonNode, message: string) =>
    findings.push({ severity, message, start: node.start, end: node.end });

  const visit = (node: JsonNode): void => {
    if (node.kind === 'boolean') return;
    if (node.kind !== 'object') {
      say('error', node, 'a schema must be an object or true/false');
      return;
    }
    for (const { key, keyStart } of node.members) {
      const message = CHECKED_AFTER.has(key)
        ? `"${key}" is checked when the answer is there, not while it is written`
        : slip(key);
      if (message) findings.push({ severity: 'warning', message, start: keyStart, end: keyStart + key.length + 2 });
    }
    checkType(node);
    checkValues(node);
    checkObject(node);
    for (const name of ONE) {
      const found = member(node, name);
      if (found) visit(found.value);
    }
    for (const name of MANY) {
      const found = member(node, name)?.value;
      if (!found) continue;
      if (found.kind !== 'array' || found.items.length === 0)
        say('error', found, `"${name}" must be a list of schemas`);
      else for (const item of found.items) visit(item);
    }
    for (const name of MAPS) {
      const found = member(node, name)?.value;
      if (!found) continue;
      if (found.kind !== 'object') say('error', found, `"${name}" must be an object of schemas`);
      else for (const { value } of found.members) visit(value);
    }
  };

  const checkType = (node: ObjectNode): void => {
    const type = member(node, 'type')?.value;
    if (!type) return;
    for (const one of type.kind === 'array' ? type.items : [type]) {
      if (one.kind !== 'string' || !TYPES.has(one.value)) {
        say('error', one, `no type of JSON Schema; the types are ${[...TYPES].join(', ')}`);
      }
    }
  };

  const checkValues = (node: ObjectNode): void => {
    const ref = member(node, '$ref')?.value;
    if (ref) {
      if (ref.kind !== 'string') say('error', ref, '"$ref" must be a text');
      else if (!ref.value.startsWith('#')) say('error', ref, 'only references inside this document can be followed');
      else if (resolveRef(whole, ref.value) === undefined) say('error', ref, `nothing lies at ${ref.value}`);
    }
    const pattern = member(node, 'pattern')?.value;
    if (pattern?.kind === 'string') {
      try {
        new RegExp(pattern.value, 'u');
      } catch {
        say('error', pattern, 'not a regular expression');
      }
    }
    const choices = member(node, 'enum')?.value;
    if (choices && (choices.kind !== 'array' || choices.items.length === 0)) {
      say('error', choices, '"enum" must be a list with at least one value');
    }
  };

  const checkObject = (node: ObjectNode): void => {
    const properties = member(node, 'properties')?.value;
    const required = member(node, 'required')?.value;
    const names = properties?.kind === 'object' ? properties.members.map(({ key }) => key) : [];
    const wanted = required?.kind === 'array' ? required.items : [];
    if (required && required.kind !== 'array') say('error', required, '"required" must be a list of property names');
    for (const name of wanted) {
      if (name.kind !== 'string') say('error', name, '"required" must be a list of property names');
      else if (properties && !names.includes(name.value)) {
        say('warning', name, `"${name.value}" is required but not among the properties`);
      }
    }
    if (!strict || !properties) return;
    if (member(node, 'additionalProperties')?.value.kind !== 'boolean') {
      say('warning', properties, 'strict: add "additionalProperties": false to this object');
    }
    const missing = names.filter((name) => !wanted.some((item) => item.kind === 'string' && item.value === name));
    if (missing.length > 0) say('warning', properties, `strict: "required" must also name ${missing.join(', ')}`);
  };

  visit(root!);
  return findings.sort((a, b) => a.start - b.start);
}
