/**
 * Brings a schema of any draft from 4 to 2020-12 into one form, so that everything behind (the engine's schema, the validator)
 * knows one dialect: 2020-12 keywords only, no annotations, no identifiers, every `$ref` of the form `#/$defs/rN`.
 * Checks shapes and sizes on the way; every node remembers where in the caller's schema it stood.
 */
import { ANNOTATIONS, ASSERTIONS, shapeProblem } from './keywords.ts';
import type { SchemaLimits } from './limits.ts';
import { isRecord, SchemaProblem, step } from './problem.ts';
import { RefResolver } from './refs.ts';

/** A normalised schema: a boolean, or an object whose keys are 2020-12 assertions and `$defs` (at the root). */
export type Schema = boolean | SchemaObject;
export interface SchemaObject {
  [keyword: string]: unknown;
}

export interface Normalized {
  schema: Schema;
  /** Where each normalised object stood in the caller's schema, as a JSON pointer. */
  pointers: WeakMap<object, string>;
  /** Keywords that no draft defines, with their place: annotations to JSON Schema, a mistake to a stricter contract. */
  unknown: { pointer: string; keyword: string }[];
  /** Subschemas after normalisation. */
  subschemas: number;
}

/** Throws SchemaProblem at the first thing that is wrong. `raw` is parsed JSON; its text length is checked by the caller. */
export function normalize(raw: unknown, limits: SchemaLimits): Normalized {
  return new Normalizer(raw, limits).run();
}

/** `$schema` decides where the drafts differ; without it the newest is meant, and older spellings are read as their authors did. */
function draftOf(raw: unknown): number {
  const declared = isRecord(raw) && typeof raw.$schema === 'string' ? raw.$schema : '';
  if (/draft-0[1-3]\b/.test(declared))
    throw new SchemaProblem('/$schema', '$schema', 'drafts before draft-04 are not supported');
  const old = /draft-0([4-7])\b/.exec(declared);
  return old === null ? 2020 : Number(old[1]);
}

class Normalizer {
  readonly #raw: unknown;
  readonly #limits: SchemaLimits;
  readonly #draft: number;
  readonly #refs: RefResolver;
  readonly #pointers = new WeakMap<object, string>();
  readonly #unknown: { pointer: string; keyword: string }[] = [];
  /** Target in the caller's schema -> name under $defs, in order of first use. */
  readonly #defs = new Map<object, { name: string; pointer: string }>();
  #subschemas = 0;
  readonly #totals = { properties: 0, enumValues: 0 };
  #refCount = 0;

  constructor(raw: unknown, limits: SchemaLimits) {
    this.#raw = raw;
    this.#limits = limits;
    this.#draft = draftOf(raw);
    this.#refs = new RefResolver(raw, limits.depth);
  }

  run(): Normalized {
    const root = this.#schema(this.#raw, '', this.#raw);
    const defs: Record<string, Schema> = {};
    // The map grows while its targets are normalised: refs inside refs.
    for (const [target, { name, pointer }] of this.#defs)
      defs[name] = this.#schema(target, pointer, this.#refs.baseOf(target));
    const schema = this.#defs.size === 0 || typeof root === 'boolean' ? root : { ...root, $defs: defs };
    if (typeof schema === 'object') this.#pointers.set(schema, '');
    return { schema, pointers: this.#pointers, unknown: this.#unknown, subschemas: this.#subschemas };
  }

  #schema(raw: unknown, pointer: string, base: unknown): Schema {
    if (++this.#subschemas > this.#limits.subschemas) {
      throw new SchemaProblem(pointer, 'schema', `more than ${this.#limits.subschemas} subschemas`);
    }
    if (typeof raw === 'boolean') return raw;
    if (!isRecord(raw)) throw new SchemaProblem(pointer, 'schema', 'a schema must be an object');
    const scope = this.#refs.startsResource(raw) ? raw : base;
    const out: SchemaObject = {};
    this.#pointers.set(out, pointer);
    if (typeof raw.$ref === 'string' && this.#draft <= 7) {
      // Siblings of $ref say nothing in these drafts.
      this.#ref(out, raw.$ref, step(pointer, '$ref'), '$ref', scope);
      return out;
    }
    for (const [keyword, value] of Object.entries(raw)) {
      if (ANNOTATIONS.has(keyword)) continue;
      if (!Object.hasOwn(ASSERTIONS, keyword)) {
        this.#unknown.push({ pointer: step(pointer, keyword), keyword });
        continue;
      }
      const at = step(pointer, keyword);
      const problem = shapeProblem(keyword, value);
      if (problem !== undefined) throw new SchemaProblem(at, keyword, `"${keyword}" ${problem}`);
      this.#keyword(out, keyword, value, at, scope, raw);
    }
    return out;
  }

  #keyword(
    out: SchemaObject,
    keyword: string,
    value: unknown,
    at: string,
    base: unknown,
    raw: Record<string, unknown>,
  ): void {
    switch (keyword) {
      case '$ref':
      case '$dynamicRef':
      case '$recursiveRef':
        this.#ref(out, value as string, at, keyword, base);
        return;
      case 'properties':
      case 'patternProperties':
      case 'dependentSchemas':
        if (keyword === 'properties') this.#count('properties', Object.keys(value as object).length, at);
        out[keyword] = this.#map(value as Record<string, unknown>, at, base);
        return;
      case 'dependencies':
        this.#dependencies(out, value, at, base);
        return;
      case 'items':
        if (Array.isArray(value)) out.prefixItems = this.#list(value, at, base);
        else out.items = this.#schema(value, at, base);
        return;
      case 'additionalItems':
        // Only beside a list of items does it say anything; in 2020-12 it is gone.
        if (Array.isArray(raw.items)) out.items = this.#schema(value, at, base);
        return;
      case 'allOf':
      case 'anyOf':
      case 'oneOf':
      case 'prefixItems':
        out[keyword] = this.#list(value as unknown[], at, base);
        return;
      case 'enum':
        this.#count('enumValues', (value as unknown[]).length, at);
        out.enum = value;
        return;
      case 'exclusiveMinimum':
      case 'exclusiveMaximum':
        this.#bound(out, keyword, value as number | boolean, raw);
        return;
      case 'minimum':
        if (raw.exclusiveMinimum !== true) out.minimum = value;
        return;
      case 'maximum':
        if (raw.exclusiveMaximum !== true) out.maximum = value;
        return;
      case 'pattern':
        if ((value as string).length > this.#limits.patternChars) {
          throw new SchemaProblem(at, 'pattern', `a pattern of more than ${this.#limits.patternChars} characters`);
        }
        out.pattern = value;
        return;
      default:
        out[keyword] = ASSERTIONS[keyword] === 'schema' ? this.#schema(value, at, base) : value;
    }
  }

  #count(what: 'properties' | 'enumValues', more: number, at: string): void {
    const total = this.#totals[what] + more;
    this.#totals[what] = total;
    if (total > this.#limits[what]) {
      const name = what === 'properties' ? 'properties' : 'enum';
      throw new SchemaProblem(
        at,
        name,
        `more than ${this.#limits[what]} ${what === 'properties' ? 'properties' : 'enum values'} in all`,
      );
    }
  }

  /** Draft 4 says `exclusiveMinimum: true` beside `minimum`. */
  #bound(
    out: SchemaObject,
    keyword: 'exclusiveMinimum' | 'exclusiveMaximum',
    value: number | boolean,
    raw: Record<string, unknown>,
  ) {
    if (typeof value === 'number') out[keyword] = value;
    else if (value) {
      const bound = raw[keyword === 'exclusiveMinimum' ? 'minimum' : 'maximum'];
      if (typeof bound === 'number') out[keyword] = bound;
    }
  }

  #map(map: Record<string, unknown>, at: string, base: unknown): Record<string, Schema> {
    const out: Record<string, Schema> = Object.create(null);
    for (const [name, each] of Object.entries(map)) out[name] = this.#schema(each, step(at, name), base);
    return out;
  }

  #list(list: unknown[], at: string, base: unknown): Schema[] {
    return list.map((each, index) => this.#schema(each, step(at, index), base));
  }

  #dependencies(out: SchemaObject, value: unknown, at: string, base: unknown): void {
    if (!isRecord(value)) throw new SchemaProblem(at, 'dependencies', '"dependencies" must be an object');
    const required: Record<string, unknown> = Object.create(null);
    const schemas: Record<string, Schema> = Object.create(null);
    for (const [name, each] of Object.entries(value)) {
      if (Array.isArray(each) && each.every((item) => typeof item === 'string')) required[name] = each;
      else schemas[name] = this.#schema(each, step(at, name), base);
    }
    if (Object.keys(required).length > 0) out.dependentRequired = required;
    if (Object.keys(schemas).length > 0) out.dependentSchemas = schemas;
  }

  #ref(out: SchemaObject, ref: string, at: string, keyword: string, base: unknown): void {
    if (++this.#refCount > this.#limits.refs)
      throw new SchemaProblem(at, keyword, `more than ${this.#limits.refs} references`);
    const { target, pointer } = this.#refs.resolve(ref, at, keyword, base);
    if (typeof target === 'boolean') {
      if (!target) out.not = true;
      return;
    }
    let entry = this.#defs.get(target as object);
    if (entry === undefined) {
      entry = { name: `r${this.#defs.size}`, pointer };
      this.#defs.set(target as object, entry);
    }
    out.$ref = `#/$defs/${entry.name}`;
  }
}
