/** OpenAI's rules for `strict: true`: every object closed, every property required, no root `anyOf`, few keywords. */
import { forEachSchema } from './lint.ts';
import type { Normalized, Schema } from './normalize.ts';
import { SchemaProblem, step } from './problem.ts';

const FORBIDDEN = [
  'allOf',
  'oneOf',
  'not',
  'if',
  'dependentRequired',
  'dependentSchemas',
  'patternProperties',
  'propertyNames',
  'unevaluatedProperties',
  'unevaluatedItems',
  'contains',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'prefixItems',
];

/** Throws SchemaProblem at the first place that OpenAI would refuse. */
export function checkStrictSubset({ schema, pointers }: Normalized): void {
  if (typeof schema === 'boolean') throw new SchemaProblem('', 'schema', 'the schema must be an object');
  if (schema.anyOf !== undefined)
    throw new SchemaProblem('/anyOf', 'anyOf', 'with "strict": true the root may not be an "anyOf"');
  forEachSchema(schema, (node) => {
    const at = pointers.get(node) ?? '';
    for (const keyword of FORBIDDEN) {
      if (node[keyword] === undefined || node[keyword] === false) continue;
      throw new SchemaProblem(step(at, keyword), keyword, `"${keyword}" is not allowed with "strict": true`);
    }
    const properties = node.properties as Record<string, Schema> | undefined;
    const types = Array.isArray(node.type) ? node.type : [node.type];
    if (!types.includes('object') && properties === undefined) return;
    if (node.additionalProperties !== false) {
      const text = '"additionalProperties" is required to be supplied and to be false with "strict": true';
      throw new SchemaProblem(step(at, 'additionalProperties'), 'additionalProperties', text);
    }
    const required = new Set((node.required as string[] | undefined) ?? []);
    for (const name of Object.keys(properties ?? {})) {
      if (required.has(name)) continue;
      const text = `"required" must hold every property with "strict": true; "${name.slice(0, 64)}" is missing`;
      throw new SchemaProblem(step(at, 'required'), 'required', text);
    }
  });
}
