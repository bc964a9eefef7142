import { describe, expect, test } from '@jest/globals';
import { H100_FP8, stepMs } from '../routing/estimates.ts';
import { Pace, RequestPace, tempos } from './pace.ts';

const worker = { estimate: H100_FP8, decoding: 1, heldTokens: 0, pendingPrefillMs: 0, prefilledMs: 0 };
const STEP_MS = stepMs(H100_FP8, 1, 0);

/** A worker that was seen for `expectedMs`, so many times slower than expected. */
const seen = (ratio: number, expectedMs = 10_000, nowMs = 0) => {
  const pace = new Pace();
  pace.note(ratio * expectedMs, expectedMs, nowMs);
  return { pace };
};
const round = (values: number[]) => values.map((value) => Math.round(value * 10) / 10);

describe('tempo', () => {
  test('is how much slower a worker writes than the others, never below 1, at most 10', () => {
    expect(round(tempos([seen(1), seen(1), seen(3)], 0))).toEqual([1, 1, 3]);
    expect(round(tempos([seen(1), seen(0.9), seen(50)], 0))).toEqual([1, 1, 10]);
    expect(round(tempos([seen(1), seen(4)], 0))).toEqual([1, 4]);
    expect(tempos([seen(9)], 0)).toEqual([1]);
  });

  test('does not say how wrong the estimate is for all of them', () => {
    expect(round(tempos([seen(0.1), seen(0.1), seen(1)], 0))).toEqual([1, 1, 9.9]);
    expect(round(tempos([seen(7), seen(7), seen(7)], 0))).toEqual([1, 1, 1]);
  });

  test('of a worker of which little is known is near 1', () => {
    const [, , slow] = tempos([seen(1), seen(1), seen(10, 10)], 0);
    expect(slow).toBeLessThan(2);
    const [, , slower] = tempos([seen(1), seen(1), seen(10, 200)], 0);
    expect(slower).toBeGreaterThan(5);
  });

  test('is forgotten while nothing is sent there: it is tried again within a minute', () => {
    const pool = [seen(1), seen(1), seen(10)];
    const after = (nowMs: number) => {
      // The others go on.
      for (const { pace } of pool.slice(0, 2)) pace.note(1_000, 1_000, nowMs);
      return tempos(pool, nowMs)[2]!;
    };
    expect(after(10_000)).toBeGreaterThan(8);
    expect(after(60_000)).toBeLessThan(3);
  });
});

describe('the pace of a request', () => {
  test('is told while it runs: a slow stream need not end first', () => {
    const pace = new Pace();
    const request = new RequestPace(pace, worker, 0);
    request.firstToken(1, 100);
    request.progress(8, 300);
    expect(pace.read(300).expectedMs).toBe(0);
    // 20 tokens at ten times their time.
    request.progress(21, 100 + 200 * STEP_MS);
    expect(pace.read(100 + 200 * STEP_MS).ratio).toBeCloseTo(10, 5);
  });

  test('is not slow for the prompts that are computed between its tokens', () => {
    const pace = new Pace();
    const busy = { ...worker };
    const request = new RequestPace(pace, busy, 0);
    request.firstToken(1, 100);
    busy.prefilledMs += 2_000;
    request.progress(101, 100 + 100 * STEP_MS + 2_000);
    expect(pace.read(0).ratio).toBeCloseTo(1, 5);
    // Once: the next tokens come at their own pace.
    request.progress(201, 100 + 300 * STEP_MS + 2_000);
    expect(pace.read(0).ratio).toBeGreaterThan(1.2);
  });

  test('counts each token once, from its progress to its end', () => {
    const pace = new Pace();
    const request = new RequestPace(pace, worker, 0);
    request.firstToken(3, 0);
    request.progress(103, 100 * STEP_MS);
    request.whole(203, 200 * STEP_MS);
    const { ratio, expectedMs } = pace.read(200 * STEP_MS);
    expect(ratio).toBeCloseTo(1, 5);
    expect(expectedMs).toBeLessThanOrEqual(200 * STEP_MS);
    expect(expectedMs).toBeGreaterThan(190 * STEP_MS);
  });

  test('leaves out the time in which the client held it up', () => {
    const pace = new Pace();
    const request = new RequestPace(pace, worker, 0);
    request.firstToken(1, 0);
    request.progress(101, 100 * STEP_MS);
    request.heldUp(150, 60_000);
    request.whole(250, 60_000 + 100 * STEP_MS);
    expect(pace.read(60_000 + 100 * STEP_MS).ratio).toBeCloseTo(1, 5);
  });

  test('of an answer that comes whole is that of all of it', () => {
    const pace = new Pace();
    const request = new RequestPace(pace, { ...worker, decoding: 0, pendingPrefillMs: 50 }, 0);
    request.whole(100, 50 + 101 * STEP_MS);
    expect(pace.read(0).ratio).toBeCloseTo(1, 1);
  });

  test('too few tokens tell nothing', () => {
    const pace = new Pace();
    const request = new RequestPace(pace, worker, 0);
    request.whole(7, 9_000);
    const other = new RequestPace(pace, worker, 0);
    other.firstToken(1, 0);
    other.whole(8, 9_000);
    expect(pace.read(9_000).expectedMs).toBe(0);
  });
});
