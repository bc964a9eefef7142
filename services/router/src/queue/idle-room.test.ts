import { describe, expect, test } from '@jest/globals';
import { H100_FP8, stepMs } from '../routing/estimates.ts';
import { allowedStepMs, type BatchLoad, hasIdleRoom, IDLE_RULE, type WorkerLoad } from './idle-room.ts';

const NO_BATCH: BatchLoad = { running: 0, heldTokens: 0 };
const TOKENS = 500;

function load(running: number, heldTokens: number, pendingPrefillMs = 0): WorkerLoad {
  return { estimate: H100_FP8, running, heldTokens, pendingPrefillMs };
}

/** How many batch requests get in, one after the other, beside `interactive` requests that hold `heldTokens`. */
function admitted(interactive: number, heldTokens: number): number {
  let batch = 0;
  while (
    batch < 1_000 &&
    hasIdleRoom(
      load(interactive + batch, heldTokens + batch * TOKENS),
      { running: batch, heldTokens: batch * TOKENS },
      TOKENS,
    )
  ) {
    batch++;
  }
  return batch;
}

describe('idle room', () => {
  test('a worker with nothing to do takes a batch request, however long, and some more of them, not any number', () => {
    expect(hasIdleRoom(load(0, 0), NO_BATCH, 100_000)).toBe(true);
    expect(hasIdleRoom(load(1, 100_000), { running: 1, heldTokens: 100_000 }, 100_000)).toBe(true);
    expect(admitted(0, 0)).toBe(IDLE_RULE.aloneSequences);
  });

  test('no batch request starts where a prompt is being computed', () => {
    expect(hasIdleRoom(load(60, 200_000), NO_BATCH, TOKENS)).toBe(true);
    expect(hasIdleRoom(load(60, 200_000, 10), NO_BATCH, TOKENS)).toBe(false);
    // What is left over of a sum of fractions is no prompt.
    expect(hasIdleRoom(load(60, 200_000, 1e-9), NO_BATCH, TOKENS)).toBe(true);
  });

  test('beside interactive requests all batch requests together stay within the allowed growth of the step', () => {
    for (const [interactive, held] of [
      [1, 4_000],
      [8, 30_000],
      [30, 120_000],
      [100, 400_000],
    ] as const) {
      const batch = admitted(interactive, held);
      const without = stepMs(H100_FP8, interactive, held);
      const limitMs = without * (1 + IDLE_RULE.maxStepGrowth);
      expect(stepMs(H100_FP8, interactive + batch, held + batch * TOKENS)).toBeLessThanOrEqual(limitMs);
      expect(stepMs(H100_FP8, interactive + batch + 1, held + (batch + 1) * TOKENS)).toBeGreaterThan(limitMs);
    }
    // A worker with few sequences reads more experts for each one more: batch leaves it alone.
    expect(admitted(1, 4_000)).toBe(0);
    expect(admitted(100, 400_000)).toBeGreaterThan(0);
  });

  test('what runs of batch already does not make room for more of it', () => {
    const fresh = allowedStepMs(load(10, 40_000), NO_BATCH);
    expect(allowedStepMs(load(15, 42_500), { running: 5, heldTokens: 2_500 })).toBeCloseTo(fresh, 9);
  });
});
