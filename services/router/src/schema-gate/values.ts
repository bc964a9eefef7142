/** Which values of an `enum` satisfy what stands beside it. */
import { fullFormats } from 'ajv-formats/dist/formats.js';
import type { Flat } from './flat.ts';
import type { TypeName } from './keywords.ts';
import { linearRegex } from './regex-linear.ts';

export function typeOf(value: unknown): TypeName {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value as TypeName;
}

/** `no`: the value can be struck out; `unsure`: it must stay, and the document be checked after. */
export function allows(flat: Flat, value: unknown): 'yes' | 'no' | 'unsure' {
  if (!flat.types.has(typeOf(value))) return 'no';
  if (typeof value === 'number') return numberAllowed(flat, value) ? 'yes' : 'no';
  if (typeof value === 'string') return stringAllowed(flat, value) ? 'yes' : 'no';
  if (Array.isArray(value)) {
    const plain = flat.prefix.length === 0 && flat.items === undefined && flat.unique === undefined;
    if (value.length < flat.minItems || value.length > flat.maxItems) return 'no';
    return plain ? 'yes' : 'unsure';
  }
  if (typeof value === 'object' && value !== null) {
    const count = Object.keys(value).length;
    if (count < flat.minProperties || count > flat.maxProperties) return 'no';
    if ([...flat.required].some((name) => !Object.hasOwn(value, name))) return 'no';
    return flat.properties.size === 0 && flat.patternProperties.length === 0 && flat.additional === undefined
      ? 'yes'
      : 'unsure';
  }
  return 'yes';
}

function numberAllowed(flat: Flat, value: number): boolean {
  return (
    value >= flat.minimum &&
    value <= flat.maximum &&
    value > flat.exclusiveMinimum &&
    value < flat.exclusiveMaximum &&
    flat.multiples.every(({ of }) => Number.isInteger(value / of))
  );
}

function stringAllowed(flat: Flat, value: string): boolean {
  const length = [...value].length;
  return (
    length >= flat.minLength &&
    length <= flat.maxLength &&
    flat.patterns.every(({ source }) => linearRegex(source).test(value)) &&
    flat.formats.every(({ name }) => formatAllows(name, value))
  );
}

type Check = RegExp | ((text: string) => boolean) | { validate: RegExp | ((text: string) => boolean) } | boolean;

/** Whether ajv-formats takes the text; formats that the gate does not know allow everything. */
export function formatAllows(name: string, value: string): boolean {
  const entry = (fullFormats as unknown as Record<string, Check>)[name];
  if (entry === undefined || typeof entry === 'boolean') return true;
  const check = typeof entry === 'object' && 'validate' in entry ? entry.validate : entry;
  return check instanceof RegExp ? check.test(value) : check(value);
}
