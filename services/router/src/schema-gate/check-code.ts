/**
 * Compiles a normalised schema into the text of a check of documents. This is the dear part of a schema seen for the first
 * time, so it runs in the compile thread; `loadCheck` (validate.ts) makes a function of the text where answers are checked.
 * ajv does the work; what could be made to run for long in it is replaced: patterns run on the linear-time matcher,
 * `uniqueItems` hashes instead of comparing all pairs, and formats are the 14 that the gate knows. Schemas have passed
 * `lint`, so their size is bounded.
 */
import { Script } from 'node:vm';
import { _, type KeywordCxt } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { default as standalone } from 'ajv/dist/standalone/index.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { FORMATS } from './formats.ts';
import type { Schema } from './normalize.ts';
import { linearRegex } from './regex-linear.ts';

export interface CheckCode {
  /** JavaScript: an expression whose value is a function of the runtime that gives the validating function. */
  code: string;
  /** What V8 made of it, so that loading does not parse it again. */
  cached: Uint8Array | null;
}

/** Names under which the code finds what it needs; `loadCheck` passes them. */
export const CHECK_PARAMETERS = 'require, linearRegex, formats, allDifferent';

type StandaloneCode = (ajv: Ajv2020, validate: unknown) => string;
// A CommonJS default export, seen from an ES module.
const standaloneCode =
  (standalone as unknown as { default?: StandaloneCode }).default ?? (standalone as unknown as StandaloneCode);

/** An instance per schema: its scope would keep what every schema before it needed. */
function createAjv(): Ajv2020 {
  // ajv tells compiled patterns apart by their text.
  const regExp = Object.assign(
    (pattern: string) => ({ test: linearRegex(pattern).test, toString: () => `/${pattern}/` }),
    { code: 'linearRegex' },
  );
  const ajv = new Ajv2020({
    strict: false,
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    logger: false,
    ownProperties: true,
    // Without it ajv nests one block per keyword: thousands of properties overflow the stack of the JavaScript parser.
    allErrors: true,
    inlineRefs: false,
    loopRequired: 8,
    multipleOfPrecision: 10,
    code: { regExp: regExp as never, source: true, formats: _`formats` },
  });
  for (const name of FORMATS.keys()) ajv.addFormat(name, (fullFormats as unknown as Record<string, never>)[name]!);
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    code(cxt: KeywordCxt) {
      if (cxt.schema === true) cxt.pass(_`allDifferent(${cxt.data})`);
    },
  });
  return ajv;
}

/** Throws when ajv cannot compile the schema. */
export function checkCode(schema: Schema): CheckCode {
  const ajv = createAjv();
  const module = standaloneCode(ajv, ajv.compile(schema as object));
  const code = `(function (${CHECK_PARAMETERS}) { const module = { exports: null }; ${module}\nreturn module.exports; })`;
  return { code, cached: new Script(code).createCachedData() };
}
