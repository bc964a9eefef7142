/**
 * Checks a document, whole or still streaming, against a JSON Schema. An interpreter rather than a compiler, because the
 * page's policy forbids code made from text. Covers what models are asked for: types, enums, objects, arrays, bounds,
 * patterns, combinations and references inside the document.
 */
import type { JsonNode } from './partial.ts';
import { plainValue } from './partial.ts';

export interface Problem {
  /** `/people/0/age`; empty for the document itself. */
  path: string;
  message: string;
  start: number;
  end: number;
}

type Schema = Record<string, unknown>;
/** References may go round; no document that a model writes needs more. */
const MAX_DEPTH = 100;

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The part of the schema that a `#/...` reference names, or undefined. */
export function resolveRef(root: unknown, ref: string): unknown {
  if (ref === '#') return root;
  if (!ref.startsWith('#/')) return undefined;
  let here: unknown = root;
  for (const raw of ref.slice(2).split('/')) {
    let part = raw;
    try {
      part = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
    part = part.replace(/~1/g, '/').replace(/~0/g, '~');
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, part)) return undefined;
    here = (here as Record<string, unknown>)[part];
  }
  return here;
}

const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);

function hasType(node: JsonNode, type: unknown): boolean {
  if (type === 'integer') return node.kind === 'number' && (Number.isInteger(node.value) || !node.done);
  return type === node.kind;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isSchema(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted(value[name])]),
  );
}

/** Whether an unfinished node can still become `wanted`. */
function canBecome(node: JsonNode, wanted: unknown): boolean {
  if (node.done) return same(plainValue(node), wanted);
  if (node.kind === 'string') return typeof wanted === 'string' && wanted.startsWith(node.value);
  if (node.kind === 'number') return typeof wanted === 'number';
  if (node.kind === 'object') return isSchema(wanted);
  if (node.kind === 'array') return Array.isArray(wanted);
  return node.kind === 'null' ? wanted === null : node.value === wanted;
}

class Check {
  readonly problems: Problem[] = [];
  private readonly root: unknown;
  constructor(root: unknown) {
    this.root = root;
  }

  private say(node: JsonNode, path: string, message: string): void {
    this.problems.push({ path, message, start: node.start, end: node.end });
  }

  private passes(node: JsonNode, schema: unknown, path: string, depth: number): boolean {
    const inner = new Check(this.root);
    inner.visit(node, schema, path, depth);
    return inner.problems.length === 0;
  }

  visit(node: JsonNode, schema: unknown, path: string, depth: number): void {
    if (schema === false) this.say(node, path, 'nothing is allowed here');
    if (!isSchema(schema) || depth > MAX_DEPTH) return;
    if (typeof schema.$ref === 'string') this.visit(node, resolveRef(this.root, schema.$ref), path, depth + 1);
    const types = schema.type === undefined ? [] : [schema.type].flat();
    if (types.length > 0 && !types.some((type) => hasType(node, type))) {
      this.say(node, path, `must be ${types.join(' or ')}, is ${node.kind}`);
      return;
    }
    if (Array.isArray(schema.enum) && !schema.enum.some((value) => canBecome(node, value))) {
      this.say(node, path, `must be one of ${schema.enum.map((value) => JSON.stringify(value)).join(', ')}`);
    }
    if (Object.hasOwn(schema, 'const') && !canBecome(node, schema.const)) {
      this.say(node, path, `must be ${JSON.stringify(schema.const)}`);
    }
    this.combinations(node, schema, path, depth + 1);
    if (node.kind === 'object') this.object(node, schema, path, depth + 1);
    else if (node.kind === 'array') this.array(node, schema, path, depth + 1);
    else if (node.kind === 'string') this.string(node, schema, path);
    else if (node.kind === 'number' && node.done) this.number(node, schema, path);
  }

  private combinations(node: JsonNode, schema: Schema, path: string, depth: number): void {
    const { allOf, anyOf, oneOf, not } = schema;
    if (Array.isArray(allOf)) for (const part of allOf) this.visit(node, part, path, depth);
    if (Array.isArray(anyOf) && !anyOf.some((part) => this.passes(node, part, path, depth))) {
      this.say(node, path, 'fits none of the choices (anyOf)');
    }
    if (Array.isArray(oneOf)) {
      const fits = oneOf.filter((part) => this.passes(node, part, path, depth)).length;
      // While it streams, a value may still fit several choices.
      if (fits === 0) this.say(node, path, 'fits none of the choices (oneOf)');
      else if (fits > 1 && node.done) this.say(node, path, 'fits more than one of the choices (oneOf)');
    }
    if (not !== undefined && node.done && this.passes(node, not, path, depth))
      this.say(node, path, 'is excluded (not)');
  }

  private object(node: JsonNode & { kind: 'object' }, schema: Schema, path: string, depth: number): void {
    const properties = isSchema(schema.properties) ? schema.properties : {};
    const patterns = isSchema(schema.patternProperties) ? Object.entries(schema.patternProperties) : [];
    for (const { key, value, keyStart } of node.members) {
      const at = `${path}/${key.replace(/~/g, '~0').replace(/\//g, '~1')}`;
      const own = Object.hasOwn(properties, key);
      if (own) this.visit(value, properties[key], at, depth);
      const matching = patterns.filter(([pattern]) => matchesPattern(pattern, key));
      for (const [, part] of matching) this.visit(value, part, at, depth);
      if (own || matching.length > 0) continue;
      if (schema.additionalProperties === false) {
        this.problems.push({ path: at, message: 'is not a property of the schema', start: keyStart, end: value.end });
      } else this.visit(value, schema.additionalProperties, at, depth);
    }
    if (!node.done) return;
    const present = new Set(node.members.map(({ key }) => key));
    for (const name of Array.isArray(schema.required) ? schema.required : []) {
      if (!present.has(String(name))) this.say(node, path, `lacks the property "${name}"`);
    }
    const min = number(schema.minProperties);
    const max = number(schema.maxProperties);
    if (min !== null && present.size < min) this.say(node, path, `must have at least ${min} properties`);
    if (max !== null && present.size > max) this.say(node, path, `must have at most ${max} properties`);
  }

  private array(node: JsonNode & { kind: 'array' }, schema: Schema, path: string, depth: number): void {
    const prefix = Array.isArray(schema.prefixItems) ? schema.prefixItems : [];
    node.items.forEach((item, index) => {
      this.visit(item, index < prefix.length ? prefix[index] : schema.items, `${path}/${index}`, depth);
    });
    const min = number(schema.minItems);
    const max = number(schema.maxItems);
    if (max !== null && node.items.length > max) this.say(node, path, `must have at most ${max} items`);
    if (!node.done) return;
    if (min !== null && node.items.length < min) this.say(node, path, `must have at least ${min} items`);
    if (schema.uniqueItems === true) {
      const seen = new Set(node.items.map((item) => JSON.stringify(sorted(plainValue(item)))));
      if (seen.size < node.items.length) this.say(node, path, 'must not repeat an item');
    }
  }

  private string(node: JsonNode & { kind: 'string' }, schema: Schema, path: string): void {
    const length = [...node.value].length;
    const min = number(schema.minLength);
    const max = number(schema.maxLength);
    if (max !== null && length > max) this.say(node, path, `must be at most ${max} characters long`);
    if (!node.done) return;
    if (min !== null && length < min) this.say(node, path, `must be at least ${min} characters long`);
    if (typeof schema.pattern === 'string' && !matchesPattern(schema.pattern, node.value)) {
      this.say(node, path, `must match ${schema.pattern}`);
    }
  }

  private number(node: JsonNode & { kind: 'number' }, schema: Schema, path: string): void {
    const bounds: [unknown, (bound: number) => boolean, string][] = [
      [schema.minimum, (bound) => node.value >= bound, 'at least'],
      [schema.maximum, (bound) => node.value <= bound, 'at most'],
      [schema.exclusiveMinimum, (bound) => node.value > bound, 'more than'],
      [schema.exclusiveMaximum, (bound) => node.value < bound, 'less than'],
    ];
    for (const [bound, holds, words] of bounds) {
      if (typeof bound === 'number' && !holds(bound)) this.say(node, path, `must be ${words} ${bound}`);
    }
    const step = number(schema.multipleOf);
    if (step !== null && step > 0) {
      const quotient = node.value / step;
      const nearest = Math.round(quotient);
      // 0.3 is a multiple of 0.1 to a person, though not to floating point.
      const close = Math.abs(quotient - nearest) <= 4 * Number.EPSILON * Math.abs(quotient);
      if (!close) this.say(node, path, `must be a multiple of ${step}`);
    }
  }
}

/** A pattern that this engine cannot read is the lint's to report, not the document's fault. */
function matchesPattern(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(text);
  } catch {
    return true;
  }
}

/** Problems of what is there so far; rules about whole values count only where a value has ended. */
export function validate(node: JsonNode, schema: unknown): Problem[] {
  const check = new Check(schema);
  check.visit(node, schema, '', 0);
  return check.problems;
}
