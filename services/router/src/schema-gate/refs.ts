/** Finds what a `$ref` points at, inside the caller's own schema only: nothing is ever fetched. */
import { isRecord, SchemaProblem, step } from './problem.ts';

interface Place {
  target: unknown;
  pointer: string;
}

export class RefResolver {
  readonly #root: unknown;
  readonly #rootId: string | undefined;
  /** `$id` without fragment, and `#anchor` texts, each to where it is declared. */
  readonly #ids = new Map<string, Place>();
  readonly #bases = new WeakMap<object, unknown>();
  readonly #pointers = new WeakMap<object, string>();

  /** Walks the whole schema once; throws SchemaProblem when it is nested deeper than `maxDepth`. */
  constructor(root: unknown, maxDepth: number) {
    this.#root = root;
    this.#rootId = isRecord(root) ? idOf(root) : undefined;
    this.#index(root, '', root, maxDepth);
  }

  /** The nearest enclosing schema with an identifier of its own, or the root. */
  baseOf(target: unknown): unknown {
    return (isRecord(target) ? this.#bases.get(target) : undefined) ?? this.#root;
  }

  startsResource(schema: Record<string, unknown>): boolean {
    const id = schema === this.#root ? undefined : idOf(schema);
    return id !== undefined && !id.startsWith('#');
  }

  resolve(ref: string, at: string, keyword: string, base: unknown): Place {
    const found = this.#find(ref, base);
    if (found === undefined) {
      const local = ref.startsWith('#');
      const why = local
        ? 'points at nothing in this schema'
        : 'points outside this schema; only local references are followed';
      throw new SchemaProblem(at, keyword, `"${keyword}" ${why}`);
    }
    if (typeof found.target !== 'boolean' && !isRecord(found.target)) {
      throw new SchemaProblem(at, keyword, `"${keyword}" points at something that is not a schema`);
    }
    return found;
  }

  #index(node: unknown, pointer: string, base: unknown, left: number): void {
    if (typeof node !== 'object' || node === null) return;
    if (left <= 0) throw new SchemaProblem(pointer, 'schema', 'nested too deeply');
    if (Array.isArray(node)) {
      for (const [index, each] of node.entries()) this.#index(each, step(pointer, index), base, left - 1);
      return;
    }
    const schema = node as Record<string, unknown>;
    const inner = this.startsResource(schema) ? schema : base;
    this.#bases.set(schema, inner);
    this.#pointers.set(schema, pointer);
    const place = { target: schema, pointer };
    const id = idOf(schema);
    if (id !== undefined && !this.#ids.has(withoutHash(id))) this.#ids.set(withoutHash(id), place);
    for (const anchor of [schema.$anchor, schema.$dynamicAnchor]) {
      if (typeof anchor === 'string' && !this.#ids.has(`#${anchor}`)) this.#ids.set(`#${anchor}`, place);
    }
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'enum' || key === 'const' || key === 'default' || key === 'examples') continue;
      this.#index(value, step(pointer, key), inner, left - 1);
    }
  }

  #find(ref: string, base: unknown): Place | undefined {
    const hash = ref.indexOf('#');
    const address = hash < 0 ? ref : ref.slice(0, hash);
    const fragment = hash < 0 ? '' : ref.slice(hash + 1);
    if (address === '') {
      // An inner `$id` moves the base; authors who did not mean that are read as they meant it.
      return this.#fragment(fragment, base) ?? (base === this.#root ? undefined : this.#fragment(fragment, this.#root));
    }
    const resource = this.#resource(address);
    return resource === undefined ? undefined : this.#fragment(fragment, resource.target);
  }

  #resource(address: string): Place | undefined {
    const known = this.#ids.get(address) ?? this.#ids.get(`/${address}`);
    if (known !== undefined) return known;
    if (this.#rootId === undefined || !URL.canParse(this.#rootId)) return undefined;
    const absolute = URL.parse(address, this.#rootId)?.href;
    for (const [id, place] of this.#ids) if (URL.parse(id, this.#rootId)?.href === absolute) return place;
    return undefined;
  }

  #fragment(fragment: string, base: unknown): Place | undefined {
    const start = isRecord(base) ? (this.#pointers.get(base) ?? '') : '';
    if (fragment === '') return { target: base, pointer: start };
    if (!fragment.startsWith('/')) return this.#ids.get(`#${fragment}`);
    let node = base;
    let pointer = start;
    for (const raw of fragment.slice(1).split('/')) {
      const key = decode(raw).replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return undefined;
      node = (node as Record<string, unknown>)[key];
      pointer = step(pointer, key);
    }
    return { target: node, pointer };
  }
}

const idOf = (schema: Record<string, unknown>): string | undefined =>
  typeof schema.$id === 'string' ? schema.$id : typeof schema.id === 'string' ? schema.id : undefined;
const withoutHash = (id: string): string => (id.endsWith('#') && id.length > 1 ? id.slice(0, -1) : id);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
