/** Each keyword of JSON Schema has one verdict: enforced, checked after, or refused with its JSON pointer and its name. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from '@jest/globals';
import { GrammarCompilerPool } from '@tollgate/router/schema-gate/compiler';
import type { EngineDialect } from '@tollgate/router/schema-gate/dialect';
import { DOTTXT_RULES, OPENAI_RULES, SchemaGate, type SchemaRules } from '@tollgate/router/schema-gate/gate';
import { SCHEMA_CASES } from './schema-cases.ts';
import { KEYWORDS } from './schema-cases-drafts.ts';
import { PAGE, withMatrix } from './schema-table.ts';

const PINNED: EngineDialect = { engine: 'vllm', version: [0, 29], xgrammar: '0.2' };
const compiler = new GrammarCompilerPool();
const gate = new SchemaGate({ compiler });
afterAll(() => compiler.close());

async function verdict(schema: unknown, rules: SchemaRules): Promise<unknown> {
  const body = { response_format: { type: 'json_schema', json_schema: { name: 'case', schema } } };
  try {
    const result = await gate.gate(body, rules, PINNED, false);
    return result.verdict === 'enforced' ? 'enforced' : 'after';
  } catch (error) {
    const { code, param, message, metadata } = error as {
      code: string;
      param: string;
      message: string;
      metadata: { pointer: string; keyword: string };
    };
    expect(code).toBe('invalid_schema');
    expect(param).toBe(`response_format.json_schema.schema${metadata.pointer}`);
    expect(message).toContain(`"${metadata.keyword}"`);
    return { refused: metadata.pointer, keyword: metadata.keyword };
  }
}

describe('profile openai', () => {
  test.each(SCHEMA_CASES.map((each) => [each.keyword, each] as const))('%s', async (_, each) => {
    expect(await verdict(each.schema, OPENAI_RULES)).toEqual(each.openai);
  });
});

describe('profile dottxt refuses by name what the engine is not told', () => {
  test.each(SCHEMA_CASES.map((each) => [each.keyword, each] as const))('%s', async (_, each) => {
    expect(await verdict(each.schema, DOTTXT_RULES)).toEqual(each.dottxt ?? each.openai);
  });
});

/** What vLLM 0.29 with pinned XGrammar takes and both XGrammar lines read alike; a `properties` map is walked, not read. */
const PORTABLE = new Set([
  '$ref',
  '$defs',
  'anyOf',
  'enum',
  'type',
  'properties',
  'required',
  'additionalProperties',
  'minProperties',
  'maxProperties',
  'items',
  'prefixItems',
  'minItems',
  'maxItems',
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
]);

function keywordsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([keyword, value]) => {
    if (keyword === 'enum') return [keyword];
    const inner =
      keyword === 'properties' || keyword === '$defs' || Array.isArray(value) ? Object.values(value) : [value];
    return [keyword, ...inner.flatMap(keywordsOf)];
  });
}

test('every keyword of 2020-12, 2019-09 and draft 7 has its case', () => {
  const names = new Set(SCHEMA_CASES.flatMap(({ schema }) => keywordsOf(schema)));
  expect(KEYWORDS.filter((keyword) => !names.has(keyword))).toEqual([]);
});

test('docs/structured-output.md shows this matrix', () => {
  const page = readFileSync(PAGE, 'utf8');
  expect(page).toBe(withMatrix(page));
});

test('no engine is sent a keyword that it drops, misreads or refuses', async () => {
  for (const { schema, openai } of SCHEMA_CASES) {
    if (typeof openai !== 'string') continue;
    const body = { guided_json: schema };
    const { engineConstraint } = await gate.gate(body, OPENAI_RULES, PINNED, false);
    const sent = (engineConstraint.structured_outputs as { json: unknown }).json;
    expect(keywordsOf(sent).filter((keyword) => !PORTABLE.has(keyword))).toEqual([]);
  }
});
