/** Structured output on the real XGrammar inside vLLM: the keyword table, and no invalid document delivered as complete. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { counts, recordProof } from '@tollgate/shared/testkit/counts';
import { ask, chunksOf, startWorld, type World } from '../conformance/contracts/kit.ts';
import { SCHEMA_CASES } from '../conformance/schema-cases.ts';
import { oracle } from '../sim/schemas/oracle.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({}, 'real vLLM');
});
afterAll(() => world.stop());

const seeds = counts(1, 20);
const seen = { complete: 0, cut: 0, heldBack: 0, enforcedHeldBack: 0, enforced: 0 };

/** The text that a client may take for a whole document; null = it was told otherwise. */
async function delivered(schema: unknown, seed: number, stream: boolean): Promise<string | null> {
  const response_format = { type: 'json_schema', json_schema: { name: 'x', schema } };
  const answer = await world.call('openai', ask({ response_format, seed, stream, temperature: 1, max_tokens: 400 }));
  if (!stream) {
    if (answer.status !== 200) {
      expect([answer.status, answer.json.error.code]).toEqual([502, 'invalid_output']);
      seen.heldBack++;
      return null;
    }
    const [{ finish_reason: reason, message }] = answer.json.choices;
    return reason === 'stop' ? message.content : cut();
  }
  if (!answer.text.endsWith('data: [DONE]\n\n')) {
    const code = answer.status === 200 ? chunksOf(answer.text).at(-1).error.code : answer.json.error.code;
    expect(code).toBe('invalid_output');
    seen.heldBack++;
    return null;
  }
  const choices = chunksOf(answer.text).flatMap((chunk) => chunk.choices);
  const reason = choices.map((choice) => choice.finish_reason).find((each) => each !== null && each !== undefined);
  return reason === 'stop' ? choices.map((choice) => choice.delta.content ?? '').join('') : cut();
}

function cut(): null {
  seen.cut++;
  return null;
}

const accepted = SCHEMA_CASES.filter(({ openai }) => typeof openai === 'string');

describe.each(accepted.map((each) => [each.keyword, each] as const))('%s', (name, { schema, openai }) => {
  test(`structured output: ${name}`, async () => {
    const valid = oracle(schema);
    for (let seed = 0; seed < seeds; seed++) {
      for (const stream of [false, true]) {
        const before = seen.heldBack;
        const text = await delivered(schema, seed, stream);
        if (openai === 'enforced') {
          seen.enforced++;
          seen.enforcedHeldBack += seen.heldBack - before;
        }
        if (text === null) continue;
        seen.complete++;
        expect([text, valid === undefined || valid(JSON.parse(text))]).toEqual([text, true]);
      }
    }
  });
});

test('structured output: documents came whole', () => {
  expect(seen.complete).toBeGreaterThan(accepted.length);
  // Bytes that are no UTF-8, which random weights write and models do not, are one character to XGrammar and three to a reader.
  expect(seen.enforcedHeldBack / seen.enforced).toBeLessThan(0.1);
  recordProof({
    name: 'documents of a real vLLM under the keyword table',
    count: seen.complete,
    result: `0 invalid delivered as complete; ${seen.cut} cut by the limit, ${seen.heldBack} held back (${seen.enforcedHeldBack} of them with verdict enforced)`,
  });
});
