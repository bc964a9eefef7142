import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AnswerChecks } from '../answer-form.ts';
import { compileCheck } from '../schema-gate/validate.ts';
import { StreamReader, type StreamReaderOptions } from './stream-reader.ts';

/** What a scan for keys could trip over, as text of a model. */
const NASTY = [
  '"reasoning_content":null,',
  '"reasoning":"x"',
  ',"token_ids":null',
  ',"stop_reason":"a","matched_stop":null',
  '"delta":{"content":null,',
  '"id":null,"index":0,"type":"function","function":{"name":null,',
  '"created":1',
  '"usage":null',
  'schön 🚀 漢字 \\ " \n\n data: [DONE]',
];
const text = fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: 'binary', maxLength: 12 }));

/** Chunks as SGLang writes them (facts/engines.md 3.2): nulls everywhere, another `created` each time. */
function sglangStream(parts: readonly string[], thoughts: string, args: readonly string[]): string {
  let created = 100;
  const chunk = (delta: object, more: object = {}) =>
    `data: ${JSON.stringify({
      id: 'x',
      object: 'chat.completion.chunk',
      created: created++,
      model: 'm',
      choices: [{ index: 0, delta, logprobs: null, finish_reason: null, matched_stop: null, ...more }],
    })}\n\n`;
  const call = (id: string | null, name: string | null, piece: string) =>
    chunk({
      role: null,
      content: null,
      reasoning_content: null,
      tool_calls: [{ id, index: 0, type: 'function', function: { name, arguments: piece } }],
    });
  return [
    chunk({ reasoning_content: null, role: 'assistant', content: '' }),
    chunk({ reasoning_content: thoughts }),
    ...parts.map((content) => chunk({ reasoning_content: null, content })),
    ...(args.length > 0 ? [call('call_1', 'go', ''), ...args.map((piece) => call(null, null, piece))] : []),
    chunk({ reasoning_content: null }, { finish_reason: 'stop', matched_stop: 151_645 }),
    `data: {"id":"x","object":"chat.completion.chunk","created":${created},"model":"m","choices":[],"usage":{"prompt_tokens":3,"total_tokens":8,"completion_tokens":5,"prompt_tokens_details":null,"reasoning_tokens":1}}\n\n`,
    'data: [DONE]\n\n',
  ].join('');
}

const base: StreamReaderOptions = {
  usage: 'final',
  choices: 1,
  hasTools: true,
  maxTokens: 100,
  checks: null,
  shape: { sglang: true, reasoningField: 'reasoning' },
};

function read(bytes: Buffer, cuts: readonly number[], options: Partial<StreamReaderOptions> = {}) {
  const reader = new StreamReader({ ...base, ...options });
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  let out = '';
  for (let i = 1; i < at.length; i++) out += reader.push(bytes.subarray(at[i - 1], at[i]));
  out += reader.end();
  return { reader, text: Buffer.from(out + reader.last, 'latin1').toString('utf8') };
}

// biome-ignore lint/suspicious/noExplicitAny: chunks of any shape
const chunksOf = (stream: string): any[] =>
  stream
    .split('\n\n')
    .filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)));

describe('an SGLang stream', () => {
  test('keeps every character of the model, whatever it writes, and looks like OpenAI’s', () => {
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 5 }),
        text,
        fc.array(text, { maxLength: 3 }),
        (parts, thoughts, texts) => {
          // Cut control tokens are another test's.
          fc.pre(![...parts, thoughts, ...texts].some((each) => each.includes('<|') || each.includes('</think>')));
          const args = texts.length > 0 ? ['{"a":', JSON.stringify(texts.join('')), '}'] : [];
          const { text: out } = read(Buffer.from(sglangStream(parts, thoughts, args)), []);
          const chunks = chunksOf(out);
          const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }: { delta: object }) => delta));
          const joined = (pick: (delta: never) => string | undefined) =>
            deltas.map((delta) => pick(delta as never) ?? '').join('');
          expect(joined(({ content }: { content?: string }) => content)).toBe(parts.join(''));
          expect(joined(({ reasoning }: { reasoning?: string }) => reasoning)).toBe(thoughts);
          const calls = deltas.flatMap(
            (delta) => (delta as { tool_calls?: { function: { arguments: string } }[] }).tool_calls ?? [],
          );
          expect(calls.map((call) => call.function.arguments).join('')).toBe(args.join(''));
          expect(new Set(chunks.map(({ created }) => created)).size).toBe(1);
          for (const { choices } of chunks.slice(0, -1)) {
            expect(Object.keys(choices[0])).toEqual(['index', 'delta', 'logprobs', 'finish_reason']);
            expect(Object.values(choices[0].delta)).not.toContain(null);
          }
          for (const call of calls.slice(1)) expect(Object.keys(call)).toEqual(['index', 'function']);
          expect(chunks.at(-1).usage).toEqual({
            prompt_tokens: 3,
            completion_tokens: 5,
            total_tokens: 8,
            prompt_tokens_details: { cached_tokens: 0 },
            completion_tokens_details: { reasoning_tokens: 1 },
          });
        },
      ),
    );
  });

  test('split at every byte, and anywhere any number of times, gives the same bytes', () => {
    const bytes = Buffer.from(sglangStream(NASTY, NASTY.join(''), ['{"a":', '"ü"}']));
    const whole = read(bytes, []).text;
    const others = [...bytes.keys()].filter((cut) => read(bytes, [cut]).text !== whole);
    expect(others).toEqual([]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 30 }), (cuts) => {
        expect(read(bytes, cuts).text).toBe(whole);
      }),
    );
  });

  test('shows thoughts under the name that the contract has', () => {
    const bytes = Buffer.from(sglangStream(['a'], 'hm', []));
    const named = read(bytes, [], { shape: { sglang: true, reasoningField: 'reasoning_content' } }).text;
    expect(chunksOf(named)[1].choices[0].delta).toEqual({ reasoning_content: 'hm' });
  });
});

describe('control tokens of a chat template', () => {
  const of = (content: string) => Buffer.from(sglangStream([content, 'b'], 'hm', []));

  test('leave the text, and a thought closed before any text leaves none', () => {
    const contents = (content: string) =>
      chunksOf(read(of(content), []).text)
        .map(({ choices }) => choices[0]?.delta.content ?? '')
        .join('');
    expect(contents('a<|im_end|>c<|endoftext|>')).toBe('acb');
    expect(contents('</think>')).toBe('b');
    expect(contents('x </think>')).toBe('x </think>b');
  });
});

describe('a stream under a schema', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'string' } },
    required: ['a'],
    additionalProperties: false,
  };
  const document = compileCheck(schema as never);
  const checks = (onInvalid: AnswerChecks['onInvalid'] = 'error'): AnswerChecks => ({
    document,
    constrained: true,
    json: true,
    tools: new Map(),
    onInvalid,
  });
  const GOOD = ['{"a', '":', '"grüße 漢', '字"}'];
  const BAD = ['{"a', '":', '1', '}'];

  test('that is valid passes; one that is not never shows its end, wherever it is cut', () => {
    for (const [parts, valid] of [
      [GOOD, true],
      [BAD, false],
    ] as const) {
      const bytes = Buffer.from(sglangStream(parts, '', []));
      const seen = new Set<string>();
      for (let cut = 0; cut <= bytes.length; cut++) {
        const { reader, text: out } = read(bytes, [cut], { checks: checks() });
        const shown = out.includes('"finish_reason":"stop"');
        seen.add([reader.done, reader.isWhole, reader.fault?.kind, shown].join(' '));
      }
      expect([...seen]).toEqual([valid ? 'true true  true' : 'false false invalid_output false']);
    }
    expect(read(Buffer.from(sglangStream(BAD, '', [])), [], { checks: checks('pass') }).reader.isWhole).toBe(true);
  });

  test('of a tool: arguments that its parameters do not allow never end as a call', () => {
    const strict = { ...checks(), constrained: false, tools: new Map([['go', document]]) };
    const ending = (args: readonly string[]) =>
      read(Buffer.from(sglangStream([], '', args)), [], { checks: strict }).reader;
    expect(ending(['{"a"', ':"x"}']).isWhole).toBe(true);
    expect(ending(['{"a"', ':1}']).fault).toMatchObject({
      kind: 'invalid_output',
      violation: { pointer: '/a', keyword: 'type' },
    });
    expect(ending(['{"a"', ':']).finishReasons).toEqual(['length']);
  });

  test('with white space without end is stopped long before the output limit', () => {
    const { reader } = read(Buffer.from(sglangStream(['{"a":', ...Array(50).fill('\n'.repeat(20))], '', [])), [], {
      checks: checks(),
    });
    expect(reader.fault).toEqual({ kind: 'runaway' });
    expect(reader.events).toBeLessThan(30);
  });

  test('that ends without any finish reason is no whole answer', () => {
    const cut = sglangStream(GOOD, '', []).replace(/data: [^\n]*"finish_reason":"stop"[^\n]*\n\n/, '');
    expect(read(Buffer.from(cut), []).reader.fault).toEqual({ kind: 'garbage' });
  });
});
