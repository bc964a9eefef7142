import { describe, expect, test } from '@jest/globals';
import { lintSchema } from './schema-lint.ts';

const lint = (schema: unknown, strict = false) =>
  lintSchema(typeof schema === 'string' ? schema : JSON.stringify(schema), { strict }).map(
    ({ severity, message }) => `${severity}: ${message}`,
  );

describe('schema lint', () => {
  test('a schema that is enforced as it stands has no findings', () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
      additionalProperties: false,
    };
    expect(lint(schema, true)).toEqual([]);
    expect(lint('')).toEqual([]);
    expect(lint('true')).toEqual([]);
  });

  test('broken text is shown where it breaks', () => {
    const [finding] = lintSchema('{"type": "object",}', { strict: false });
    expect(finding).toMatchObject({ severity: 'error', start: 18 });
  });

  test('unknown types, dangling references, bad patterns and empty choices are errors', () => {
    expect(lint({ type: 'str' })[0]).toContain('error: no type of JSON Schema');
    expect(lint({ $ref: '#/$defs/none' })).toEqual(['error: nothing lies at #/$defs/none']);
    expect(lint({ $ref: 'https://example.org/x' })).toEqual([
      'error: only references inside this document can be followed',
    ]);
    expect(lint({ pattern: '(' })).toEqual(['error: not a regular expression']);
    expect(lint({ enum: [] })[0]).toContain('error: "enum"');
    expect(lint({ anyOf: [] })[0]).toContain('error: "anyOf"');
    expect(lint({ properties: { a: 3 } })).toEqual(['error: a schema must be an object or true/false']);
  });

  test('what the decoder does not enforce is named, and slips are; annotations are left alone', () => {
    expect(lint({ type: 'array', uniqueItems: true })).toEqual([
      'warning: "uniqueItems" is checked when the answer is there, not while it is written',
    ]);
    expect(lint({ type: 'integer', minimun: 3 })).toEqual(['warning: "minimun" means nothing; is it "minimum"?']);
    expect(lint({ type: 'integer', maxlength: 3 })).toEqual(['warning: "maxlength" means nothing; is it "maxLength"?']);
    expect(lint({ type: 'integer', 'x-note': 1, unit: 'ms' })).toEqual([]);
  });

  test('strict asks for closed objects with every property required', () => {
    expect(lint({ type: 'object', properties: { a: {}, b: {} }, required: ['a'] }, true)).toEqual([
      'warning: strict: add "additionalProperties": false to this object',
      'warning: strict: "required" must also name b',
    ]);
    expect(lint({ type: 'object', properties: { a: {} }, required: ['z'] })).toEqual([
      'warning: "z" is required but not among the properties',
    ]);
  });
});
