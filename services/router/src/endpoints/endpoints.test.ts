import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { AppError } from '@tollgate/shared/domain/errors';
import { counts } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { holdAmount, promptBound } from '../admission/hold-bound.ts';
import { loadProfiles } from '../contract/load-profiles.ts';
import type { GenerationRequest } from '../contract/request.ts';
import { TypedReader } from '../relay/typed-reader.ts';
import { VLLM } from '../schema-gate/dialect.ts';
import type { Endpoint, EndpointName } from './endpoint.ts';
import { ENDPOINTS } from './index.ts';
import { messageEvents } from './messages-answer.ts';
import { responseEvents } from './responses-answer.ts';

const CATALOG: CatalogModel = {
  id: 'm',
  createdAt: 1,
  ownedBy: 'test',
  maxModelLen: 1_000,
  defaultMaxTokens: null,
  templateTokens: 3,
  templateTokensPerMessage: 4,
  priceId: 'price_t',
  prices: { inputNusd: 1_000_000n, cachedInputNusd: 1_000_000n, outputNusd: 2_000_000n },
  enabled: true,
};

const profile = loadProfiles({ docsBase: '', names: ['openai'] })[0]!;
const PARSED: Exclude<EndpointName, '/chat/completions'>[] = ['/completions', '/embeddings', '/responses', '/messages'];

/** A good body of each endpoint; the fuzz changes one place of it after the other. */
const GOOD: Record<(typeof PARSED)[number], Record<string, unknown>> = {
  '/completions': { model: 'm', prompt: ['a', 'bc'], max_tokens: 5, n: 2, temperature: 0.5, stop: ['x'], echo: true },
  '/embeddings': { model: 'm', input: ['a', [1, 2]], encoding_format: 'base64', dimensions: 4 },
  '/responses': {
    model: 'm',
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
      { type: 'function_call_output', call_id: 'c', output: 'x' },
    ],
    instructions: 'be kind',
    max_output_tokens: 9,
    tools: [{ type: 'function', name: 'f', parameters: { type: 'object' } }],
    tool_choice: 'auto',
    text: { format: { type: 'text' } },
  },
  '/messages': {
    model: 'm',
    max_tokens: 9,
    system: [{ type: 'text', text: 's' }],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'hi', cache_control: {} }] }],
    tools: [{ name: 'f', input_schema: { type: 'object' } }],
    tool_choice: { type: 'any' },
  },
};

/** What of a client's body may reach a worker, and what the router adds. */
const SENT: Record<(typeof PARSED)[number], string[]> = {
  '/completions': [
    'stream',
    'stream_options',
    'model',
    'prompt',
    'max_tokens',
    'min_tokens',
    'n',
    'echo',
    'temperature',
    'top_p',
    'stop',
    'cache_salt',
    'priority',
  ],
  '/embeddings': ['model', 'input', 'encoding_format', 'dimensions'],
  '/responses': [
    ...[
      'model',
      'instructions',
      'input',
      'max_output_tokens',
      'tools',
      'tool_choice',
      'parallel_tool_calls',
      'text',
      'temperature',
    ],
    ...['chat_template_kwargs', 'stream', 'priority', 'store', 'request_id', 'cache_salt', 'reasoning', 'top_p'],
  ],
  '/messages': [
    ...[
      'model',
      'system',
      'messages',
      'max_tokens',
      'tools',
      'tool_choice',
      'chat_template_kwargs',
      'stream',
      'cache_salt',
    ],
    ...['stop_sequences', 'temperature', 'top_p', 'top_k'],
  ],
};

function sent(endpoint: Endpoint, request: GenerationRequest): Record<string, unknown> {
  const fields = { cacheSalt: 'salt', requestId: 'req_1', priority: 0 };
  const parts = { text: endpoint.text(request), maxTokens: 5, constraint: {}, fields, dialect: VLLM };
  return JSON.parse(endpoint.body(request, parts)) as Record<string, unknown>;
}

const junk = fc.oneof(
  fc.constantFrom(
    null,
    true,
    0,
    -1,
    1.5,
    1e308,
    '',
    'x',
    [],
    {},
    [[]],
    [null],
    { type: 'text' },
    [{ type: 'image' }],
    '\ud800',
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

describe.each(PARSED)('%s', (name) => {
  const endpoint = ENDPOINTS[name];

  test('a good body reaches the worker in allowed fields alone', () => {
    const request = endpoint.parse(GOOD[name], profile);
    expect(Object.keys(sent(endpoint, request)).filter((field) => !SENT[name].includes(field))).toEqual([]);
  });

  test('a mutated body is refused by name or reaches the worker in allowed fields alone: never an error of ours', () => {
    const names = [
      ...Object.keys(GOOD[name]),
      'stream',
      'store',
      'surprise',
      'user',
      'cache_salt',
      'priority',
      'request_id',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...names), junk, (field, value) => {
        let request: GenerationRequest;
        try {
          request = endpoint.parse({ ...GOOD[name], [field]: value }, profile);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          expect((error as AppError).spec.status).toBe(400);
          return;
        }
        const body = sent(endpoint, request);
        expect(Object.keys(body).filter((each) => !SENT[name].includes(each))).toEqual([]);
        if (name !== '/embeddings') expect(body.cache_salt).toBe('salt');
        const size = endpoint.size(request, endpoint.text(request));
        expect(promptBound(size, CATALOG)).toBeGreaterThan(0);
        expect(holdAmount(size, CATALOG, 5)).toBeGreaterThan(0n);
      }),
      { numRuns: counts(300, 10_000) },
    );
  });
});

describe('bounds', () => {
  test('several prompts may each fill the context: the hold covers all of them', () => {
    const long = 'x'.repeat(CATALOG.maxModelLen * 2);
    const request = ENDPOINTS['/completions'].parse(
      { model: 'm', prompt: [long, long, long], max_tokens: 10, n: 2 },
      profile,
    );
    const size = ENDPOINTS['/completions'].size(request, ENDPOINTS['/completions'].text(request));
    expect(promptBound(size, CATALOG)).toBe(3 * CATALOG.maxModelLen);
    const each = BigInt(3 * CATALOG.maxModelLen) * CATALOG.prices.inputNusd + 60n * CATALOG.prices.outputNusd;
    expect(holdAmount(size, CATALOG, 10)).toBe(each / 1_000_000n);
  });

  test('token ids are bounded by their number, text by its bytes', () => {
    const of = (input: unknown) => {
      const request = ENDPOINTS['/embeddings'].parse({ model: 'm', input }, profile);
      return ENDPOINTS['/embeddings'].size(request, ENDPOINTS['/embeddings'].text(request)).messageBytes;
    };
    expect(of([100_000, 100_001])).toBeLessThan(10);
    expect(of('äöü')).toBeGreaterThanOrEqual(6);
  });
});

/** What a real vLLM streamed (services/devworker/goldens). */
function golden(file: string, name: string): Buffer {
  const folder = new URL('../../../devworker/goldens/', import.meta.url);
  const lines = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n');
  const found = lines
    .map((line) => JSON.parse(line) as { name: string; bodyText: string })
    .find((each) => each.name === name)!;
  return Buffer.from(found.bodyText, 'utf8');
}

describe.each([
  ['responses', () => responseEvents(null), () => golden('responses.jsonl', 'responses-stream'), 20, 5],
  ['messages', () => messageEvents(), () => golden('messages.jsonl', 'messages-stream'), 27, 5],
] as const)('the recorded stream of %s', (name, protocol, bytes, promptTokens, completionTokens) => {
  const read = (pieces: readonly Buffer[]) => {
    const reader = new TypedReader(protocol(), null);
    let out = '';
    for (const piece of pieces) out += reader.push(piece);
    out += reader.end();
    return { reader, out, text: out + reader.last };
  };

  test('is read the same however its bytes are cut, and its end waits for the bill', () => {
    const whole = read([bytes()]);
    expect(whole.reader.fault).toBeNull();
    expect([whole.reader.done, whole.reader.finishReasons]).toEqual([true, ['length']]);
    expect(whole.reader.counts).toMatchObject({ promptTokens, completionTokens, final: true });
    expect(whole.out).not.toMatch(/response\.(completed|incomplete)|message_stop|message_delta/);
    const single = read([...bytes()].map((byte) => Buffer.of(byte)));
    expect(single.text).toBe(whole.text);
    if (name === 'responses') expect(whole.reader.last).toMatch(/^event: response\.incomplete/);
  });

  test('cut before its end it is not whole, and what was passed on is a guess', () => {
    const all = bytes();
    const { reader } = read([all.subarray(0, all.length - 900)]);
    expect([reader.done, reader.isWhole]).toEqual([false, false]);
    expect(reader.answerEvents).toBeGreaterThan(0);
  });
});

test('an error event of the worker is a fault, before and after the first piece', () => {
  for (const protocol of [responseEvents(null), messageEvents()]) {
    const reader = new TypedReader(protocol, null);
    reader.push(
      Buffer.from(
        'event: error\ndata: {"type":"error","error":{"type":"BadRequestError","message":"no","code":400}}\n\n',
      ),
    );
    expect(reader.fault).toMatchObject({ kind: 'error_event', error: { message: 'no', code: 400 } });
  }
});
