/** Mutated bodies, per contract: an answer of the contract, never a 500, and nothing unread reaches a worker. */
import { describe, expect, test } from '@jest/globals';
import { loadProfiles } from '@tollgate/router/contract/load-profiles';
import { requestText } from '@tollgate/router/upstream/body';
import { AppError, ERRORS, type ErrorCode } from '@tollgate/shared/domain/errors';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { ask, TICKET, TOOL } from './kit.ts';

const profiles = loadProfiles({ docsBase: '/docs/errors' });

const FULL = {
  ...ask(),
  temperature: 0.5,
  top_p: 0.9,
  top_k: 5,
  min_p: 0.1,
  n: 1,
  stream: true,
  stop: ['a'],
  seed: 1,
  logprobs: true,
  top_logprobs: 2,
  logit_bias: { 42: 1 },
  presence_penalty: 0,
  tools: [TOOL],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  reasoning_effort: 'low',
  stream_options: { include_usage: true },
  response_format: { type: 'json_schema', json_schema: { name: 'x', schema: TICKET } },
  user: 'u',
  metadata: { a: 'b' },
  chat_id: 'c',
  rag_params: null,
};
/** Names that no client may bring to a worker. */
const BLOCKED = [
  'cache_salt',
  'priority',
  'rid',
  'request_id',
  'kv_transfer_params',
  'prompt_logprobs',
  'use_beam_search',
  'stop_token_ids',
];

const value = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      null,
      true,
      false,
      '',
      'auto',
      'none',
      0,
      -1,
      1,
      2.01,
      1e308,
      [],
      {},
      [null],
      [[]],
      '\ud800',
    ),
  },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  { weight: 1, arbitrary: fc.double() },
);
const names = fc.constantFrom(...Object.keys(FULL), ...BLOCKED, '__proto__', 'constructor', 'toString', 'made_up');
const body = fc
  .record({ keep: fc.subarray(Object.keys(FULL)), put: fc.array(fc.tuple(names, value), { maxLength: 3 }) })
  .map(({ keep, put }) => {
    const made: Record<string, unknown> = { ...ask() };
    for (const name of keep) made[name] = FULL[name as keyof typeof FULL];
    for (const [name, what] of put)
      Object.defineProperty(made, name, { value: what, enumerable: true, configurable: true });
    return made;
  });

describe.each(profiles.map((profile) => [profile.name, profile] as const))('%s', (name, profile) => {
  test('a mutated body is read or refused by name, never a fault of ours', () => {
    const runs = counts(400, 10_000);
    const seed = testSeed();
    let read = 0;
    fc.assert(
      fc.property(body, (made) => {
        try {
          const request = profile.parseChat(made);
          read++;
          for (const blocked of BLOCKED) expect(request.sampling).not.toHaveProperty(blocked);
          expect(Object.values(request.sampling)).not.toContain(undefined);
          requestText(request);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          const { status, body: told } = profile.renderError(error as AppError);
          expect([400, 422]).toContain(status);
          expect((told as { error: { param: unknown } }).error.param).toEqual(expect.any(String));
        }
      }),
      { numRuns: runs, seed },
    );
    expect(read).toBeGreaterThan(runs / 100);
    recordProof({ name: `contract ${name}: mutated bodies`, count: runs, seed, result: `0 faults, ${read} accepted` });
  });

  test('every code of the catalogue has a status, a type, a code and a page', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const { status, body: told } = profile.renderError(new AppError(code));
      expect(status).toBeGreaterThanOrEqual(400);
      expect(told).toMatchObject({
        error: { message: expect.any(String), type: expect.any(String), metadata: { doc_url: `/docs/errors/${code}` } },
      });
    }
  });
});
