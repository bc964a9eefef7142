/**
 * Turns a schema into the list of flat conjunctions of which a document must satisfy one: references beside other keywords are
 * put in place, `allOf` is joined, `anyOf` and `oneOf` are multiplied out.
 */
import { disjoint } from './disjoint.ts';
import { emptyFlat, type Flat, flatOf, isTrivial, join, type Lost } from './flat.ts';
import type { Normalized, Schema, SchemaObject } from './normalize.ts';
import { SchemaProblem } from './problem.ts';

/** More branches than this after multiplying out, and the keyword is left to the check after. */
const MAX_BRANCHES = 64;
/** Conjunctions looked at for one schema; real ones need hundreds. Chains of references can ask for exponentially many. */
const MAX_WORK = 3_000;

export class Alternatives {
  readonly #pointers: WeakMap<object, string>;
  readonly #defs: Record<string, Schema>;
  #work = 0;

  constructor(normalized: Normalized) {
    this.#pointers = normalized.pointers;
    const root = normalized.schema;
    this.#defs = typeof root === 'object' ? ((root.$defs as Record<string, Schema> | undefined) ?? {}) : {};
  }

  definition(ref: string): Schema {
    return this.#defs[ref.slice('#/$defs/'.length)]!;
  }

  #spend(): void {
    if (++this.#work > MAX_WORK)
      throw new SchemaProblem('', 'schema', 'its references and combinations are too many to put together');
  }

  /** `inside`: references that are being put in place already; `from`: where the schema came from when it is a joined one. */
  of(schema: Schema, from: string, inside: ReadonlySet<string> = new Set()): Flat[] {
    this.#spend();
    if (schema === true) return [emptyFlat(from)];
    if (schema === false) return [];
    const pointer = this.#pointers.get(schema) ?? from;
    const base = flatOf(schema, pointer);
    let found: Flat[] = [base];
    if (typeof schema.$ref === 'string') {
      found = this.#cross(found, [{ ...emptyFlat(pointer), ref: schema.$ref }], inside, {
        pointer: `${pointer}/$ref`,
        keyword: '$ref',
      });
    }
    for (const part of (schema.allOf as Schema[] | undefined) ?? []) {
      found = this.#cross(found, this.of(part, pointer, inside), inside, {
        pointer: `${pointer}/allOf`,
        keyword: 'allOf',
      });
    }
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      const branches = schema[keyword] as Schema[] | undefined;
      if (branches === undefined) continue;
      const at = { pointer: `${pointer}/${keyword}`, keyword };
      const each = branches.map((branch) => this.of(branch, pointer, inside));
      found = this.#cross(found, each.flat(), inside, at);
      if (keyword === 'oneOf' && !this.#exclusive(each, inside)) {
        found = found.map((flat) => ({ ...flat, lost: [...flat.lost, at] }));
      }
    }
    return found;
  }

  #cross(a: Flat[], b: Flat[], inside: ReadonlySet<string>, at: Lost): Flat[] {
    if (a.every((flat) => flat.ref === undefined && isTrivial(flat))) return a.length === 0 ? [] : b;
    if (b.length > 0 && b.every((flat) => flat.ref === undefined && isTrivial(flat))) return a;
    const left = this.#inlined(a, inside);
    const right = this.#inlined(b, inside);
    if (left === undefined || right === undefined || left.length * right.length > MAX_BRANCHES) {
      return a.map((flat) => ({ ...flat, lost: [...flat.lost, at] }));
    }
    return left.flatMap((one) => right.map((other) => this.#join(one, other)).filter((flat) => flat !== undefined));
  }

  #join(one: Flat, other: Flat): Flat | undefined {
    this.#spend();
    return join(one, other);
  }

  /** References replaced by what they stand for; undefined when one of them is inside itself. */
  #inlined(flats: Flat[], inside: ReadonlySet<string>): Flat[] | undefined {
    const out: Flat[] = [];
    for (const flat of flats) {
      if (flat.ref === undefined) {
        out.push(flat);
        continue;
      }
      if (inside.has(flat.ref)) return undefined;
      const deeper = new Set(inside).add(flat.ref);
      const more = this.#inlined(this.of(this.definition(flat.ref), flat.pointer, deeper), deeper);
      if (more === undefined) return undefined;
      for (const each of more) out.push({ ...each, lost: [...each.lost, ...flat.lost] });
    }
    return out;
  }

  /** Whether no document that is made from one branch can satisfy another one as well. */
  #exclusive(branches: Flat[][], inside: ReadonlySet<string>): boolean {
    const inlined = branches.map((flats) => this.#inlined(flats, inside));
    if (inlined.includes(undefined)) return false;
    const lists = inlined as Flat[][];
    const values = (schema: Schema) => this.#values(schema);
    return lists.every((one, i) =>
      lists.every((other, j) => i === j || one.every((a) => other.every((b) => disjoint(a, b, values)))),
    );
  }

  /** The finite list of values that a schema allows, when it says so plainly. */
  #values(schema: Schema): unknown[] | undefined {
    let node = schema;
    for (let hops = 0; typeof node === 'object' && typeof node.$ref === 'string' && hops < 8; hops++) {
      node = this.definition(node.$ref);
    }
    if (typeof node !== 'object') return undefined;
    const object: SchemaObject = node;
    return object.const !== undefined ? [object.const] : (object.enum as unknown[] | undefined);
  }
}
