import type { StructuredRequest } from '../schema-gate/request.ts';
import { isAbsent, isObject, type JsonObject } from './checks.ts';

/** Every spelling in which a client may ask for a form of the answer: OpenAI's, vLLM's old and new, SGLang's. */
export const STRUCTURED_FIELDS = [
  'response_format',
  'structured_outputs',
  'guided_json',
  'guided_regex',
  'guided_choice',
  'guided_grammar',
  'regex',
  'ebnf',
  'json_schema',
] as const satisfies readonly (keyof StructuredRequest)[];

/** The `fields` that ask for a form of the answer, unchecked: the schema gate reads them. null = plain text is fine. */
export function readStructured(
  body: JsonObject,
  fields: readonly (typeof STRUCTURED_FIELDS)[number][],
): StructuredRequest | null {
  let structured: StructuredRequest | null = null;
  for (const name of fields) {
    const value = body[name];
    if (isAbsent(value) || (name === 'response_format' && isObject(value) && value.type === 'text')) continue;
    structured ??= {};
    structured[name] = value;
  }
  return structured;
}
