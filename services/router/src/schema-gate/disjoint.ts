/** Proofs that the documents which the engine makes from one branch of a `oneOf` never satisfy another branch. */
import { canonical, type Flat } from './flat.ts';
import type { TypeName } from './keywords.ts';
import type { Schema } from './normalize.ts';
import { typeOf } from './values.ts';

/** Whether what is written for `made` can never satisfy `other`. False when that is not plain to see. */
export function disjoint(made: Flat, other: Flat, values: (schema: Schema) => unknown[] | undefined): boolean {
  if (made.values !== undefined) return made.values.every((value) => refuses(other, value));
  const types = [...impliedTypes(made)].filter((type) => other.types.has(type));
  if (types.length === 0) return true;
  if (other.values !== undefined) return other.values.every((value) => !types.includes(typeOf(value)));
  if (types.every((type) => type === 'integer' || type === 'number')) return rangesApart(made, other);
  return types.length === 1 && types[0] === 'object' && objectsApart(made, other, values);
}

/** The types that the engine will write: a schema with `properties` and no `type` is written as an object. */
function impliedTypes(flat: Flat): ReadonlySet<TypeName> {
  if (flat.typed || (flat.properties.size === 0 && flat.required.size === 0)) return flat.types;
  return new Set<TypeName>(['object']);
}

function refuses(flat: Flat, value: unknown): boolean {
  const type = typeOf(value);
  if (!flat.types.has(type)) return true;
  return flat.values !== undefined && !flat.values.some((each) => canonical(each) === canonical(value));
}

function rangesApart(a: Flat, b: Flat): boolean {
  const low = (flat: Flat) => Math.max(flat.minimum, flat.exclusiveMinimum);
  const high = (flat: Flat) => Math.min(flat.maximum, flat.exclusiveMaximum);
  return low(a) > high(b) || low(b) > high(a);
}

function objectsApart(made: Flat, other: Flat, values: (schema: Schema) => unknown[] | undefined): boolean {
  const closed = made.additional === false || (made.additional === undefined && made.properties.size > 0);
  for (const name of other.required) {
    if (made.properties.has(name) || made.required.has(name)) continue;
    if (closed && made.patternProperties.length === 0) return true;
  }
  for (const name of made.required) {
    const theirs = other.properties.get(name);
    if (theirs === undefined) {
      if (other.additional === false && other.patternProperties.length === 0) return true;
      continue;
    }
    if (theirs === false) return true;
    const own = made.properties.get(name);
    const ours = own === undefined ? undefined : values(own);
    const allowed = values(theirs);
    if (ours === undefined || allowed === undefined) continue;
    const texts = new Set(allowed.map(canonical));
    if (ours.every((value) => !texts.has(canonical(value)))) return true;
  }
  return false;
}
