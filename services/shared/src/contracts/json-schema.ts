/** Zod schemas as JSON Schema, for documents. */
import { z } from 'zod';

/** What a schema takes, as JSON Schema 2020-12, which is OpenAPI 3.1's own dialect. */
export function jsonSchemaOf(schema: z.ZodType): Record<string, unknown> {
  const {
    $schema: _dialect,
    '~standard': _marker,
    ...rest
  } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
  }) as Record<string, unknown>;
  return rest;
}
