/**
 * Checks a finished document against the customer's schema. ajv does the work; what could be made to run for long in it is replaced:
 * patterns run on the linear-time matcher, `uniqueItems` hashes instead of comparing all pairs, and formats are the 14 that the gate
 * knows. Schemas have passed `lint`, so their size is bounded.
 */

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { canonical } from './flat.ts';
import { FORMATS } from './formats.ts';
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

function createAjv(): Ajv2020 {
  const regExp = Object.assign(
    (pattern: string) => {
      const { test } = linearRegex(pattern);
      // ajv tells compiled patterns apart by their text.
      return { test, toString: () => `/${pattern}/` };
    },
    { code: 'linearRegex' },
  );
  const ajv = new Ajv2020({
    strict: false,
    validateSchema: false,
    addUsedSchema: false,
    logger: false,
    ownProperties: true,
    // Without it ajv nests one block per keyword: thousands of properties overflow the stack of the JavaScript parser.
    allErrors: true,
    inlineRefs: false,
    loopRequired: 8,
    multipleOfPrecision: 10,
    code: { regExp: regExp as never },
  });
  for (const name of FORMATS.keys()) ajv.addFormat(name, (fullFormats as unknown as Record<string, never>)[name]!);
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (unique: boolean, items: unknown[]) => !unique || new Set(items.map(canonical)).size === items.length,
  });
  return ajv;
}

let ajv: Ajv2020 | undefined;

/** Compiles a normalised schema into a check of documents. */
export function compileCheck(schema: Schema): DocumentCheck {
  ajv ??= createAjv();
  const validate = ajv.compile(schema as object);
  // The function keeps what it needs; ajv's own cache would keep every schema for ever.
  ajv.removeSchema(schema as object);
  return (text) => checkJson(text, validate);
}

function checkJson(text: string, validate: ValidateFunction | undefined): Violation | undefined {
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
