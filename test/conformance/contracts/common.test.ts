/** Lines C1 to C10 of the contracts: what all of them promise, shown for each. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask, BASES, type Contract, chunksOf, ENGINES, startWorld, type World } from './kit.ts';

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  const CONTRACTS = Object.keys(BASES) as Contract[];

  /** Status for a parameter outside its range. */
  const BAD: Record<Contract, number> = { openai: 400, dottxt: 400, 'dos-ai': 400, rag: 422, dmind: 400, arcee: 422 };

  describe.each(CONTRACTS)('%s', (contract) => {
    const expectStatus = async (more: Record<string, unknown>, status: number) => {
      const answer = await world.call(contract, ask(more));
      expect([more, answer.status]).toEqual([more, status]);
      return answer;
    };

    test('C1 POST {base}/chat/completions with a Bearer key: 200, chat.completion', async () => {
      const answer = await expectStatus({}, 200);
      expect(answer.json).toMatchObject({ object: 'chat.completion', choices: [{ message: { role: 'assistant' } }] });
      expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
    });

    test('C2 no, malformed, unknown or revoked key: 401, and no worker is asked', async () => {
      const revoked = await world.paidKey({ revokedAtMs: 1 });
      const before = world.sent.length;
      const unknown = `${world.key.text.slice(0, -1)}${world.key.text.endsWith('a') ? 'b' : 'a'}`;
      for (const key of [null, 'junk', unknown, revoked.text]) {
        const answer = await world.call(contract, ask(), { key });
        expect(answer.status).toBe(401);
        expect(answer.json.error.message.length).toBeGreaterThan(0);
      }
      for (const authorization of [`Basic ${world.key.text}`, world.key.text]) {
        expect((await world.call(contract, ask(), { key: null, headers: { authorization } })).status).toBe(401);
      }
      expect(world.sent.length).toBe(before);
    });

    test('C3 a missing model (but with rag) and missing messages are 4xx that name them', async () => {
      const noModel = await world.call(contract, ask({ model: undefined }));
      if (contract === 'rag') expect(noModel.status).toBe(200);
      else expect([noModel.status, noModel.json.error.param]).toEqual([BAD[contract], 'model']);
      const noMessages = await world.call(contract, ask({ messages: undefined }));
      expect([noMessages.status, noMessages.json.error.param]).toEqual([BAD[contract], 'messages']);
    });

    test('C4 n choices come back, with index 0 to n-1', async () => {
      const { json } = await expectStatus({ n: 3, temperature: 1 }, 200);
      expect(json.choices.map((choice: { index: number }) => choice.index).sort()).toEqual([0, 1, 2]);
    });

    test('C5 total_tokens is the sum', async () => {
      const { usage } = (await expectStatus({}, 200)).json;
      expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens);
    });

    test('C6 penalties from -2 to 2', async () => {
      for (const name of ['presence_penalty', 'frequency_penalty']) {
        for (const value of [-2, 2]) await expectStatus({ [name]: value }, 200);
        for (const value of [-2.01, 2.01]) {
          const answer = await expectStatus({ [name]: value }, BAD[contract]);
          expect(answer.json.error.param).toBe(name);
        }
      }
    });

    test('C7 temperature up to 2 (rag names no upper bound)', async () => {
      await expectStatus({ temperature: 2 }, 200);
      await expectStatus({ temperature: 2.01 }, contract === 'rag' ? 200 : BAD[contract]);
    });

    test('C8 chunks share id, created and model, and carry deltas', async () => {
      const chunks = chunksOf((await expectStatus({ stream: true }, 200)).text);
      // An answer of one token and its end are two.
      expect(chunks.length).toBeGreaterThan(1);
      const [first] = chunks;
      for (const chunk of chunks) {
        expect(chunk).toMatchObject({
          object: 'chat.completion.chunk',
          id: first.id,
          created: first.created,
          model: first.model,
        });
        for (const choice of chunk.choices) {
          expect(choice).toHaveProperty('delta');
          expect(choice).not.toHaveProperty('message');
        }
      }
    });

    test('C9 a stream ends with data: [DONE] and a blank line', async () => {
      expect((await expectStatus({ stream: true }, 200)).text.endsWith('data: [DONE]\n\n')).toBe(true);
    });

    test('C10 finish_reason is one of the four', async () => {
      const { json } = await expectStatus({}, 200);
      expect(['stop', 'length', 'tool_calls', 'content_filter']).toContain(json.choices[0].finish_reason);
    });

    test('an error in its own words has the page of its code and an id', async () => {
      const answer = await expectStatus(
        { model: 'no/such' },
        { openai: 404, dottxt: 404, 'dos-ai': 400, rag: 404, dmind: 400, arcee: 422 }[contract],
      );
      expect(answer.json.error.metadata.doc_url).toBe('/docs/errors/model_not_found');
      expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
    });
  });

  test('an unknown address under any contract is 404', async () => {
    for (const base of Object.values(BASES)) {
      const { status, headers, json } = await world.get(`${base}/nowhere`);
      expect([status, json.error.metadata.doc_url]).toEqual([404, '/docs/errors/not_found']);
      expect(headers.get('x-request-id')).toMatch(/^req_/);
    }
  });
});
