/**
 * Makes the schema that is sent to the engine from the customer's.
 *
 * Direction: what the engine may write is never *required* to be less than what the customer allows, except for narrowings that keep
 * every document valid (properties in the schema's order; no undeclared properties where `additionalProperties` is absent; a
 * missing `type` read from its neighbours; integers of at most 19 digits; the spellings that `formats.ts` and `regex-emit.ts` leave
 * out). Where a keyword cannot be said to the engine it is left out, so the engine may then write too much: each such place is a
 * finding, and the finished document is checked against the customer's own schema.
 */
import { Alternatives } from './alternatives.ts';
import type { EngineDialect } from './dialect.ts';
import { emitEnum } from './emit-enum.ts';
import { emitNumeric } from './emit-number.ts';
import { type CountBudget, emitString, MAX_COUNTED_IN_ALL } from './emit-string.ts';
import { prune } from './finite.ts';
import { emptyFlat, type Flat, type Lost, propertySchema } from './flat.ts';
import type { TypeName } from './keywords.ts';
import type { Normalized, Schema } from './normalize.ts';
import { SchemaProblem, step } from './problem.ts';
import { allows } from './values.ts';

export interface Finding {
  pointer: string;
  keyword: string;
  /** `dropped`: the engine is not told. `loose`: it is told, and has a known gap there. */
  how: 'dropped' | 'loose';
  reason: string;
}

/** A schema as sent to the engine: `false` cannot occur. */
export type EngineSchema = Record<string, unknown>;

export interface Enforceable {
  schema: EngineSchema;
  /** Empty: every document that the engine writes in full satisfies the customer's schema. */
  findings: Finding[];
}

export type Note = (finding: Finding) => void;

/** More nodes than this in the engine's schema and what is left over is left to the check after. */
const MAX_NODES = 8_000;
const MAX_NESTING = 64;

/** Throws SchemaProblem when the schema allows no document at all, or none that ends. */
export function enforceable(normalized: Normalized, dialect: EngineDialect): Enforceable {
  const unsatisfiable = new Set<string>();
  // Each round strikes out the definitions that the round before proved empty or endless; a handful suffices in practice.
  for (let round = 0; round < 10; round++) {
    const builder = new Builder(normalized, dialect, unsatisfiable);
    const made = builder.build();
    const endless = made === undefined ? builder.empty : [...builder.empty, ...prune(made.schema)];
    const fresh = endless.filter((name) => !unsatisfiable.has(name));
    if (made === undefined && fresh.length === 0) break;
    if (fresh.length === 0 && made !== undefined) return made;
    for (const name of fresh) unsatisfiable.add(name);
  }
  throw new SchemaProblem('', 'schema', 'no finite document can satisfy this schema');
}

class Builder {
  readonly #normalized: Normalized;
  readonly #alternatives: Alternatives;
  readonly #dialect: EngineDialect;
  readonly #unsatisfiable: ReadonlySet<string>;
  readonly #findings = new Map<string, Finding>();
  readonly #queued = new Set<string>();
  readonly #budget: CountBudget = { left: MAX_COUNTED_IN_ALL };
  #nodes = 0;
  /** Names of definitions that turned out to allow nothing. */
  readonly empty: string[] = [];

  constructor(normalized: Normalized, dialect: EngineDialect, unsatisfiable: ReadonlySet<string>) {
    this.#normalized = normalized;
    this.#alternatives = new Alternatives(normalized);
    this.#dialect = dialect;
    this.#unsatisfiable = unsatisfiable;
  }

  build(): Enforceable | undefined {
    const root = this.#emit(this.#normalized.schema, '', 0);
    const defs: Record<string, EngineSchema> = {};
    for (const name of this.#queued) {
      const made = this.#emit(this.#alternatives.definition(`#/$defs/${name}`), '', 0);
      if (made === undefined) this.empty.push(name);
      else defs[name] = made;
    }
    if (root === undefined) return undefined;
    const schema = this.#queued.size === 0 ? root : { ...root, $defs: defs };
    return { schema, findings: [...this.#findings.values()] };
  }

  readonly #note: Note = (finding) => {
    const key = `${finding.pointer} ${finding.keyword} ${finding.reason}`;
    if (!this.#findings.has(key)) this.#findings.set(key, finding);
  };

  #dropped({ pointer, keyword }: Lost): void {
    this.#note({ pointer, keyword, how: 'dropped', reason: 'not enforced by the engine' });
  }

  #emit(schema: Schema, from: string, nesting: number): EngineSchema | undefined {
    if (nesting > MAX_NESTING || this.#nodes > MAX_NODES) {
      this.#note({
        pointer: from,
        keyword: 'allOf',
        how: 'dropped',
        reason: 'too large once its parts are put together',
      });
      return {};
    }
    const options: EngineSchema[] = [];
    const texts = new Set<string>();
    for (const flat of this.#alternatives.of(schema, from)) {
      for (const made of this.#emitFlat(flat, nesting)) {
        const parts = isOnlyAnyOf(made) ? (made.anyOf as EngineSchema[]) : [made];
        for (const part of parts) {
          const text = JSON.stringify(part);
          if (!texts.has(text)) options.push(part);
          texts.add(text);
        }
      }
    }
    this.#nodes += options.length;
    return options.length > 1 ? { anyOf: options } : options[0];
  }

  #emitFlat(flat: Flat, nesting: number): EngineSchema[] {
    for (const lost of flat.lost) this.#dropped(lost);
    if (flat.ref !== undefined) {
      const name = flat.ref.slice('#/$defs/'.length);
      if (this.#unsatisfiable.has(name)) return [];
      this.#queued.add(name);
      return [{ $ref: flat.ref }];
    }
    if (flat.values !== undefined) return this.#emitValues(flat, flat.values);
    const types = typesOf(flat);
    if (types === undefined) {
      this.#note({ pointer: flat.pointer, keyword: 'type', how: 'loose', reason: 'any value is allowed here' });
      return [{}];
    }
    return types.map((type) => this.#emitType(flat, type, nesting)).filter((made) => made !== undefined);
  }

  #emitValues(flat: Flat, values: unknown[]): EngineSchema[] {
    const kept = values.filter((value) => {
      const verdict = allows(flat, value);
      if (verdict === 'unsure') this.#dropped({ pointer: `${flat.pointer}/enum`, keyword: 'enum' });
      return verdict !== 'no';
    });
    const made = emitEnum(kept, `${flat.pointer}/enum`, this.#dialect, this.#note);
    return made === undefined ? [] : [made];
  }

  #emitType(flat: Flat, type: TypeName, nesting: number): EngineSchema | undefined {
    switch (type) {
      case 'integer':
      case 'number':
        return emitNumeric(flat, type, this.#dialect, this.#note);
      case 'string':
        return emitString(flat, this.#dialect, this.#note, this.#budget);
      case 'array':
        return this.#emitArray(flat, nesting + 1);
      case 'object':
        return this.#emitObject(flat, nesting + 1);
      default:
        return { type };
    }
  }

  #emitArray(flat: Flat, nesting: number): EngineSchema | undefined {
    let max = flat.maxItems;
    const prefix: EngineSchema[] = [];
    for (const [index, schema] of flat.prefix.entries()) {
      const made = index < max ? this.#emit(schema, flat.pointer, nesting) : undefined;
      if (made === undefined) {
        max = Math.min(max, index);
        break;
      }
      prefix.push(made);
    }
    // A fixed list without `items` is closed, as engines in strict mode close it, unless more are asked for.
    const closed = flat.items === undefined && prefix.length > 0 && flat.minItems <= prefix.length;
    const items = closed || max <= prefix.length ? undefined : this.#emit(flat.items ?? true, flat.pointer, nesting);
    if (items === undefined) max = Math.min(max, prefix.length);
    if (flat.minItems > max) return undefined;
    if (flat.unique !== undefined && max > 1) this.#dropped(flat.unique);
    const out: EngineSchema = { type: 'array' };
    if (prefix.length > 0) out.prefixItems = prefix;
    if (items !== undefined || max === 0 || prefix.length > 0) out.items = items ?? false;
    if (flat.minItems > 0) out.minItems = flat.minItems;
    if (items !== undefined && max !== Number.POSITIVE_INFINITY) out.maxItems = max;
    return max === 0 ? { enum: [[]] } : out;
  }

  #emitObject(flat: Flat, nesting: number): EngineSchema | undefined {
    const properties: Record<string, EngineSchema> = Object.create(null);
    const names = [...flat.properties.keys(), ...[...flat.required].filter((name) => !flat.properties.has(name))];
    for (const name of names) {
      const made = this.#emit(propertySchema(flat, name), step(`${flat.pointer}/properties`, name), nesting);
      if (made !== undefined) properties[name] = made;
      else if (flat.required.has(name)) return undefined;
    }
    const declared = Object.keys(properties).length;
    const others = this.#others(flat, declared, nesting);
    if (others === undefined && flat.minProperties > declared) return undefined;
    if (flat.required.size > flat.maxProperties) return undefined;
    const out: EngineSchema = { type: 'object' };
    if (declared > 0) out.properties = properties;
    if (flat.required.size > 0) out.required = [...flat.required];
    out.additionalProperties = others ?? false;
    if (flat.minProperties > flat.required.size) out.minProperties = flat.minProperties;
    const most = others === undefined ? declared : Number.POSITIVE_INFINITY;
    if (flat.maxProperties < most) {
      // XGrammar miscounts some of these; what comes is checked.
      if (declared > 0)
        this.#note({
          pointer: `${flat.pointer}/maxProperties`,
          keyword: 'maxProperties',
          how: 'loose',
          reason: 'counted loosely',
        });
      out.maxProperties = flat.maxProperties;
    }
    return out;
  }

  /** What undeclared properties may hold; undefined when there may be none. */
  #others(flat: Flat, declared: number, nesting: number): EngineSchema | true | undefined {
    const open = flat.additional ?? (declared === 0 || flat.minProperties > declared);
    const options: EngineSchema[] = [];
    for (const [source, schema] of flat.patternProperties) {
      this.#dropped({ pointer: step(`${flat.pointer}/patternProperties`, source), keyword: 'patternProperties' });
      const made = this.#emit(schema, flat.pointer, nesting);
      if (made !== undefined) options.push(made);
    }
    if (open !== false && !(flat.additional === undefined && flat.patternProperties.length > 0)) {
      const made = this.#emit(open === true ? true : open, `${flat.pointer}/additionalProperties`, nesting);
      if (made !== undefined) options.push(made);
    }
    if (options.length === 0 || flat.maxProperties <= flat.required.size) return undefined;
    this.#note({
      pointer: `${flat.pointer}/additionalProperties`,
      keyword: 'additionalProperties',
      how: 'loose',
      reason: 'the engine may write the same key twice',
    });
    return options.length === 1 ? options[0] : { anyOf: options };
  }
}

const isOnlyAnyOf = (schema: EngineSchema): boolean => schema.anyOf !== undefined && Object.keys(schema).length === 1;

/** The types to write, or undefined for "anything". Without a type, the keywords that are there say which type is meant. */
function typesOf(flat: Flat): TypeName[] | undefined {
  if (flat.typed) return [...flat.types].filter((type) => type !== 'integer' || !flat.types.has('number'));
  const blank = emptyFlat(flat.pointer);
  const differs = (keys: (keyof Flat)[]) =>
    keys.some((key) => {
      const value = flat[key];
      if (value instanceof Map || value instanceof Set) return value.size > 0;
      return Array.isArray(value) ? value.length > 0 : value !== blank[key];
    });
  const types: TypeName[] = [];
  if (differs(['properties', 'patternProperties', 'additional', 'required', 'minProperties', 'maxProperties']))
    types.push('object');
  if (differs(['prefix', 'items', 'minItems', 'maxItems', 'unique'])) types.push('array');
  if (differs(['minLength', 'maxLength', 'patterns', 'formats'])) types.push('string');
  if (differs(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multiples'])) types.push('number');
  return types.length === 0 ? undefined : types;
}
