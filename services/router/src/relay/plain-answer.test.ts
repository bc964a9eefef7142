import { expect, test } from '@jest/globals';
import { type PlainOptions, readPlainAnswer } from './plain-answer.ts';

const options: PlainOptions = { checks: null, shape: { sglang: false, reasoningField: 'reasoning' }, hasTools: false };

const answer = (choice: object, usage: object | null = { prompt_tokens: 5, completion_tokens: 3 }) =>
  Buffer.from(JSON.stringify({ id: 'x', choices: [{ index: 0, ...choice }], usage }));

test('a good answer keeps what it says, loses what engines add, and brings its counts', () => {
  const message = { role: 'assistant', content: 'ä', annotations: null, tool_calls: [], reasoning: null };
  const body = answer({ message, logprobs: null, finish_reason: 'stop', stop_reason: null, token_ids: null });
  const read = readPlainAnswer(body, options)!;
  expect(JSON.parse(Buffer.from(read.body, 'latin1').toString())).toEqual({
    id: 'x',
    choices: [
      { index: 0, message: { role: 'assistant', content: 'ä', refusal: null }, logprobs: null, finish_reason: 'stop' },
    ],
    usage: {
      prompt_tokens: 5,
      completion_tokens: 3,
      total_tokens: 8,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
    system_fingerprint: null,
  });
  expect(read.counts).toMatchObject({ promptTokens: 5, completionTokens: 3, cachedTokens: 0, final: true });
  expect(read.finishReasons).toEqual(['stop']);
});

test('a tool call that was cut ends with `length`', () => {
  const message = { content: null, tool_calls: [{ function: { name: 'f', arguments: '{"a":' } }] };
  const read = readPlainAnswer(answer({ message, finish_reason: 'tool_calls' }), options)!;
  expect(JSON.parse(read.body).choices[0].finish_reason).toBe('length');
});

test.each([
  ['without calls says tool_calls', { message: { content: '', tool_calls: [] }, finish_reason: 'tool_calls' }],
  ["is a call in the model's own words", { message: { content: '<tool_call>{"name": "f"' }, finish_reason: 'stop' }],
])('an answer that %s is not passed on as finished, where tools may be called', (_name, choice) => {
  const read = readPlainAnswer(answer(choice), { ...options, hasTools: true })!;
  expect(read.violation).toMatchObject({ keyword: 'tool_calls' });
  if (choice.finish_reason === 'stop') expect(readPlainAnswer(answer(choice), options)!.violation).toBeNull();
});

test.each([
  ['text', Buffer.from('<html>')],
  ['JSON that is no completion', Buffer.from('{"detail":"?"}')],
  ['null', Buffer.from('null')],
  ['an answer that the worker aborted', answer({ message: { content: '' }, finish_reason: 'abort' })],
])('%s is not an answer', (_name, body) => expect(readPlainAnswer(body, options)).toBeNull());

test('without usage the output is guessed from its text', () => {
  const read = readPlainAnswer(answer({ message: { content: 'x'.repeat(40) }, finish_reason: 'stop' }, null), options)!;
  expect(read).toMatchObject({ counts: null, guessedTokens: 10 });
});
