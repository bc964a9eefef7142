/** Checks a finished document against the customer's schema, with the code that `check-code.ts` wrote for it. */
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { type CheckCode, checkCode } from './check-code.ts';
import { canonical } from './flat.ts';
import { scanJson } from './json-scan.ts';
import type { Schema } from './normalize.ts';
import { linearRegex } from './regex-linear.ts';

/** Where a document breaks its schema. Holds no text of the document beyond names of properties. */
export interface Violation {
  /** JSON pointer into the document. */
  pointer: string;
  keyword: string;
  message: string;
}

/** Looks at the whole text of an answer; undefined means valid. */
export type DocumentCheck = (text: string) => Violation | undefined;

/** A function that ajv wrote: `errors` tells of its last call. */
interface Validate {
  (document: unknown): boolean;
  errors?: { instancePath?: string; keyword?: string; message?: string }[] | null;
}

const require = createRequire(import.meta.url);
/** The parts of ajv that compiled code calls by name. Its own `equal` compares constructors: ours knows JSON alone. */
const RUNTIME = new Map<string, unknown>([
  ['ajv/dist/runtime/equal', { default: isSame }],
  ['ajv/dist/runtime/ucs2length', require('ajv/dist/runtime/ucs2length')],
]);

function runtimePart(name: string): unknown {
  const part = RUNTIME.get(name);
  if (part === undefined) throw new Error(`compiled check needs ${name}`);
  return part;
}

/** A pattern's automaton is built when the first document needs it. */
const lazyRegex = (pattern: string) => ({ test: (text: string) => linearRegex(pattern).test(text) });

const allDifferent = (items: unknown[]) => new Set(items.map(canonical)).size === items.length;

/** Deep equality of JSON values. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((each, i) => isSame(each, b[i]));
  }
  const entries = Object.entries(a);
  if (entries.length !== Object.keys(b).length) return false;
  return entries.every(([name, each]) => Object.hasOwn(b, name) && isSame(each, (b as Record<string, unknown>)[name]));
}

/** Makes the check of documents from its code: no compiling, V8's own form of it came along. */
export function loadCheck({ code, cached }: CheckCode): DocumentCheck {
  const script = new Script(code, cached === null ? {} : { cachedData: Buffer.from(cached) });
  const validate = script.runInThisContext()(runtimePart, lazyRegex, fullFormats, allDifferent) as Validate;
  return (text) => checkJson(text, validate);
}

/** Compiles a normalised schema into a check of documents, all in this thread. */
export function compileCheck(schema: Schema): DocumentCheck {
  return loadCheck(checkCode(schema));
}

function checkJson(text: string, validate: Validate | undefined): Violation | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { pointer: '', keyword: 'json', message: 'the answer is not valid JSON' };
  }
  const scanned = scanJson(text);
  if (scanned !== undefined) {
    const message = scanned.keyword === 'number' ? 'a number is too large' : 'a key stands twice in one object';
    return { ...scanned, message };
  }
  if (validate === undefined || validate(document)) return undefined;
  const [error] = validate.errors ?? [];
  return {
    pointer: error?.instancePath ?? '',
    keyword: error?.keyword ?? 'schema',
    message: error?.message ?? 'does not match',
  };
}

/** `json_object`: any JSON object. */
export const checkObject: DocumentCheck = (text) => {
  const violation = checkJson(text, undefined);
  if (violation !== undefined) return violation;
  return text.trimStart().startsWith('{')
    ? undefined
    : { pointer: '', keyword: 'type', message: 'the answer is not a JSON object' };
};

export const checkChoice =
  (choices: readonly string[]): DocumentCheck =>
  (text) =>
    choices.includes(text)
      ? undefined
      : { pointer: '', keyword: 'choice', message: 'the answer is none of the choices' };

/** Regular expressions sent as such match the whole answer. */
export function checkRegex(source: string): DocumentCheck {
  const regex = linearRegex(`^(?:${source})$`);
  return (text) =>
    regex.test(text) ? undefined : { pointer: '', keyword: 'regex', message: 'the answer does not match' };
}
