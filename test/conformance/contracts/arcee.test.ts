/** Lines 4.1 to 4.12: Arcee FM (seed 004). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadProfiles } from '@tollgate/router/contract/load-profiles';
import { AppError } from '@tollgate/shared/domain/errors';
import { MODEL } from '../../e2e/router-kit.ts';
import { ask, ENGINES, lastOf, startWorld, TICKET, TOOL, type World, wholeAnswer } from './kit.ts';

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  const call = (more: Record<string, unknown>, key?: string) =>
    world.call('arcee', ask(more), key === undefined ? {} : { key });
  const refused = async (more: Record<string, unknown>, status: number) => {
    const answer = await call(more);
    expect([more, answer.status]).toEqual([more, status]);
    return answer;
  };

  test('4.1 the base path is /api/v1', async () => {
    expect((await call({})).status).toBe(200);
    expect((await world.get('/arcee/v1/models')).status).toBe(404);
  });

  test('4.2 parameters out of range are 422 Invalid Parameters', async () => {
    const cases = [
      { temperature: 2.01 },
      { top_p: 1.01 },
      { n: 0 },
      { presence_penalty: 2.1 },
      { frequency_penalty: -2.1 },
      { logprobs: true, top_logprobs: 21 },
    ];
    for (const more of cases) {
      const { json } = await refused(more, 422);
      expect(json.error.message).toMatch(/^Invalid Parameters: /);
      expect(json.error.param).toBe(Object.keys(more).at(-1));
    }
  });

  test('4.3 a body that is not JSON, no object or of wrong types is 400 Invalid Format', async () => {
    for (const body of ['{"model":', '[]', '"x"']) {
      const answer = await world.call('arcee', body);
      expect(answer.status).toBe(400);
      expect(answer.json.error.message).toMatch(/^Invalid Format: /);
    }
    for (const more of [
      { temperature: '1' },
      { stream: 'yes' },
      { messages: {} },
      { model: 7 },
      { temperature: null },
    ]) {
      await refused(more, 400);
    }
  });

  test('4.4 output limits below 1 are 422', async () => {
    await refused({ max_tokens: 0 }, 422);
    await refused({ max_tokens: undefined, max_completion_tokens: -1 }, 422);
  });

  test('4.5 stop is text, a list or null; tool_choice a word, an object or null', async () => {
    for (const stop of ['x', ['1', '2', '3', '4'], null]) expect((await call({ stop })).status).toBe(200);
    // No maximum is stated; vLLM takes four, and more are refused in this contract's words.
    await refused({ stop: ['1', '2', '3', '4', '5'] }, 422);
    const named = { type: 'function', function: { name: 'get_weather' } };
    for (const tool_choice of ['none', named, null]) {
      const answer = await wholeAnswer((seed) => call({ tools: [TOOL], tool_choice, max_tokens: 300, seed }));
      expect(answer.status).toBe(200);
    }
  });

  test('4.6 both token limits are accepted; ours: max_completion_tokens wins', async () => {
    expect((await call({ max_tokens: 9, max_completion_tokens: 4 })).status).toBe(200);
    expect(lastOf(world.sent).max_tokens).toBe(4);
  });

  test('4.7 reasoning_effort knows minimal; an unknown word is 422', async () => {
    expect((await call({ reasoning_effort: 'minimal' })).status).toBe(200);
    expect(lastOf(world.sent).chat_template_kwargs).toEqual({ enable_thinking: false });
    await refused({ reasoning_effort: 'huge' }, 422);
  });

  test('4.8 response_format text, json_object and json_schema', async () => {
    const json_schema = { name: 'ticket', description: 'a ticket', schema: TICKET, strict: true };
    for (const response_format of [{ type: 'text' }, { type: 'json_object' }, { type: 'json_schema', json_schema }]) {
      expect((await call({ response_format, max_tokens: 600 })).status).toBe(200);
    }
  });

  test('4.9 seed, logprobs, logit_bias, tools and the fields of messages', async () => {
    const tool_calls = [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }];
    const messages = [
      { role: 'system', content: 'text', name: 'text' },
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: null, tool_calls },
      { role: 'tool', content: 'text', tool_call_id: 'c1' },
    ];
    const more = { seed: 1, logprobs: true, top_logprobs: 1, logit_bias: { 42: 1 }, tools: [TOOL], messages };
    expect((await call(more)).status).toBe(200);
    expect(lastOf(world.sent)).toMatchObject({ seed: 1, logprobs: true, logit_bias: { 42: 1 }, messages });
  });

  test('4.10 names of 401, 402, 429, 500 and 503, as JSON', async () => {
    const slow = await world.paidKey({ limits: { requestsPerMinute: 1, tokensPerMinute: null, concurrency: null } });
    await call({}, slow.text);
    const seen: [number, string][] = [];
    for (const answer of [
      await call({}, 'junk'),
      await call({}, (await world.paidKey({ capDayNusd: '1' })).text),
      await call({}, slow.text),
      await call({ model: 'tests/other' }),
    ]) {
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
      seen.push([answer.status, answer.json.error.message.split(':')[0]]);
    }
    expect(seen).toEqual([
      [401, 'Authentication Fails'],
      [402, 'Insufficient Balance'],
      [429, 'Rate Limit Reached'],
      [503, 'Server Overloaded'],
    ]);
    // Nothing of ours fails on demand: the words are those of the profile.
    const profile = loadProfiles({ docsBase: '' }).find(({ name }) => name === 'arcee')!;
    const { status, body } = profile.renderError(new AppError('internal_error'));
    expect([status, body]).toMatchObject([500, { error: { message: expect.stringMatching(/^Server Error: /) } }]);
  });

  test('4.11 the answer as OpenAI has it', async () => {
    expect((await call({})).json).toMatchObject({
      object: 'chat.completion',
      model: MODEL,
      choices: [{ message: { role: 'assistant', content: expect.any(String) } }],
    });
    expect((await call({})).json.system_fingerprint).toEqual(
      engine === 'SGLang look-alike' ? null : expect.any(String),
    );
  });

  test('4.12 stream: true streams', async () => {
    expect((await call({ stream: true })).headers.get('content-type')).toMatch(/^text\/event-stream/);
  });
});
