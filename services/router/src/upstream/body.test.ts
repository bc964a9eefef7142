import { describe, expect, test } from '@jest/globals';
import type { ChatRequest } from '../contract/request.ts';
import { dialectOf } from '../fleet/identity.ts';
import { type Constraint, writeConstraint } from '../schema-gate/constraint.ts';
import { chatBody, requestText } from './body.ts';
import { engineFailure, isRefusal, readErrorBody } from './failure.ts';

const request: ChatRequest = {
  model: 'm',
  messages: [{ role: 'user', content: 'hi' }],
  stream: true,
  usageInStream: 'hidden',
  choices: 1,
  maxTokens: null,
  minTokens: 0,
  sampling: { top_k: 0, include_stop_str_in_output: true, temperature: 0.5 },
  tools: null,
  toolChoice: null,
  parallelToolCalls: null,
  structured: null,
  thinking: false,
  needsWholeOutput: false,
};
const VLLM = dialectOf('vllm', '{"version":"0.32.1"}');
const OLD = dialectOf('vllm', '{"version":"0.11.2"}');
const SGLANG = dialectOf('sglang', '{"version":"0.5.21"}');

const bodyFor = (dialect: typeof VLLM, constraint: Parameters<typeof writeConstraint>[0] | null = null, priority = 0) =>
  JSON.parse(
    chatBody(
      request,
      requestText(request),
      9,
      constraint === null ? {} : writeConstraint(constraint, dialect),
      { cacheSalt: 'salt', requestId: 'req_1', priority },
      dialect,
    ),
  );

describe('one request in the words of each engine', () => {
  test('vLLM: its own names, its id in a header', () => {
    expect(bodyFor(VLLM)).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'hi' }],
      max_tokens: 9,
      top_k: 0,
      include_stop_str_in_output: true,
      temperature: 0.5,
      chat_template_kwargs: { enable_thinking: false },
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
      cache_salt: 'salt',
    });
  });

  test('SGLang: its id in the body, no limit is -1, stop strings are not trimmed', () => {
    const { top_k, include_stop_str_in_output, no_stop_trim, rid } = bodyFor(SGLANG);
    expect({ top_k, include_stop_str_in_output, no_stop_trim, rid }).toEqual({
      top_k: -1,
      include_stop_str_in_output: undefined,
      no_stop_trim: true,
      rid: 'chatcmpl-req_1',
    });
  });

  test('priority: lower is sooner for us and vLLM, higher for SGLang; usual priority is not sent', () => {
    expect([bodyFor(VLLM, null, -2).priority, bodyFor(SGLANG, null, -2).priority]).toEqual([-2, 2]);
    expect(bodyFor(VLLM)).not.toHaveProperty('priority');
  });

  test.each([
    [
      { kind: 'choice', choices: ['a', 'b'] } as Constraint,
      { structured_outputs: { choice: ['a', 'b'] } },
      { guided_choice: ['a', 'b'] },
      { ebnf: 'root ::= "a" | "b"\n' },
    ],
    [
      { kind: 'regex', text: 'a+' } as Constraint,
      { structured_outputs: { regex: 'a+' } },
      { guided_regex: 'a+' },
      { regex: 'a+' },
    ],
    [
      { kind: 'grammar', text: 'root ::= "a"' } as Constraint,
      { structured_outputs: { grammar: 'root ::= "a"' } },
      { guided_grammar: 'root ::= "a"' },
      { ebnf: 'root ::= "a"' },
    ],
    [
      { kind: 'schema', schema: { type: 'object' }, name: 'x' } as Constraint,
      { structured_outputs: { json: { type: 'object' }, disable_any_whitespace: true } },
      { guided_json: { type: 'object' } },
      {
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' }, strict: true } },
      },
    ],
  ])('a constraint: %j', (constraint, vllm, old, sglang) => {
    expect(bodyFor(VLLM, constraint)).toMatchObject(vllm);
    expect(bodyFor(OLD, constraint)).toMatchObject(old);
    expect(bodyFor(SGLANG, constraint)).toMatchObject(sglang);
    expect(bodyFor(OLD, constraint)).not.toHaveProperty('structured_outputs');
    expect(bodyFor(SGLANG, constraint)).not.toHaveProperty('structured_outputs');
  });
});

test('a worker that does not tell its version is taken for the oldest that is supported', () => {
  expect(dialectOf('vllm', '')).toEqual({ engine: 'vllm', version: [0, 29], xgrammar: '0.2' });
  expect(dialectOf('vllm', '{"version":"0.11.0"}').xgrammar).toBe('0.1');
});

describe('errors of SGLang', () => {
  test('are flat outside a stream', () => {
    const error = readErrorBody(
      '{"object":"error","message":"The input is too long","type":"BadRequestError","param":null,"code":400}',
    );
    expect([error.message, isRefusal(error)]).toEqual(['The input is too long', true]);
  });

  test('a full queue told inside a 200 is a busy worker, not a broken one', () => {
    const error = { object: 'error', message: 'The request queue is full.', type: 'SERVICE_UNAVAILABLE', code: 503 };
    expect(isRefusal(error)).toBe(false);
    expect(engineFailure(error)).toMatchObject({ reason: 'bad_status', status: 503 });
    expect(engineFailure({ ...error, code: 500 })).toMatchObject({ reason: 'engine_error' });
  });
});
