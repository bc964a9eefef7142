/**
 * How large a customer's schema may be. Each bound keeps one cost down: parsing and walking here, compiling a validator here, and
 * compiling a grammar in the worker (deep schemas have crashed engines). OpenAI's own bounds lie below most of these.
 */
export interface SchemaLimits {
  /** Length of the schema as JSON text. */
  chars: number;
  /** Nesting of objects and arrays in the schema's JSON. */
  depth: number;
  /** Subschemas, counted with what refs repeat. */
  subschemas: number;
  /** Names under `properties`, in all. */
  properties: number;
  refs: number;
  /** Values under `enum`, in all. */
  enumValues: number;
  patternChars: number;
  /** Size of all patterns once repetitions are written out. */
  patternSize: number;
  patternProperties: number;
}

export const DEFAULT_LIMITS: SchemaLimits = {
  chars: 65_536,
  depth: 48,
  subschemas: 4_000,
  properties: 3_000,
  refs: 2_000,
  enumValues: 5_000,
  patternChars: 1_000,
  patternSize: 40_000,
  patternProperties: 100,
};

/** Regular expressions and grammars sent as such (`structured_outputs`, `ebnf`): DESIGN section 15. */
export const GRAMMAR_CHARS = 4_096;
export const GRAMMAR_COMPILE_MS = 200;
