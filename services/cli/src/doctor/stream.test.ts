/** What doctor makes of a stream that something on the way has spoilt; `test/e2e/doctor-public.test.ts` lets a real proxy do it. */
import { describe, expect, test } from '@jest/globals';
import { type Arrival, judgeSilence, judgeStream, type SilenceSeen, type StreamSeen } from './stream.ts';

const every = (stepMs: number, count: number, events = 1, fromMs = 500): Arrival[] =>
  Array.from({ length: count }, (_, i) => ({ atMs: fromMs + i * stepMs, events }));

describe('a stream', () => {
  const seen = (more: Partial<StreamSeen>): StreamSeen => ({
    status: 200,
    code: null,
    contentType: 'text/event-stream; charset=utf-8',
    contentEncoding: null,
    arrivals: every(100, 895),
    end: 'enough',
    endMs: 90_000,
    ...more,
  });
  const bad = (more: Partial<StreamSeen>) =>
    judgeStream(seen(more), 90)
      .filter(({ ok }) => !ok)
      .map(({ name }) => name.replace('public stream', '').trim());

  test.each<[string, Partial<StreamSeen>, string[]]>([
    ['of 10 tokens a second', {}, []],
    ['of 125 tokens a second: no pause is long', { arrivals: every(8, 11_180) }, []],
    ['of a fast engine whose events come together', { arrivals: every(10, 8_900, 30) }, []],
    ['of a slow engine under load', { arrivals: every(400, 220, 3) }, []],
    [
      'that waited for its worker, with comments',
      { arrivals: [...every(5_000, 6), ...every(30, 1_800, 1, 35_000)] },
      [],
    ],
    ['done early', { end: 'finished', endMs: 1_400, arrivals: every(5, 170) }, []],
    ['held back to the end', { arrivals: every(1, 20, 400, 89_900) }, ['buffering']],
    ['of which nothing ever comes', { arrivals: [] }, ['buffering']],
    ['given in three lumps', { arrivals: every(29_000, 3, 300) }, ['buffering']],
    ["in lumps of a proxy's buffer of 4 kB", { arrivals: every(180, 490, 17) }, ['buffering']],
    ['compressed', { contentEncoding: 'gzip' }, ['compression']],
    ['cut after a minute', { end: 'cut', endMs: 60_000, arrivals: every(100, 590) }, ['duration']],
    ['refused', { status: 401, contentType: 'application/json', code: 'invalid_api_key' }, ['']],
  ])('%s', (_what, more, expected) => expect(bad(more)).toEqual(expected));

  test('every failure has a fix, a refusal its code', () => {
    for (const more of [{ arrivals: [] }, { contentEncoding: 'br' }, { end: 'cut' as const }, { status: 502 }])
      for (const check of judgeStream(seen(more), 90)) if (!check.ok) expect(check.fix).toBeTruthy();
    expect(judgeStream(seen({ status: 402, code: 'insufficient_credits' }), 90)[0]?.detail).toContain(
      'insufficient_credits',
    );
  });
});

describe('a silent request', () => {
  const verdict = (more: Partial<SilenceSeen>) =>
    judgeSilence({ end: 'enough', status: null, code: null, endMs: 90_000, ...more }, 90);

  test.each<[string, Partial<SilenceSeen>, boolean, string | null]>([
    ['that stays open', {}, true, null],
    ['whose connection is closed', { end: 'cut', endMs: 60_000 }, false, 'proxy_read_timeout'],
    ['that a proxy answers', { end: 'cut', status: 504, endMs: 60_000 }, false, 'proxy_read_timeout'],
    ['that is answered early', { end: 'answered', status: 200, endMs: 3_000 }, true, 'not shown'],
    ['that is refused', { end: 'answered', status: 429, code: 'concurrency_limit_exceeded' }, false, 'by hand'],
  ])('%s', (_what, more, ok, fix) => {
    const check = verdict(more);
    expect(check.ok).toBe(ok);
    if (fix === null) expect(check.fix).toBeNull();
    else expect(check.fix).toContain(fix);
  });
});
