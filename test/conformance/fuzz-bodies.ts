/** Mutated request bodies, for the fuzz of the readers and of the whole router. */
import fc from 'fast-check';
import { ask, TICKET, TOOL } from './contracts/kit.ts';

export const WHOLE_BODY = {
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
export const BLOCKED = [
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
      ...[null, true, false, '', 'auto', 'none', 'patch', 0, -1, 1, 2.01, 1e308, [], {}, [null], [[]], '\ud800'],
    ),
  },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  { weight: 1, arbitrary: fc.double() },
);
const names = fc.constantFrom(
  ...Object.keys(WHOLE_BODY),
  ...BLOCKED,
  ...['__proto__', 'constructor', 'toString', 'made_up'],
);

export const mutatedBody = fc
  .record({ keep: fc.subarray(Object.keys(WHOLE_BODY)), put: fc.array(fc.tuple(names, value), { maxLength: 3 }) })
  .map(({ keep, put }) => {
    const made: Record<string, unknown> = { ...ask() };
    for (const name of keep) made[name] = WHOLE_BODY[name as keyof typeof WHOLE_BODY];
    for (const [name, what] of put)
      Object.defineProperty(made, name, { value: what, enumerable: true, configurable: true });
    return made;
  });
