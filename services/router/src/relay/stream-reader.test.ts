import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { StreamReader, type StreamReaderOptions } from './stream-reader.ts';

const base: StreamReaderOptions = {
  usage: 'hidden',
  choices: 1,
  hasTools: false,
  maxTokens: 100,
  checks: null,
  shape: { sglang: false, reasoningField: 'reasoning' },
};
const chunk = (delta: object, more: object = {}, usage: object | null = null, index = 0) =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-u',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }],
    ...(usage === null ? {} : { usage }),
  })}\n\n`;
/** As a worker sends it: with fields of its own, which no client sees. */
const raw = (text: string) =>
  text
    .replaceAll('"finish_reason":null}]', '"finish_reason":null,"token_ids":null}]')
    .replaceAll('"finish_reason":"stop"}]', '"finish_reason":"stop","stop_reason":null,"token_ids":null}]');
const usage = (completion: number) => ({
  prompt_tokens: 31,
  total_tokens: 31 + completion,
  completion_tokens: completion,
  completion_tokens_details: { reasoning_tokens: 0 },
});
const closing = (completion: number, cached: number) =>
  `data: {"id":"chatcmpl-u","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":31,"total_tokens":${31 + completion},"completion_tokens":${completion},"prompt_tokens_details":{"cached_tokens":${cached},"created_cache_tokens":0},"completion_tokens_details":{"reasoning_tokens":2}},"system_fingerprint":"f"}\n\n`;
const DONE = 'data: [DONE]\n\n';

/** Text that contains everything a scan could trip over. */
const NASTY = 'schön 🚀 "usage":{"completion_tokens":999} finish_reason":"stop" [DONE]\n\ndata: {"error"';
const STREAM = raw(
  [
    chunk({ role: 'assistant', content: '' }, {}, usage(0)),
    chunk({ content: 'Grüße ' }, {}, usage(1)),
    chunk({ content: NASTY }, {}, usage(2)),
    chunk({ content: '漢字' }, { finish_reason: 'stop' }, usage(3)),
    closing(3, 16),
    DONE,
  ].join(''),
);
/** The same without any usage: what a client that asked for none shall read. */
const PLAIN = [
  chunk({ role: 'assistant', content: '' }),
  chunk({ content: 'Grüße ' }),
  chunk({ content: NASTY }),
  chunk({ content: '漢字' }, { finish_reason: 'stop' }),
  DONE,
].join('');

function read(pieces: readonly Buffer[], options: Partial<StreamReaderOptions> = {}) {
  const reader = new StreamReader({ ...base, ...options });
  let out = '';
  for (const piece of pieces) out += reader.push(piece);
  out += reader.end();
  return { reader, bytes: Buffer.from(out + reader.last, 'latin1').toString('utf8') };
}

const pieces = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
};

describe('a chat stream', () => {
  test('loses its usage and the fields of engines, and nothing else, when the client asked for none', () => {
    const { bytes, reader } = read([Buffer.from(STREAM)]);
    expect(bytes).toBe(PLAIN);
    expect(reader.counts).toEqual({
      promptTokens: 31,
      cachedTokens: 16,
      completionTokens: 3,
      reasoningTokens: 2,
      final: true,
    });
    expect(reader.finishReasons).toEqual(['stop']);
    expect(reader.isWhole).toBe(true);
  });

  test('split in two at every byte gives identical bytes and equal usage', () => {
    const bytes = Buffer.from(STREAM);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const result = read(pieces(bytes, [cut]));
      expect(result.bytes).toBe(PLAIN);
      expect(result.reader.counts.completionTokens).toBe(3);
    }
  });

  test('byte by byte, with CRLF, CR and comments, gives one and the same answer', () => {
    for (const lineEnd of ['\n', '\r\n', '\r']) {
      const text = STREAM.replaceAll('\n', lineEnd);
      const whole = read([Buffer.from(text)]);
      const bytes = Buffer.from(text);
      const trickle = read(pieces(bytes, [...bytes.keys()]));
      expect(trickle.bytes).toBe(whole.bytes);
      expect(trickle.reader.counts).toEqual(whole.reader.counts);
      expect(whole.bytes.replaceAll(/\r\n|\r/g, '\n')).toBe(PLAIN);
    }
  });

  test('split anywhere, any number of times, in any mode, stays the same', () => {
    const bytes = Buffer.from(`: hello\n\n${STREAM}`.replace('\n\ndata: {', '\n\n: keep-alive\n\ndata: {'));
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 40 }),
        fc.constantFrom('hidden', 'final', 'every' as const),
        (cuts, mode) => {
          const whole = read([bytes], { usage: mode });
          const split = read(pieces(bytes, cuts), { usage: mode });
          expect(split.bytes).toBe(whole.bytes);
          expect(split.reader.counts).toEqual(whole.reader.counts);
        },
      ),
    );
  });

  test('shows usage as null in each chunk and whole in the last when the client asked', () => {
    const { bytes } = read([Buffer.from(STREAM)], { usage: 'final' });
    const parsed = bytes
      .split('\n\n')
      .slice(0, -2)
      .map((event) => JSON.parse(event.slice(6)));
    expect(parsed.slice(0, 4).map((event) => event.usage)).toEqual([null, null, null, null]);
    expect(parsed[4]).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
  });

  test('keeps the closing usage and [DONE] back until the bill is safe', () => {
    const reader = new StreamReader({ ...base, usage: 'final' });
    const out = reader.push(Buffer.from(STREAM));
    expect(out).not.toContain('"choices":[]');
    expect(out).not.toContain(DONE);
    expect(reader.last).toContain('"choices":[]');
    expect(reader.last.endsWith(DONE)).toBe(true);
  });

  test('cut anywhere is billed by the last count that was seen', () => {
    const head = STREAM.slice(0, STREAM.indexOf(NASTY.slice(0, 5)));
    const { reader } = read([Buffer.from(head)]);
    expect(reader.counts).toMatchObject({ promptTokens: 31, completionTokens: 1, cachedTokens: null, final: false });
    expect(reader.isWhole).toBe(false);
  });

  test('that lost its worker behind its finish chunk is whole, and closed with the counts told up to there', () => {
    const cut = STREAM.slice(0, STREAM.indexOf(closing(3, 16)));
    const whole = (mode: StreamReaderOptions['usage'], bytes: string) => {
      const reader = new StreamReader({ ...base, usage: mode });
      const out = reader.push(Buffer.from(bytes));
      expect([reader.isWhole, reader.done]).toEqual([true, bytes === STREAM]);
      expect(reader.counts).toMatchObject({ promptTokens: 31, completionTokens: 3 });
      return Buffer.from(out + (reader.done ? reader.last : reader.last + reader.endMark), 'latin1').toString('utf8');
    };
    // What was cached and thought is told by the closing usage alone.
    const told = /,"prompt_tokens_details".*?\}\}|,"prompt_tokens_details".*?\},"completion_tokens_details".*?\}/g;
    const bare = (text: string) => text.replaceAll(told, '').replaceAll(',"system_fingerprint":"f"', '');
    for (const mode of ['hidden', 'final', 'every', 'finish_chunk'] as const) {
      expect(bare(whole(mode, cut))).toBe(bare(whole(mode, STREAM)));
    }
    expect(whole('final', cut)).toContain('"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":3,');
    expect(whole('finish_chunk', cut)).toContain('"usage":{"prompt_tokens":31,"completion_tokens":3,');
  });

  test('with its usage in the last chunk has that chunk empty, and what stood beside the finish reason before it', () => {
    const chunks = [
      chunk({ role: 'assistant', content: '' }, {}, usage(0)),
      chunk({ content: 'schö' }, {}, usage(1)),
      chunk({ content: 'n 🚀' }, { finish_reason: 'length', logprobs: { content: [{ token: 'n' }] } }, usage(2)),
      closing(2, 0),
      DONE,
    ].join('');
    const { bytes, reader } = read([Buffer.from(raw(chunks))], { usage: 'finish_chunk' });
    const [, , text, end, done] = bytes.split('\n\n');
    expect(JSON.parse(text!.slice(6)).choices).toEqual([
      { index: 0, delta: { content: 'n 🚀' }, logprobs: { content: [{ token: 'n' }] }, finish_reason: null },
    ]);
    expect(JSON.parse(end!.slice(6))).toMatchObject({
      choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: 'length' }],
      usage: { prompt_tokens: 31, completion_tokens: 2 },
    });
    expect([done, reader.counts.completionTokens]).toEqual(['data: [DONE]', 2]);
  });

  test('that lost its worker behind its finish chunk, and was never counted, makes no usage up', () => {
    const reader = new StreamReader({ ...base, usage: 'final' });
    reader.push(Buffer.from(chunk({ content: 'a' }) + chunk({}, { finish_reason: 'stop' })));
    expect([reader.isWhole, reader.last + reader.endMark]).toEqual([true, DONE]);
  });

  test('of several choices counts each one and their sum', () => {
    const text = [
      chunk({ content: 'a' }, {}, usage(1), 0),
      chunk({ content: 'b' }, {}, usage(1), 1),
      chunk({ content: 'c' }, {}, usage(5), 1),
      chunk({ content: 'd' }, {}, usage(2), 0),
    ].join('');
    const { reader } = read([Buffer.from(text)], { choices: 2 });
    expect(reader.counts.completionTokens).toBe(7);
  });

  test('with white space between its tokens is understood all the same', () => {
    const spaced = `data: {"choices": [{"index": 0, "delta": {"content": "ä"}}], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}\n\n`;
    const { bytes, reader } = read([Buffer.from(spaced)]);
    expect(JSON.parse(bytes.slice(6))).toEqual({ choices: [{ index: 0, delta: { content: 'ä' } }] });
    expect(reader.counts).toMatchObject({ promptTokens: 4, completionTokens: 2 });
  });

  test('without its last blank line is still whole', () => {
    const { reader, bytes } = read([Buffer.from(STREAM.slice(0, -2))]);
    expect(reader.done).toBe(true);
    expect(bytes).toBe(PLAIN);
  });
});

describe('what is no good stream is found', () => {
  test.each([
    ['an error event', 'data: {"error": {"message": "no", "type": "BadRequestError", "param": null, "code": 400}}\n\n'],
    ['bytes that are no JSON', 'data: <html>\n\n'],
    ['half a JSON object', 'data: {"id":"x"\n\n'],
  ])('%s', (_name, event) => {
    const { reader, bytes } = read([Buffer.from(STREAM.slice(0, STREAM.indexOf('\n\n') + 2) + event + DONE)]);
    expect(reader.fault?.kind).toBe(event.includes('"error"') ? 'error_event' : 'garbage');
    expect(reader.done).toBe(false);
    expect(bytes).toBe(chunk({ role: 'assistant', content: '' }));
  });

  test('a choice that the worker aborted', () => {
    const { reader } = read([Buffer.from(chunk({ content: '' }, { finish_reason: 'abort' }))]);
    expect(reader.fault).toEqual({ kind: 'aborted_by_worker' });
  });
});

describe('a tool call in a stream', () => {
  const call = (part: string) => chunk({ tool_calls: [{ index: 0, function: { arguments: part } }] });
  const finish = (reason: string) => chunk({}, { finish_reason: reason });
  const options = { hasTools: true, maxTokens: 10 };

  test('that was cut ends with `length`, whatever the engine says', () => {
    for (const reason of ['tool_calls', 'stop']) {
      const { reader, bytes } = read([Buffer.from(call('{"zo') + call('ne"') + finish(reason) + DONE)], options);
      expect(reader.finishReasons).toEqual(['length']);
      expect(bytes).toContain('"finish_reason":"length"');
      expect(bytes).not.toContain(`"finish_reason":"${reason}"`);
    }
  });

  test('that is whole keeps its finish reason and its bytes', () => {
    const text = call('{"zo') + call('ne":"ütc"}') + finish('tool_calls') + DONE;
    const { reader, bytes } = read([Buffer.from(text)], options);
    expect(reader.finishReasons).toEqual(['tool_calls']);
    expect(bytes).toBe(text);
  });

  test('without arguments is whole unless the output limit was reached', () => {
    const text = (count: number) =>
      chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'f' } }] }, {}, usage(count)) +
      finish('tool_calls');
    expect(read([Buffer.from(text(3))], options).reader.finishReasons).toEqual(['tool_calls']);
    expect(read([Buffer.from(text(10))], options).reader.finishReasons).toEqual(['length']);
  });

  test.each([
    ['without any call says tool_calls', [chunk({}, { finish_reason: 'tool_calls' })]],
    ['wrote a call in its own words', [chunk({ content: '<tool_call>' }), chunk({}, { finish_reason: 'stop' })]],
  ])('an answer that %s ends as invalid where tools may be called', (_name, chunks) => {
    const reader = new StreamReader({ ...base, hasTools: true });
    reader.push(Buffer.from(chunks.join('')));
    expect(reader.fault).toMatchObject({ kind: 'invalid_output', violation: { keyword: 'tool_calls' } });
  });

  test('a finish reason that OpenAI does not know means that the answer is not whole', () => {
    const { bytes } = read([Buffer.from(finish('repetition'))]);
    expect(bytes).toContain('"finish_reason":"length"');
  });
});
