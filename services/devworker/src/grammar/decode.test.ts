/** Real XGrammar in its thread: whatever the seed, a document parses and is valid, and ends by itself. */
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { ConstraintError } from './constraint.ts';
import { createGrammarClient } from './pool.ts';

// A machine with other work may be slow; nothing here measures time.
jest.setTimeout(60_000);

const grammar = createGrammarClient();
afterAll(() => grammar.close());

const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as (target: Ajv2020) => void)(ajv);

const SCHEMAS: Record<string, object> = {
  person: {
    type: 'object',
    properties: {
      name: { type: 'string', maxLength: 12 },
      age: { type: 'integer', minimum: 0, maximum: 130 },
      email: { type: 'string', format: 'email' },
      born: { type: 'string', format: 'date' },
    },
    required: ['name', 'age', 'email', 'born'],
    additionalProperties: false,
  },
  optional: {
    type: 'object',
    properties: { a: { type: 'boolean' }, b: { type: 'number' }, c: { enum: ['x', 1, null, 'é'] } },
    additionalProperties: false,
  },
  nested: {
    type: 'array',
    minItems: 2,
    maxItems: 4,
    items: {
      type: 'object',
      properties: {
        tags: { type: 'array', items: { type: 'string', minLength: 3 } },
        at: { type: 'string', format: 'date-time' },
      },
      required: ['tags', 'at'],
      additionalProperties: false,
    },
  },
  recursive: {
    $defs: {
      node: {
        type: 'object',
        properties: { v: { type: 'string' }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
        required: ['v', 'next'],
        additionalProperties: false,
      },
    },
    $ref: '#/$defs/node',
  },
  patterns: {
    type: 'object',
    properties: {
      sku: { type: 'string', pattern: '^[A-Z]{2}-[0-9]{4}$' },
      free: { type: 'string', pattern: '^.*$' },
      either: { type: 'string', pattern: '^(on|off)$' },
      odd: { type: 'string', pattern: '^[^a]+\\.x\\S\\d$' },
    },
    required: ['sku', 'free', 'either', 'odd'],
    additionalProperties: false,
  },
  open: { type: 'object', properties: { id: { type: 'integer', minimum: 1000, maximum: 1999 } }, required: ['id'] },
  numbers: {
    type: 'object',
    properties: {
      small: { type: 'integer', minimum: -5, maximum: 5 },
      positive: { type: 'integer', exclusiveMinimum: 0 },
      any: { type: 'number' },
    },
    required: ['small', 'positive', 'any'],
    additionalProperties: false,
  },
  anything: {},
};

const validators = Object.fromEntries(Object.entries(SCHEMAS).map(([name, schema]) => [name, ajv.compile(schema)]));

describe('a document under a schema', () => {
  test.each(Object.keys(SCHEMAS))('%s: parses, is valid and complete for any seed', async (name) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.integer({ min: 20, max: 400 }),
        async (seed, softLimit) => {
          const schema = JSON.stringify(SCHEMAS[name]);
          const { text, complete } = await grammar.decode({ constraint: { kind: 'json', schema }, seed, softLimit });
          expect(complete).toBe(true);
          const validate = validators[name]!;
          const valid = validate(JSON.parse(text));
          expect({ text, valid, errors: validate.errors ?? null }).toEqual({ text, valid: true, errors: null });
          expect(text.length).toBeLessThan(1500);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('the same seed says the same, another seed something else', async () => {
    const constraint = { kind: 'json', schema: JSON.stringify(SCHEMAS.person) } as const;
    const texts = new Set<string>();
    for (let seed = 0; seed < 8; seed++) texts.add((await grammar.decode({ constraint, seed, softLimit: 300 })).text);
    expect(texts.size).toBeGreaterThan(4);
  });
});

describe('other constraints', () => {
  test('a regular expression, a choice and a grammar are obeyed', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const ask = async (constraint: Parameters<typeof grammar.decode>[0]['constraint']) =>
        (await grammar.decode({ constraint, seed, softLimit: 100 })).text;
      expect(await ask({ kind: 'regex', pattern: '[a-c]{3}-[0-9]{2}' })).toMatch(/^[a-c]{3}-\d\d$/);
      expect(['red', 'green', 'blue']).toContain(await ask({ kind: 'choice', choices: ['red', 'green', 'blue'] }));
      expect(await ask({ kind: 'grammar', ebnf: 'root ::= "SELECT " ("a" | "b") " FROM t"' })).toMatch(
        /^SELECT [ab] FROM t$/,
      );
    }
  });

  test('what XGrammar refuses is refused in its words, and the next request finds a new thread', async () => {
    const bad = grammar.decode({ constraint: { kind: 'regex', pattern: '[a-' }, seed: 1, softLimit: 10 });
    const behind = grammar.decode({ constraint: { kind: 'choice', choices: ['x'] }, seed: 1, softLimit: 10 });
    await expect(bad).rejects.toThrow(
      /^\[\d\d:\d\d:\d\d\] <path>:83: Regex parsing error at position 4: Unclosed '\['$/,
    );
    await expect(bad).rejects.toBeInstanceOf(ConstraintError);
    await expect(behind).resolves.toMatchObject({ text: 'x' });
  });
});
