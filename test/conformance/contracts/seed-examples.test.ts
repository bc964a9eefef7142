/** The requests that the five descriptions show or put together from their own examples, sent as they stand. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MODEL } from '../../e2e/router-kit.ts';
import { type Contract, chunksOf, ENGINES, lastOf, startWorld, TICKET, TOOL, type World, wholeAnswer } from './kit.ts';

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  const messages = [{ role: 'user', content: 'Answer in JSON: what is broken?' }];
  /** Name, contract, the request, and what of it the worker gets. */
  const EXAMPLES: [string, Contract, Record<string, unknown>, Record<string, unknown>][] = [
    [
      'seed 000: every parameter of its list with its example, and the schema of its text',
      'dottxt',
      {
        model: 'Qwen/Qwen3-30B-A3B-FP8',
        messages,
        frequency_penalty: 0,
        max_tokens: 256,
        n: 1,
        presence_penalty: 0,
        response_format: { type: 'json_schema', json_schema: { name: 'ticket', schema: TICKET } },
        stop: ['@@'],
        stream: false,
        temperature: 0.7,
        tool_choice: 'none',
        tools: [TOOL],
        top_p: 1,
        user: 'a-unique-identifier',
      },
      { frequency_penalty: 0, max_tokens: 256, presence_penalty: 0, stop: ['@@'], temperature: 0.7, top_p: 1 },
    ],
    [
      'seed 001: every parameter of its table with its default',
      'dos-ai',
      {
        model: MODEL,
        messages,
        temperature: 1.0,
        top_p: 1.0,
        max_tokens: 100,
        stream: false,
        stop: null,
        tools: null,
        tool_choice: 'auto',
        response_format: null,
        frequency_penalty: 0,
        presence_penalty: 0,
        n: 1,
      },
      { temperature: 1, top_p: 1, frequency_penalty: 0, presence_penalty: 0, max_tokens: 100 },
    ],
    [
      'seed 002: every parameter of its list with its default',
      'rag',
      {
        model: '',
        rag_params: null,
        tools: [TOOL],
        tool_choice: 'auto',
        temperature: 0.2,
        top_p: 0.6,
        stream: false,
        max_tokens: 2048,
        stop: ['@@'],
        presence_penalty: 0,
        frequency_penalty: 0,
        logit_bias: { 42: -100 },
        chat_id: '',
        messages,
        max_completion_tokens: 100,
        n: 1,
        user: 'end-user',
      },
      { temperature: 0.2, top_p: 0.6, max_tokens: 100, stop: ['@@'], logit_bias: { 42: -100 }, tool_choice: 'auto' },
    ],
    [
      'seed 003: every parameter of its list with its example',
      'dmind',
      {
        model: MODEL,
        messages,
        stream: false,
        max_tokens: 1638,
        temperature: 0.6,
        top_p: 0.95,
        top_k: -1,
        min_p: 0.1,
        frequency_penalty: 0,
        presence_penalty: 0,
        stop: '@@',
        tool_choice: 'none',
        logprobs: true,
        top_logprobs: 2,
      },
      { max_tokens: 1638, temperature: 0.6, top_p: 0.95, top_k: -1, min_p: 0.1, logprobs: true, top_logprobs: 2 },
    ],
    [
      'seed 004: its own request, but for the name of the model',
      'arcee',
      {
        model: MODEL,
        messages: [
          {
            role: 'system',
            content: 'text',
            name: 'text',
            tool_calls: [{ id: 'text', type: 'function', function: { name: 'text', arguments: 'text' } }],
            tool_call_id: 'text',
          },
        ],
        max_tokens: 1,
        max_completion_tokens: 1,
        temperature: 1,
        top_p: 1,
        n: 1,
        stream: true,
        stop: 'text',
        presence_penalty: 1,
        frequency_penalty: 1,
        logit_bias: { 42: 1 },
        seed: 1,
        tools: [
          {
            type: 'function',
            function: {
              name: 'text',
              description: 'text',
              parameters: { type: 'object', properties: { ANY_ADDITIONAL_PROPERTY: 'anything' }, required: ['text'] },
            },
          },
        ],
        tool_choice: 'none',
        response_format: {
          type: 'text',
          json_schema: {
            name: 'text',
            description: 'text',
            schema: { ANY_ADDITIONAL_PROPERTY: 'anything' },
            strict: true,
          },
        },
        logprobs: true,
        top_logprobs: 1,
        reasoning_effort: 'minimal',
      },
      { max_tokens: 1, temperature: 1, stop: ['text'], presence_penalty: 1, seed: 1, logprobs: true, top_logprobs: 1 },
    ],
  ];

  test.each(EXAMPLES)('%s', async (_what, contract, body, sent) => {
    const headers: Record<string, string> = contract === 'rag' ? { 'x-user-id': 'u1', 'x-project-id': 'p1' } : {};
    const key = contract === 'rag' ? (await world.paidKey({ kind: 'service' })).text : world.key.text;
    const asked = () => world.call(contract, body, { key, headers });
    // Random weights write bytes that are no text into a document, or no end.
    const answer = contract === 'dottxt' ? await wholeAnswer(asked) : await asked();
    expect([answer.status, answer.status === 200 ? '' : answer.text]).toEqual([200, '']);
    expect(lastOf(world.sent)).toMatchObject({ model: MODEL, ...sent });
    const stayHere = ['user', 'chat_id', 'rag_params', 'max_completion_tokens', 'reasoning_effort'];
    for (const name of stayHere) expect(lastOf(world.sent)).not.toHaveProperty(name);
    if (body.stream === true) expect(chunksOf(answer.text).at(-1).object).toBe('chat.completion.chunk');
    else expect(answer.json.choices).toHaveLength(1);
    if (contract === 'dottxt' && answer.json.choices[0].finish_reason === 'stop')
      expect(Object.keys(JSON.parse(answer.json.choices[0].message.content))).toEqual(['category', 'summary', 'tags']);
  });
});
