/** A schema beside tools that the model is free to call: the answer is the document or calls, never neither, never silently one. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { counts } from '@tollgate/shared/testkit/counts';
import { ask, chunksOf, ENGINES, lastOf, startWorld, TICKET, TOOL, type World } from './contracts/kit.ts';

const response_format = { type: 'json_schema', json_schema: { name: 'ticket', schema: TICKET } };
const seeds = counts(12, 100);

describe.each(ENGINES)('%s', (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({}, engine);
  });
  afterAll(() => world.stop());

  interface Seen {
    reason: string;
    content: string;
    calls: string[];
  }

  /** null: the answer ended with an error that says so. */
  async function seen(more: Record<string, unknown>): Promise<Seen | null> {
    const answer = await world.call(
      'openai',
      ask({ response_format, tools: [TOOL], max_tokens: 900, temperature: 1, ...more }),
    );
    if (more.stream !== true) {
      if (answer.status !== 200) {
        expect([answer.status, answer.json.error.code]).toEqual([502, 'invalid_output']);
        return null;
      }
      const [{ finish_reason: reason, message }] = answer.json.choices;
      const calls = (message.tool_calls ?? []).map(
        (call: { function: { arguments: string } }) => call.function.arguments,
      );
      return { reason, content: message.content ?? '', calls };
    }
    expect(answer.status).toBe(200);
    if (!answer.text.endsWith('data: [DONE]\n\n')) {
      expect(chunksOf(answer.text).at(-1).error.code).toBe('invalid_output');
      return null;
    }
    const all: Seen = { reason: '', content: '', calls: [] };
    for (const { choices } of chunksOf(answer.text)) {
      for (const { delta, finish_reason } of choices) {
        all.reason ||= finish_reason ?? '';
        all.content += delta.content ?? '';
        for (const { index, function: fn } of delta.tool_calls ?? []) {
          all.calls[index] = (all.calls[index] ?? '') + fn.arguments;
        }
      }
    }
    return all;
  }

  test('tools and a schema: a whole answer is the document or calls that the tools allow, streamed and not', async () => {
    const kinds = { document: 0, calls: 0, other: 0 };
    for (let seed = 0; seed < seeds; seed++) {
      const answer = await seen({ seed, stream: seed % 2 === 1 });
      if (answer === null || answer.reason === 'length') kinds.other++;
      else if (answer.reason === 'tool_calls') {
        kinds.calls++;
        expect(answer.calls.length).toBeGreaterThan(0);
        for (const text of answer.calls) expect(Object.keys(JSON.parse(text))).toEqual(['city']);
      } else {
        kinds.document++;
        expect(answer.reason).toBe('stop');
        expect(Object.keys(JSON.parse(answer.content))).toEqual(['category', 'summary', 'tags']);
      }
    }
    expect({ ...kinds, both: kinds.document > 0 && kinds.calls > 0 }).toMatchObject({ both: true });
  });

  test('tools and a schema: a strict tool does not cost the document its schema', async () => {
    const strict = { type: 'function', function: { ...TOOL.function, strict: true } };
    expect(await seen({ tools: [strict], seed: 1 })).not.toBeUndefined();
    const { tools } = lastOf(world.sent);
    expect(tools[0].function).not.toHaveProperty('strict');
    expect(tools[0].function.parameters).toEqual(TOOL.function.parameters);
  });
});
