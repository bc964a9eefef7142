/**
 * Documents drawn at random from what the engine is sent, judged by plain ajv over the customer's own schema: where the gate says
 * "enforced" every one is valid; elsewhere none that is invalid counts as complete. The grammar engine is real (XGrammar 0.1.27).
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { EngineDialect } from '@tollgate/router/schema-gate/dialect';
import { type GateResult, OPENAI_RULES, SchemaGate } from '@tollgate/router/schema-gate/gate';
import { InlineCompiler } from '@tollgate/router/schema-gate/inline-compiler';
import { StructuredAnswer } from '@tollgate/router/schema-gate/outcome';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import { GrammarSampler } from '@tollgate/shared/xgrammar/sampler';
import { oracle } from '../sim/schemas/oracle.ts';
import { SCHEMA_CASES } from './schema-cases.ts';

const WASM: EngineDialect = { engine: 'vllm', version: [0, 29], xgrammar: '0.1' };
const seeds = counts(12, 200);
const gate = new SchemaGate({ compiler: new InlineCompiler() });
let sampler: GrammarSampler;
let drawn = 0;

beforeAll(async () => {
  sampler = await GrammarSampler.create();
});
afterAll(() => {
  sampler.dispose();
  recordProof({ name: 'Documents of enforced schemas are valid', count: drawn, seed: testSeed(), result: '0 invalid' });
});

const accepted = SCHEMA_CASES.filter(({ openai }) => typeof openai === 'string');

async function documents(result: GateResult): Promise<string[]> {
  const sent = (result.engineConstraint.structured_outputs as { json: unknown }).json;
  const compiled = await sampler.compile({ kind: 'schema', text: JSON.stringify(sent) });
  const texts: string[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const random = seededRandom(testSeed() + seed);
    const { text, complete } = await sampler.sample(compiled, { random, maxBytes: 3_000, windDownAfter: 120 });
    if (complete) texts.push(text);
  }
  compiled.dispose();
  return texts;
}

describe('random documents', () => {
  test.each(accepted.map((each) => [each.keyword, each] as const))('%s', async (_, { schema, openai, loose01 }) => {
    const body = { response_format: { type: 'json_schema', json_schema: { name: 'case', schema } } };
    const result = await gate.gate(body, OPENAI_RULES, WASM, false);
    expect(result.verdict).toBe(openai === 'enforced' && loose01 !== true ? 'enforced' : 'validated_after');
    const judge = oracle(schema);
    const texts = await documents(result);
    expect(texts.length).toBeGreaterThan(0);
    for (const text of texts) {
      const answer = new StructuredAnswer(result.validator, true);
      const complete = answer.push(text) && answer.finish('stop', null).kind === 'complete';
      if (result.verdict === 'enforced') expect({ text, complete }).toEqual({ text, complete: true });
      if (complete) expect({ text, valid: judge!(JSON.parse(text)) }).toEqual({ text, valid: true });
    }
    if (result.verdict === 'enforced') drawn += texts.length;
  });
});
