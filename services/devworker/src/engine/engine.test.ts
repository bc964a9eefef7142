import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { virtualClock } from './clock.ts';
import { createEngine, type EngineRequest, type Seen } from './engine.ts';
import { GPUS, stepMs } from './step-time.ts';

/** Runs requests that arrive at given times; answers what was seen of each. */
function run(
  arrivals: readonly (EngineRequest & { atMs: number })[],
  options: Partial<Parameters<typeof createEngine>[0]> = {},
) {
  const clock = virtualClock();
  const engine = createEngine({ clock, ...options });
  const seen: (Seen | undefined)[] = arrivals.map(() => undefined);
  for (const [i, request] of arrivals.entries()) {
    clock.schedule(request.atMs, () => {
      engine.submit(request, {
        onFinish(_reason, measured) {
          seen[i] = measured;
        },
      });
    });
  }
  clock.run();
  return { engine, seen: seen as Seen[], endMs: clock.nowMs() };
}

const hashes = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);

describe('step times', () => {
  const load = { decoding: 0, contextTokens: 0, prefillTokens: 0, prefillPairs: 0 };

  test.each([
    [1, 1000, 5.1],
    [8, 1000, 8.9],
    [32, 4000, 18.4],
    [64, 1000, 19.8],
    [128, 1000, 26.7],
  ])('a batch of %d at %d tokens of context takes what the calibration says', (decoding, context, expectedMs) => {
    const ms = stepMs(GPUS.h100.cost, { ...load, decoding, contextTokens: decoding * context });
    expect(Math.abs(ms - expectedMs) / expectedMs).toBeLessThan(0.1);
  });

  test.each([
    [1000, 35],
    [2000, 56],
    [4000, 106],
    [8000, 230],
  ])('a prompt of %d tokens is computed in the time of the roofline', (tokens, expectedMs) => {
    const ms = stepMs(GPUS.h100.cost, { ...load, prefillTokens: tokens, prefillPairs: (tokens * tokens) / 2 });
    expect(Math.abs(ms - expectedMs) / expectedMs).toBeLessThan(0.15);
  });
});

describe('prefix cache', () => {
  test('a prompt that comes again is computed only in its last block, and much sooner', () => {
    const request = { promptTokens: 4096, blockHashes: hashes('a', 256), outputTokens: 4 };
    const { seen } = run([
      { ...request, atMs: 0 },
      { ...request, atMs: 1000 },
    ]);
    expect(seen[0]).toMatchObject({ cachedTokens: 0, createdTokens: 4096 });
    expect(seen[1]).toMatchObject({ cachedTokens: 4080, createdTokens: 0 });
    expect(seen[1]!.firstTokenMs!).toBeLessThan(seen[0]!.firstTokenMs! / 3);
  });

  test('a longer prompt with the same beginning reuses the beginning', () => {
    const { seen } = run(
      [
        { promptTokens: 615, blockHashes: hashes('a', 4), outputTokens: 1, atMs: 0 },
        { promptTokens: 800, blockHashes: [...hashes('a', 4), 'b4', 'b5'], outputTokens: 1, atMs: 1000 },
      ],
      { blockSize: 128 },
    );
    expect(seen[0]).toMatchObject({ cachedTokens: 0, createdTokens: 512 });
    expect(seen[1]).toMatchObject({ cachedTokens: 512, createdTokens: 256 });
  });

  test('the oldest unused blocks make room first', () => {
    const prompt = (name: string, atMs: number) => ({
      promptTokens: 64,
      blockHashes: hashes(name, 4),
      outputTokens: 1,
      atMs,
    });
    const { seen } = run([prompt('a', 0), prompt('b', 1000), prompt('c', 2000), prompt('c', 3000), prompt('a', 4000)], {
      kvTokens: 160,
    });
    expect(seen[3]!.cachedTokens).toBe(48);
    expect(seen[4]!.cachedTokens).toBeLessThan(48);
  });
});

describe('scheduling', () => {
  test('a long prompt is computed in chunks, and running answers go on between them', () => {
    const clock = virtualClock();
    const engine = createEngine({ clock, maxBatchedTokens: 512 });
    const times: number[] = [];
    engine.submit({ promptTokens: 16, outputTokens: 200 }, { onToken: () => void times.push(clock.nowMs()) });
    clock.schedule(100, () => engine.submit({ promptTokens: 8192, outputTokens: 1 }));
    clock.run();
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    expect(Math.max(...gaps)).toBeLessThan(60);
  });

  test('a lower priority number goes first when all must wait', () => {
    const clock = virtualClock();
    const engine = createEngine({ clock, maxSequences: 1 });
    const order: string[] = [];
    const submit = (name: string, priority: number) =>
      engine.submit({ promptTokens: 16, outputTokens: 5, priority }, { onFinish: () => void order.push(name) });
    submit('first', 0);
    clock.run(1);
    submit('late', 5);
    submit('urgent', -1);
    submit('normal', 0);
    clock.run();
    expect(order).toEqual(['first', 'urgent', 'normal', 'late']);
  });

  test('an aborted request is gone at once, its blocks are free, others do not notice', () => {
    const clock = virtualClock();
    const engine = createEngine({ clock });
    let finished = 0;
    const ended: string[] = [];
    const id = engine.submit(
      { promptTokens: 100, outputTokens: 1000 },
      { onFinish: (reason) => void ended.push(reason) },
    );
    engine.submit({ promptTokens: 100, outputTokens: 50 }, { onFinish: () => void finished++ });
    clock.run(100);
    const before = engine.stats().kvUsage;
    expect(engine.abort(id)).toBe(true);
    expect(ended).toEqual(['abort']);
    expect(engine.stats().kvUsage).toBeLessThan(before);
    expect(engine.abort(id)).toBe(false);
    clock.run();
    expect(finished).toBe(1);
    expect(engine.stats()).toMatchObject({ running: 0, aborted: 1, finished: 1, kvUsage: 0 });
  });

  test('when memory runs out the last one in starts again, and everybody ends', () => {
    const { engine, seen } = run(
      Array.from({ length: 8 }, (_, i) => ({ promptTokens: 64, outputTokens: 200, atMs: i })),
      { kvTokens: 1024 },
    );
    expect(engine.stats().preemptions).toBeGreaterThan(0);
    expect(seen.map(({ generatedTokens }) => generatedTokens)).toEqual(Array(8).fill(200));
  });

  test('a slow request does not slow the others', () => {
    const { seen } = run([
      { promptTokens: 16, outputTokens: 50, slowFactor: 10, atMs: 0 },
      { promptTokens: 16, outputTokens: 50, atMs: 0 },
    ]);
    expect(seen[0]!.totalMs).toBeGreaterThan(seen[1]!.totalMs * 5);
  });
});

const arrival = fc.record({
  atMs: fc.integer({ min: 0, max: 5000 }),
  promptTokens: fc.integer({ min: 1, max: 400 }),
  outputTokens: fc.integer({ min: 1, max: 60 }),
  family: fc.integer({ min: 0, max: 3 }),
  abortAtMs: fc.option(fc.integer({ min: 0, max: 6000 }), { nil: undefined, freq: 4 }),
});

test('whatever arrives and whoever leaves: every request ends once, tokens add up, no block is lost', () => {
  fc.assert(
    fc.property(
      fc.array(arrival, { maxLength: 40 }),
      fc.integer({ min: 30, max: 400 }),
      fc.integer({ min: 1, max: 12 }),
      (arrivals, blocks, maxSequences) => {
        const clock = virtualClock();
        const engine = createEngine({ clock, kvTokens: blocks * 16, maxSequences, maxBatchedTokens: 128 });
        const ends = arrivals.map(() => 0);
        let tokens = 0;
        for (const [i, { atMs, promptTokens, outputTokens, family, abortAtMs }] of arrivals.entries()) {
          clock.schedule(atMs, () => {
            const blockHashes = Array.from(
              { length: Math.floor(promptTokens / 16) },
              (_, k) => `${k < 5 ? family : i}/${k}`,
            );
            const id = engine.submit(
              { promptTokens, outputTokens, blockHashes },
              {
                onToken: () => void tokens++,
                onFinish(reason, seen) {
                  ends[i]!++;
                  if (reason === 'done') expect(seen.generatedTokens).toBe(outputTokens);
                  expect(seen.cachedTokens).toBeLessThan(promptTokens);
                },
              },
            );
            if (abortAtMs !== undefined) clock.schedule(atMs + abortAtMs, () => void engine.abort(id));
          });
        }
        clock.run();
        const stats = engine.stats();
        expect(ends).toEqual(arrivals.map(() => 1));
        expect(stats).toMatchObject({ running: 0, waiting: 0, kvUsage: 0, generatedTokens: tokens });
        expect(stats.finished + stats.aborted).toBe(arrivals.length);
      },
    ),
    { numRuns: 150 },
  );
});

test('the same arrivals give the same times', () => {
  const arrivals = Array.from({ length: 50 }, (_, i) => ({
    promptTokens: 100 + i * 7,
    outputTokens: 20 + i,
    atMs: i * 13,
  }));
  expect(run(arrivals).seen).toEqual(run(arrivals).seen);
});

test('steps that are made up for together give the same times, tokens and blocks as one by one', () => {
  const looks = fc.array(fc.integer({ min: 0, max: 6000 }), { maxLength: 5 });
  fc.assert(
    fc.property(
      fc.array(arrival, { maxLength: 30 }),
      looks,
      fc.integer({ min: 30, max: 400 }),
      (arrivals, looksAtMs, blocks) => {
        const told = [true, false].map((isHeard) => {
          const clock = virtualClock();
          const engine = createEngine({ clock, kvTokens: blocks * 16, maxSequences: 12, maxBatchedTokens: 256 });
          const heard: unknown[] = [];
          for (const [i, { atMs, promptTokens, outputTokens, family, abortAtMs }] of arrivals.entries()) {
            clock.schedule(atMs, () => {
              const shared = Math.floor((promptTokens + outputTokens) / 16);
              const blockHashes = Array.from({ length: shared }, (_, k) => `${k < 9 ? family : i}/${k}`);
              const listener = {
                onFirstToken: () => void heard.push([i, clock.nowMs()]),
                onFinish: (reason: string, seen: Seen) => void heard.push([i, reason, seen, clock.nowMs()]),
              };
              const request = { promptTokens, outputTokens, blockHashes };
              const id = engine.submit(request, isHeard ? { ...listener, onToken() {} } : listener);
              if (abortAtMs !== undefined) clock.schedule(atMs + abortAtMs, () => void engine.abort(id));
            });
          }
          for (const atMs of looksAtMs) {
            clock.schedule(atMs, () => void heard.push(engine.stats(), engine.pendingPrefillTokens()));
          }
          clock.run();
          return [heard, engine.stats()];
        });
        expect(told[1]).toEqual(told[0]);
      },
    ),
    { numRuns: 300 },
  );
});
