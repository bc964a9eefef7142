import { describe, expect, test } from '@jest/globals';
import { AppError } from '@tollgate/shared/domain/errors';
import type { CompileVerdict } from './compiler.ts';
import { type EngineDialect, SGLANG, VLLM } from './dialect.ts';
import { DOTTXT_RULES, OPENAI_RULES, SchemaGate, type SchemaRules } from './gate.ts';
import { InlineCompiler } from './inline-compiler.ts';
import type { StructuredRequest } from './request.ts';

const OLD_VLLM: EngineDialect = { engine: 'vllm', version: [0, 11], xgrammar: '0.1' };
const SCHEMA = { type: 'object', properties: { a: { type: 'boolean' } }, required: ['a'], additionalProperties: false };

/** The compile thread is real in compiler.test.ts; here only what is asked of it counts. */
function gateWith(verdict: CompileVerdict = { ok: true }) {
  const compiler = new InlineCompiler(verdict);
  return { gate: new SchemaGate({ compiler }), asked: compiler.asked };
}

const run = (body: StructuredRequest, engine = VLLM, rules: SchemaRules = OPENAI_RULES, allow = true) =>
  gateWith().gate.gate(body, rules, engine, allow);

async function refusal(promise: Promise<unknown>): Promise<{ code: string; param: string | null; message: string }> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  const { code, param, message } = error as AppError;
  return { code, param, message };
}

describe('every form in, each engine in its own words', () => {
  const format = { type: 'json_schema', json_schema: { name: 'x', schema: SCHEMA } };
  const json = [
    { response_format: format },
    { guided_json: SCHEMA },
    { guided_json: JSON.stringify(SCHEMA) },
    { structured_outputs: { json: SCHEMA } },
    { json_schema: SCHEMA },
  ];
  test.each(json)('a schema as %j', async (body) => {
    const [vllm, old, sglang] = await Promise.all([run(body), run(body, OLD_VLLM), run(body, SGLANG)]);
    expect(vllm.engineConstraint).toEqual({ structured_outputs: { json: SCHEMA, disable_any_whitespace: true } });
    expect(old.engineConstraint).toEqual({ guided_json: SCHEMA });
    expect(sglang.engineConstraint).toMatchObject({
      response_format: { type: 'json_schema', json_schema: { schema: SCHEMA, strict: true } },
    });
    expect([vllm.verdict, vllm.json, vllm.validator?.('{"a":true}')]).toEqual(['enforced', true, undefined]);
  });

  test.each([{ guided_regex: 'a|b' }, { structured_outputs: { regex: 'a|b' } }, { regex: 'a|b' }])(
    'a regular expression as %j',
    async (body) => {
      expect((await run(body)).engineConstraint).toEqual({ structured_outputs: { regex: 'a|b' } });
      expect((await run(body, OLD_VLLM)).engineConstraint).toEqual({ guided_regex: 'a|b' });
      expect((await run(body, SGLANG)).engineConstraint).toEqual({ regex: 'a|b' });
    },
  );

  test.each([
    { guided_grammar: 'root ::= "a"' },
    { structured_outputs: { grammar: 'root ::= "a"' } },
    { ebnf: 'root ::= "a"' },
  ])('a grammar as %j', async (body) => {
    expect((await run(body)).engineConstraint).toEqual({ structured_outputs: { grammar: 'root ::= "a"' } });
    expect((await run(body, OLD_VLLM)).engineConstraint).toEqual({ guided_grammar: 'root ::= "a"' });
    expect((await run(body, SGLANG)).engineConstraint).toEqual({ ebnf: 'root ::= "a"' });
  });

  test.each([{ guided_choice: ['a', 'b"\n'] }, { structured_outputs: { choice: ['a', 'b"\n'] } }])(
    'a choice as %j',
    async (body) => {
      expect((await run(body)).engineConstraint).toEqual({ structured_outputs: { choice: ['a', 'b"\n'] } });
      expect((await run(body, OLD_VLLM)).engineConstraint).toEqual({ guided_choice: ['a', 'b"\n'] });
      expect((await run(body, SGLANG)).engineConstraint).toEqual({ ebnf: 'root ::= "a" | "b\\"\\n"\n' });
      expect((await run(body)).validator?.('c')).toMatchObject({ keyword: 'choice' });
    },
  );

  test('any JSON object, and plain text', async () => {
    const object = await run({ response_format: { type: 'json_object' } });
    expect(object.engineConstraint).toEqual({
      structured_outputs: { json: { type: 'object', additionalProperties: {} }, disable_any_whitespace: true },
    });
    expect(object.validator?.('[]')).toMatchObject({ keyword: 'type' });
    expect((await run({ response_format: { type: 'text' }, guided_json: null })).engineConstraint).toEqual({});
  });
});

describe('refused before anything is generated', () => {
  test.each<[StructuredRequest, string, string]>([
    [{ response_format: 'json' }, 'invalid_request', 'response_format'],
    [{ response_format: { type: 'yaml' } }, 'invalid_request', 'response_format.type'],
    [{ response_format: { type: 'structural_tag' } }, 'unsupported_parameter', 'response_format.type'],
    [{ response_format: { type: 'json_schema' } }, 'invalid_request', 'response_format.json_schema'],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: null } } },
      'invalid_request',
      'response_format.json_schema.schema',
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'a b', schema: {} } } },
      'invalid_request',
      'response_format.json_schema.name',
    ],
    [
      { response_format: { type: 'json_schema', json_schema: { schema: {}, strict: 1 } } },
      'invalid_request',
      'response_format.json_schema.strict',
    ],
    [{ guided_json: '{' }, 'invalid_request', 'guided_json'],
    [{ guided_json: true }, 'invalid_schema', 'guided_json'],
    [{ guided_choice: [] }, 'invalid_request', 'guided_choice'],
    [{ guided_choice: [1] }, 'invalid_request', 'guided_choice'],
    [{ regex: '' }, 'invalid_request', 'regex'],
    [{ regex: '(?=a)b' }, 'invalid_schema', 'regex'],
    [{ ebnf: `root ::= "${'a'.repeat(5_000)}"` }, 'invalid_schema', 'ebnf'],
    [{ structured_outputs: {} }, 'invalid_request', 'structured_outputs'],
    [{ structured_outputs: { regex: 'a', choice: ['a'] } }, 'invalid_request', 'structured_outputs'],
    [{ structured_outputs: { structural_tag: '{}' } }, 'unsupported_parameter', 'structured_outputs.structural_tag'],
    [{ response_format: { type: 'json_object' }, regex: 'a' }, 'invalid_request', 'regex'],
  ])('%j', async (body, code, param) => {
    expect(await refusal(run(body))).toMatchObject({ code, param });
  });

  test('grammars of a key that may not send them', async () => {
    for (const body of [{ regex: 'a' }, { ebnf: 'root ::= "a"' }]) {
      expect(await refusal(run(body, VLLM, OPENAI_RULES, false))).toMatchObject({ code: 'unsupported_parameter' });
    }
  });

  test('what the compile thread cannot compile, and what it has no time for', async () => {
    const body = { guided_json: SCHEMA };
    const slow = gateWith({ ok: false, reason: 'too_slow' }).gate.gate(body, OPENAI_RULES, VLLM, true);
    expect(await refusal(slow)).toMatchObject({ code: 'invalid_schema', param: 'guided_json' });
    const busy = gateWith({ ok: false, reason: 'busy' }).gate.gate(body, OPENAI_RULES, VLLM, true);
    expect(await refusal(busy)).toMatchObject({ code: 'queue_full' });
  });
});

describe('profiles', () => {
  const strict = (schema: unknown, rules: SchemaRules, on: boolean | undefined) =>
    run({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict: on } } }, VLLM, rules);
  const open = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'object' } }, required: ['a'] };

  test('openai: strict asks for the subset, and says where it is left', async () => {
    expect(await refusal(strict(open, OPENAI_RULES, true))).toMatchObject({
      param: 'response_format.json_schema.schema/additionalProperties',
    });
    expect(await refusal(strict({ ...open, additionalProperties: false }, OPENAI_RULES, true))).toMatchObject({
      param: 'response_format.json_schema.schema/required',
    });
    expect((await strict(SCHEMA, OPENAI_RULES, true)).verdict).toBe('enforced');
    expect((await strict(open, OPENAI_RULES, undefined)).engineConstraint).not.toEqual({});
  });

  test('dottxt: enforced with or without strict, no subset', async () => {
    expect((await strict(SCHEMA, DOTTXT_RULES, undefined)).verdict).toBe('enforced');
    expect((await strict(open, DOTTXT_RULES, true)).verdict).toBe('validated_after');
  });

  test('a contract in which only strict is a promise sends the rest as a hint', async () => {
    const rules: SchemaRules = { ...DOTTXT_RULES, withoutStrict: 'hint' };
    const hint = await strict({ type: 'string', not: { const: 'a' } }, rules, false);
    expect([hint.validator, hint.verdict]).toEqual([null, 'validated_after']);
    expect(await refusal(strict({ type: 'string', not: { const: 'a' } }, rules, true))).toMatchObject({
      code: 'invalid_schema',
    });
  });
});

describe('a schema together with tools', () => {
  const parameters = {
    type: 'object',
    properties: { city: { type: 'string', not: { const: 'x' } } },
    required: ['city'],
  };
  const tools = [
    { type: 'function', function: { name: 'go', parameters } },
    { type: 'function', function: { name: 'stop' } },
  ];
  const body = { response_format: { type: 'json_object' }, tools };
  const formatOf = (constraint: Record<string, unknown>) =>
    JSON.parse((constraint.structured_outputs as { structural_tag: string }).structural_tag).format;

  test('free choice: one constraint that allows the document or calls, in the words of each engine', async () => {
    const made = await run(body);
    expect([made.verdict, made.besideTools, made.validator === null]).toEqual(['validated_after', true, false]);
    const [document, calls] = formatOf(made.engineConstraint).elements;
    expect(document).toEqual({ type: 'json_schema', json_schema: made.engineSchema });
    expect(calls).toMatchObject({ type: 'tags_with_separator', at_least_one: true, stop_after_first: false });
    expect(calls.tags.map(({ begin }: { begin: string }) => begin)).toEqual([
      '<tool_call>\n{"name": "go", "arguments": ',
      '<tool_call>\n{"name": "stop", "arguments": ',
    ]);
    // The parameters are rewritten for the engine as a document's schema is.
    expect(calls.tags[0].content.json_schema.properties.city).not.toHaveProperty('not');
    const sglang = await run(body, SGLANG);
    expect(sglang.engineConstraint.response_format).toMatchObject({ type: 'structural_tag', format: { type: 'or' } });
    const one = await run({ ...body, parallel_tool_calls: false });
    expect(formatOf(one.engineConstraint).elements[1].stop_after_first).toBe(true);
  });

  test('free choice where no engine has words for both: refused by name', async () => {
    expect(await refusal(run(body, OLD_VLLM))).toMatchObject({
      code: 'unsupported_parameter',
      param: 'response_format',
    });
    expect(await refusal(run({ tools, regex: 'a+' }))).toMatchObject({ code: 'unsupported_parameter', param: 'regex' });
    expect(await refusal(run(body, VLLM, DOTTXT_RULES))).toMatchObject({
      code: 'invalid_schema',
      param: 'tools[0].function.parameters/properties/city/not',
    });
  });

  test('free choice: refused, or checked after without a grammar, where the contract says so', async () => {
    const refusing: SchemaRules = { ...OPENAI_RULES, schemaWithTools: 'refuse' };
    expect(await refusal(run(body, VLLM, refusing))).toMatchObject({ code: 'unsupported_parameter' });
    const after = await run(body, VLLM, { ...OPENAI_RULES, schemaWithTools: 'check_after' });
    expect([after.engineConstraint, after.verdict, after.validator === null]).toEqual([{}, 'validated_after', false]);
  });

  test('no tool may be called: the schema holds', async () => {
    expect((await run({ ...body, tool_choice: 'none' })).engineConstraint).not.toEqual({});
  });

  test('a forced call: the tool is the constraint', async () => {
    for (const tool_choice of ['required', { type: 'function', function: { name: 'go' } }]) {
      expect(await run({ ...body, tool_choice })).toMatchObject({
        engineConstraint: {},
        validator: null,
        verdict: 'unconstrained',
      });
    }
  });
});

test('a schema is prepared once, and apart for each profile and engine', async () => {
  const { gate, asked } = gateWith();
  const body = { guided_json: SCHEMA };
  const first = await gate.gate(body, OPENAI_RULES, VLLM, false);
  expect(await gate.gate(structuredClone(body), OPENAI_RULES, VLLM, false)).toBe(first);
  expect(asked).toHaveLength(1);
  await gate.gate(body, OPENAI_RULES, SGLANG, false);
  await gate.gate(body, DOTTXT_RULES, VLLM, false);
  await gate.gate({ guided_json: { ...SCHEMA, required: [] } }, OPENAI_RULES, VLLM, false);
  expect(asked).toHaveLength(4);
});
