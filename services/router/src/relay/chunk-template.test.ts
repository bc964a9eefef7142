import { describe, expect, test } from '@jest/globals';
import { counts as runs } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { ChunkTemplate } from './chunk-template.ts';
import { Transcript } from './resume.ts';
import { StreamReader } from './stream-reader.ts';
import { findUsage } from './usage-scan.ts';

const TEXTS = [
  ' word',
  'Grüße',
  '漢字 🚀',
  '"quoted"',
  'a\\b',
  '\n\n',
  '',
  '<|im_end|>',
  '</think>',
  '<tool_call>',
  'data: [DONE]\n\n',
  '"usage":{"completion_tokens":999}',
  '"finish_reason":"stop"',
  ',"token_ids":null',
  '"reasoning":"x"',
];
const text = fc.oneof(fc.constantFrom(...TEXTS), fc.string({ unit: 'binary', maxLength: 12 }));
const usage = fc.oneof(
  fc.nat(500).map((n) => ({ prompt_tokens: 31, total_tokens: 31 + n, completion_tokens: n })),
  fc.nat(500).map((n) => ({
    prompt_tokens: 31,
    completion_tokens: n,
    completion_tokens_details: { reasoning_tokens: n >> 1 },
  })),
  fc.constantFrom(null, undefined, { completion_tokens: '7' }, { completion_tokens: [1] }, { note: '}' }),
);

/** One event as vLLM or SGLang might write it, ordinary ones most of the time. */
const event = fc
  .record({
    delta: fc.oneof(
      { weight: 12, arbitrary: text.map((content) => ({ content }) as object) },
      { weight: 1, arbitrary: text.map((content) => ({ role: 'assistant', content }) as object) },
      { weight: 1, arbitrary: text.map((reasoning) => ({ reasoning }) as object) },
      { weight: 1, arbitrary: text.map((content) => ({ content, reasoning: 'so' }) as object) },
      { weight: 1, arbitrary: fc.constant({ tool_calls: [{ index: 0, function: { arguments: '{}' } }] } as object) },
    ),
    usage,
    created: fc.constantFrom(1, 1, 1, 2),
    nulls: fc.boolean(),
    reason: fc.constantFrom(null, null, null, null, null, null, null, 'stop', 'length'),
    last: fc.constantFrom(false, false, false, false, true),
  })
  .map(({ delta, usage, created, nulls, reason, last }) => {
    const choice = { index: 0, delta, logprobs: null, finish_reason: reason, ...(nulls ? { token_ids: null } : {}) };
    const body = { id: 'chatcmpl-u', object: 'chat.completion.chunk', created, model: 'm', choices: [choice] };
    const whole = last ? { ...body, usage, system_fingerprint: 'f' } : { ...body, usage };
    return `data: ${JSON.stringify(whole)}\n\n`;
  });

interface Seen {
  shown: string;
  counts: unknown;
  transcript: unknown[];
  rest: unknown[];
}

function read(pieces: readonly Buffer[], mode: 'hidden' | 'final' | 'every' | 'finish_chunk', sglang: boolean): Seen {
  const transcript = new Transcript(true);
  const reader = new StreamReader({
    usage: mode,
    choices: 1,
    hasTools: true,
    maxTokens: 1_000,
    checks: null,
    shape: { sglang, reasoningField: 'reasoning' },
    transcript,
  });
  let shown = '';
  for (const piece of pieces) shown += reader.push(piece);
  shown += reader.end();
  return {
    shown: shown + reader.last,
    counts: reader.counts,
    transcript: [transcript.usable, transcript.textChunks, transcript.tokens, transcript.created, transcript.message()],
    rest: [reader.events, reader.answerEvents, reader.fault, reader.finishReasons, reader.done],
  };
}

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

/** Lines that may end by CR are read in full, always: the reader that the short way is compared with. */
const IN_FULL = Buffer.from(':\r\n\r\n');

describe('chunks that are like the one before', () => {
  test('split anywhere give the bytes, the counts and the transcript that reading all of them in full gives', () => {
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 1, maxLength: 25 }),
        fc.array(fc.nat(20_000), { maxLength: 12 }),
        fc.constantFrom('hidden', 'final', 'every', 'finish_chunk' as const),
        fc.boolean(),
        (events, cuts, mode, sglang) => {
          const bytes = Buffer.from(`${events.join('')}data: [DONE]\n\n`);
          expect(read(pieces(bytes, cuts), mode, sglang)).toEqual(read([IN_FULL, bytes], mode, sglang));
        },
      ),
      { numRuns: runs(300, 5_000) },
    );
  });

  test('one by one at every byte of an ordinary stream too', () => {
    const events = [' a', ' "b"', ' <|c', ' \\', ' d', ' e'].map(
      (content, i) =>
        `data: {"id":"u","created":1,"choices":[{"index":0,"delta":${JSON.stringify({ content })},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":${i}}}\n\n`,
    );
    const bytes = Buffer.from(events.join(''));
    const whole = read([IN_FULL, bytes], 'hidden', false);
    for (let cut = 1; cut < bytes.length; cut++) expect(read(pieces(bytes, [cut]), 'hidden', false)).toEqual(whole);
    expect(read(pieces(bytes, [...bytes.keys()]), 'hidden', false)).toEqual(whole);
  });

  test('with a byte that is another one are no more than alike', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0x20, max: 0x7e }), (place, byte) => {
        const of = (n: number) =>
          `data: {"id":"u","created":1,"choices":[{"index":0,"delta":{"content":" w${n}"},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":${n}}}\n\n`;
        const odd = Buffer.from(of(3));
        odd[6 + (place % (odd.length - 8))] = byte;
        const bytes = Buffer.concat([Buffer.from(of(1) + of(2)), odd, Buffer.from(of(4))]);
        expect(read([bytes], 'hidden', false)).toEqual(read([IN_FULL, bytes], 'hidden', false));
      }),
      { numRuns: runs(500, 20_000) },
    );
  });

  test('are indeed taken the short way, and those with anything new are not', () => {
    const of = (content: string, more = '') =>
      `data: {"choices":[{"delta":{"content":"${content}"},"finish_reason":null${more}}],"usage":{"completion_tokens":1}}\n\n`;
    const template = new ChunkTemplate();
    expect(template.match(of('a'))).toBeNull();
    const shown = of('a').replace(',"usage":{"completion_tokens":1}', '');
    template.learn(of('a'), findUsage(of('a'))!, shown);
    expect(template.match(of('bc'))).toEqual(findUsage(of('bc')));
    expect(template.shown('bc')).toBe(shown.replace('"a"', '"bc"'));
    expect(template.match(of('\\"'))).not.toBeNull();
    for (const other of [of('<|x'), of('a', ',"stop_reason":7'), of('a"},"finish_reason":"stop'), of('a').trimEnd()]) {
      expect(template.match(other)).toBeNull();
    }
  });
});
