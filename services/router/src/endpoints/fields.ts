/** Reads a body by a table of its fields: what is not in the table is refused by name, as the contract says. */
import { invalid, isAbsent, isObject, type JsonObject, unsupported, wrongType } from '../contract/checks.ts';
import type { ContractProfile } from '../contract/profile.ts';
import type { GenerationRequest, RequestLabels } from '../contract/request.ts';

/**
 * What becomes of a field: a function reads its value (null and absent never reach it); `drop` takes it and does
 * nothing; a text says why it is refused.
 */
export type FieldRule = ((value: unknown) => unknown) | 'drop' | { refuse: string };
export type FieldTable = ReadonlyMap<string, FieldRule>;

export function fieldTable(rules: Readonly<Record<string, FieldRule>>): FieldTable {
  return new Map(Object.entries(rules));
}

/** Values of the fields that were read, by name. `own` goes before the profile's readers of the names in `shared`. */
export function readFields(
  body: unknown,
  own: FieldTable,
  shared: ReadonlySet<string>,
  profile: ContractProfile,
): Record<string, unknown> {
  if (!isObject(body)) throw wrongType('body', 'an object', body);
  const read: Record<string, unknown> = {};
  for (const name of Object.keys(body)) {
    const rule = own.get(name) ?? (shared.has(name) ? profile.readers.get(name) : undefined);
    const value = body[name];
    if (rule === undefined) {
      if (profile.refusesUnknown) throw unsupported(name.slice(0, 64), 'It is not known here.');
    } else if (typeof rule === 'object') {
      if (!isAbsent(value)) throw unsupported(name, rule.refuse);
    } else if (rule !== 'drop' && !isAbsent(value)) read[name] = rule(value);
  }
  return read;
}

/** The values of these names that were read, for the worker under the same names. */
export function pick(read: Readonly<Record<string, unknown>>, names: ReadonlySet<string>): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const name in read) if (names.has(name)) picked[name] = read[name];
  return picked;
}

/** `,"name":value` for each, as the rest of a JSON object. */
export function jsonFields(fields: Readonly<Record<string, unknown>>): string {
  let text = '';
  for (const name in fields) text += `,"${name}":${JSON.stringify(fields[name])}`;
  return text;
}

const MAX_LABEL = 256;

/** The client's own words for its user, for the log, and for its conversation. */
export function clientLabels(user: unknown, session?: unknown): RequestLabels | null {
  const labels: RequestLabels = {};
  if (typeof user === 'string') labels.user = user.slice(0, MAX_LABEL);
  if (typeof session === 'string') labels.session = session.slice(0, MAX_LABEL);
  return labels.user === undefined && labels.session === undefined ? null : labels;
}

/** A whole number of tokens of a vocabulary. */
export function readTokenIds(path: string, value: readonly unknown[]): number[] {
  for (const id of value) {
    if (!Number.isSafeInteger(id) || (id as number) < 0) throw invalid(path, 'token ids are whole numbers from 0 on.');
  }
  return value as number[];
}

/** What a generation without chat's possibilities has of them. */
export const NO_TOOLS: Pick<GenerationRequest, 'tools' | 'toolChoice' | 'structured'> = {
  tools: null,
  toolChoice: null,
  structured: null,
};

export const bodyOf = (body: unknown): JsonObject => body as JsonObject;
