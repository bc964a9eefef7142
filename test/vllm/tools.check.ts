/** Tools on a real vLLM with the hermes parser: calls whole or told as cut, streamed and not. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { counts } from '@tollgate/shared/testkit/counts';
import { ask, chunksOf, startWorld, TOOL, type World } from '../conformance/contracts/kit.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({}, 'real vLLM');
});
afterAll(() => world.stop());

const NAMED = { type: 'function', function: { name: 'get_weather' } };
const seeds = counts(10, 100);

/** Arguments of the calls of one answer, and how it says that it ended. */
async function called(more: Record<string, unknown>): Promise<{ reason: string; calls: string[] }> {
  const answer = await world.call('openai', ask({ tools: [TOOL], max_tokens: 300, temperature: 1, ...more }));
  const unread = answer.status === 200 ? chunksOf(answer.text).at(-1)?.error : answer.json.error;
  if (unread !== undefined) {
    expect(unread).toMatchObject({ code: 'invalid_output', metadata: { keyword: 'tool_calls' } });
    return { reason: 'error', calls: [] };
  }
  if (more.stream !== true) {
    const [{ finish_reason: reason, message }] = answer.json.choices;
    return {
      reason,
      calls: (message.tool_calls ?? []).map((call: { function: { arguments: string } }) => call.function.arguments),
    };
  }
  const calls: string[] = [];
  let reason = '';
  for (const { choices } of chunksOf(answer.text)) {
    for (const { delta, finish_reason } of choices) {
      reason ||= finish_reason ?? '';
      for (const { index, function: fn } of delta.tool_calls ?? []) calls[index] = (calls[index] ?? '') + fn.arguments;
    }
  }
  return { reason, calls };
}

test.each([
  ['required', 'required', false],
  ['required, streamed', 'required', true],
  ['named', NAMED, false],
  ['named, streamed', NAMED, true],
] as const)(
  'tools: %s: a call that ends as finished has arguments that the tool allows',
  async (_name, tool_choice, stream) => {
    let whole = 0;
    for (let seed = 0; seed < seeds; seed++) {
      const { reason, calls } = await called({ tool_choice, stream, seed });
      expect(['tool_calls', 'stop', 'length', 'error']).toContain(reason);
      if (reason === 'length' || reason === 'error') continue;
      whole++;
      expect(calls.length).toBeGreaterThan(0);
      for (const text of calls) expect(Object.keys(JSON.parse(text))).toEqual(['city']);
    }
    expect(whole).toBeGreaterThan(0);
  },
);

test('tools: a call cut at the limit says length, not tool_calls, streamed and not', async () => {
  for (const stream of [false, true]) {
    const { reason } = await called({ tool_choice: 'required', stream, seed: 1, max_tokens: 12 });
    expect([stream, reason]).toEqual([stream, 'length']);
  }
});

test('tools: the result of a call is taken in the next turn', async () => {
  const tool_calls = [{ id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } }];
  const messages = [
    { role: 'user', content: 'weather?' },
    { role: 'assistant', content: null, tool_calls },
    { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
  ];
  expect((await world.call('openai', ask({ messages, tools: [TOOL] }))).status).toBe(200);
});
