/** Lines 2.1 to 2.17: seed 002, the gateway with users, projects and retrieval. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { type Answer, MODEL } from '../../e2e/router-kit.ts';
import { ask, ENGINES, lastOf, startWorld, TOOL, type World, wholeAnswer } from './kit.ts';

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  const call = (more: Record<string, unknown>, key?: string, headers: Record<string, string> = {}) =>
    world.call('rag', ask(more), { headers, ...(key === undefined ? {} : { key }) });
  const refused = async (more: Record<string, unknown>) => {
    const before = world.sent.length;
    const answer = await call(more);
    expect([more, answer.status]).toEqual([more, 422]);
    expect(world.sent.length).toBe(before);
    return answer;
  };

  const recordOf = ({ headers }: Answer) =>
    eventually('the record', async () =>
      (await world.around.records()).find(({ requestId }) => requestId === headers.get('x-request-id')),
    );

  test('2.1 model is optional: absent and "" mean the default model', async () => {
    for (const model of [undefined, '', null]) expect((await call({ model })).json.model).toBe(MODEL);
  });

  test('2.2 rag_params: absent or null is off; given, it reaches no engine', async () => {
    expect((await call({ rag_params: null })).status).toBe(200);
    expect(lastOf(world.sent)).not.toHaveProperty('rag_params');
    for (const [rag_params, param] of [
      [{ collection: 'c' }, 'rag_params.collection'],
      [{ collections: [] }, 'rag_params.collections'],
      [7, 'rag_params'],
      // This router knows no retrieval service, and says so by name. With one: test/retrieval.
      [{ collections: ['vs_1'] }, 'rag_params'],
    ] as const) {
      expect((await refused({ rag_params })).json.error.param).toBe(param);
    }
  });

  test('2.3 chat_id is text for the log and never reaches the worker', async () => {
    const answer = await call({ chat_id: 'chat-1' });
    expect(answer.status).toBe(200);
    expect(JSON.stringify(lastOf(world.sent))).not.toContain('chat-1');
    expect((await recordOf(answer)).chatId).toBe('chat-1');
    await refused({ chat_id: 7 });
  });

  test('2.4 messages, tools and stop hold at least one; stop as many as the engine takes', async () => {
    for (const more of [{ messages: [] }, { tools: [] }, { stop: [] }]) await refused(more);
    expect((await call({ stop: ['1', '2', '3', '4'] })).status).toBe(200);
    // No upper limit is stated; vLLM takes four, and more are refused in this contract's words.
    await refused({ stop: ['1', '2', '3', '4', '5'] });
  });

  test('2.5 tool_choice none, auto, required and named; by default none without tools, auto with', async () => {
    const named = { type: 'function', function: { name: 'get_weather' } };
    for (const tool_choice of ['none', 'auto', 'required', named]) {
      const answer = await wholeAnswer((seed) => call({ tools: [TOOL], tool_choice, max_tokens: 300, seed }));
      expect(answer.status).toBe(200);
      expect(lastOf(world.sent).tool_choice).toEqual(tool_choice);
    }
    await call({ tool_choice: 'auto' });
    expect(lastOf(world.sent)).not.toHaveProperty('tool_choice');
  });

  test('2.6 temperature from 0.001, by default 0.2; top_p from 0.001, by default 0.6; no upper bound', async () => {
    await call({});
    expect(lastOf(world.sent)).toMatchObject({ temperature: 0.2, top_p: 0.6 });
    for (const name of ['temperature', 'top_p']) {
      await refused({ [name]: 0 });
      expect((await call({ [name]: 0.001 })).status).toBe(200);
    }
    expect((await call({ top_p: 3 })).status).toBe(200);
    expect(lastOf(world.sent).top_p).toBe(1);
  });

  test('2.7 max_tokens in [1, context - 1), by default 2048', async () => {
    await call({ max_tokens: undefined });
    expect(lastOf(world.sent).max_tokens).toBe(2048);
    await refused({ max_tokens: 0 });
    expect((await refused({ max_tokens: 32_767 })).json.error.code).toBe('context_length_exceeded');
  });

  test('2.8 max_completion_tokens wins over max_tokens', async () => {
    expect((await call({ max_tokens: 3, max_completion_tokens: 5 })).status).toBe(200);
    expect(lastOf(world.sent).max_tokens).toBe(5);
    await refused({ max_completion_tokens: 0 });
  });

  test('2.9 n is a positive whole number; penalties from -2 to 2, 0 by default', async () => {
    await call({});
    expect(lastOf(world.sent)).toMatchObject({ presence_penalty: 0, frequency_penalty: 0 });
    for (const n of [0, -1, 1.5]) await refused({ n });
    expect((await call({ n: 2 })).json.choices).toHaveLength(2);
    await refused({ presence_penalty: 2.1 });
  });

  test('2.10 logit_bias from -100 to 100', async () => {
    expect((await call({ logit_bias: { 42: -100, 43: 100 } })).status).toBe(200);
    expect(lastOf(world.sent).logit_bias).toEqual({ 42: -100, 43: 100 });
    await refused({ logit_bias: { 42: 100.5 } });
  });

  test('2.11 sampling parameters that it does not have are ignored', async () => {
    const more = { top_k: -7, min_p: 'x', seed: 1, logprobs: true, top_logprobs: 99, repetition_penalty: null };
    expect((await call(more)).status).toBe(200);
    for (const name of Object.keys(more)) expect(lastOf(world.sent)).not.toHaveProperty(name);
  });

  test('2.12 stream is false by default and ends with [DONE]', async () => {
    expect((await call({})).json.object).toBe('chat.completion');
    expect((await call({ stream: true })).text).toMatch(/data: \[DONE\]\n\n$/);
  });

  test('2.13 user is accepted and does not reach the worker', async () => {
    const answer = await call({ user: 'end-user-7' });
    expect(answer.status).toBe(200);
    expect(JSON.stringify(lastOf(world.sent))).not.toContain('end-user-7');
    expect((await recordOf(answer)).endUser).toBe('end-user-7');
  });

  test('2.14 a PAT stands alone; a service key names user and project', async () => {
    const pat = await world.paidKey({ kind: 'pat', userId: 'u1', projectId: 'p1' });
    expect((await call({}, pat.text)).status).toBe(200);
    expect((await call({}, pat.text, { 'x-user-id': 'u1', 'x-project-id': 'p1' })).status).toBe(200);
    expect((await call({}, pat.text, { 'x-user-id': 'u2' })).status).toBe(403);
    const service = await world.paidKey({ kind: 'service' });
    const both = { 'x-user-id': 'u9', 'x-project-id': 'p9' };
    expect((await call({}, service.text, both)).status).toBe(200);
    for (const name of ['x-user-id', 'x-project-id'] as const) {
      const { [name]: _left, ...rest } = both;
      const answer = await call({}, service.text, rest);
      expect([answer.status, answer.json.error.param]).toEqual([422, name]);
    }
  });

  test('2.15 usage belongs to the user and project of the PAT, or of the headers', async () => {
    const pat = await world.paidKey({ kind: 'pat', userId: 'u1', projectId: 'p1' });
    await call({}, pat.text);
    const service = await world.paidKey({ kind: 'service' });
    await call({}, service.text, { 'x-user-id': 'u9', 'x-project-id': 'p9' });
    for (const [key, userId, projectId] of [
      [pat, 'u1', 'p1'],
      [service, 'u9', 'p9'],
    ] as const) {
      const record = await eventually('the record', async () =>
        (await world.around.records()).find((entry) => entry.keyId === key.record.keyId),
      );
      expect(record).toMatchObject({ userId, projectId });
    }
  });

  test('2.17 a bad parameter is 422 with detail, and with the error object beside it', async () => {
    const { json } = await refused({ temperature: 0 });
    expect(json.detail).toEqual([
      { loc: ['body', 'temperature'], msg: expect.stringContaining('temperature'), type: 'invalid_request' },
    ]);
    expect(json.error).toMatchObject({ param: 'temperature', code: 'invalid_request' });
  });
});
