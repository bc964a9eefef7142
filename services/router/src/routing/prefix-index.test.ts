import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PrefixIndex } from './prefix-index.ts';

/** The same by hand: one list per worker, newest last. */
function naive(capacities: number[]) {
  const lists: number[][] = capacities.map(() => []);
  return {
    touch(worker: number, blocks: readonly number[]) {
      for (const hash of [...blocks].reverse()) {
        lists[worker] = lists[worker]!.filter((other) => other !== hash);
        lists[worker]!.push(hash);
      }
      lists[worker] = lists[worker]!.slice(-capacities[worker]!);
    },
    truncate(worker: number, blocks: readonly number[], depth: number) {
      lists[worker] = lists[worker]!.filter((hash) => !blocks.slice(depth).includes(hash));
    },
    clear(worker: number) {
      lists[worker] = [];
    },
    depth(worker: number, blocks: readonly number[]) {
      let depth = 0;
      while (depth < blocks.length && lists[worker]!.includes(blocks[depth]!)) depth++;
      return depth;
    },
  };
}

const chainOf = fc.array(fc.nat(12), { maxLength: 8 }).map((list) => [...new Set(list)]);
const step = fc.record({
  op: fc.constantFrom('touch', 'touch', 'touch', 'truncate', 'clear'),
  worker: fc.nat(69),
  blocks: chainOf,
  depth: fc.nat(4),
});

describe('prefix index', () => {
  test('knows the same depths as one plain list per worker, over 70 workers and any sequence', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), chainOf, (steps, asked) => {
        const capacities = Array.from({ length: 70 }, (_, i) => 1 + (i % 7));
        const index = new PrefixIndex();
        for (const capacity of capacities) index.addWorker(capacity);
        const model = naive(capacities);
        for (const { op, worker, blocks, depth } of steps) {
          if (op === 'touch') {
            index.touch(worker, blocks, 1);
            model.touch(worker, blocks);
          } else if (op === 'truncate') {
            index.truncate(worker, blocks, depth);
            model.truncate(worker, blocks, depth);
          } else {
            index.clear(worker);
            model.clear(worker);
          }
        }
        const depths = new Uint32Array(70);
        index.depths(asked, depths);
        for (let w = 0; w < 70; w++) {
          expect(depths[w]).toBe(model.depth(w, asked));
          expect(index.depth(w, asked)).toBe(depths[w]);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('never holds more of a worker than the worker can', () => {
    const index = new PrefixIndex();
    index.addWorker(5);
    for (let i = 0; i < 100; i++) index.touch(0, [i, i + 1, i + 2], 1);
    expect(index.size(0)).toBe(5);
    index.setCapacity(0, 2);
    expect(index.size(0)).toBe(2);
  });

  test('counts blocks of different sizes in tokens, and every token that goes is taken off', () => {
    const index = new PrefixIndex();
    index.addWorker(1_000);
    index.touch(0, [1, 2, 3], 0, [100, 150, 400]);
    expect(index.size(0)).toBe(400);
    index.touch(0, [1, 2, 4], 0, [100, 150, 160]);
    expect(index.size(0)).toBe(410);
    index.truncate(0, [1, 2, 3], 2);
    expect(index.size(0)).toBe(160);
    index.touch(0, [11, 12], 0, [500, 900]);
    expect([index.size(0), index.depth(0, [1, 2, 4]), index.depth(0, [11, 12])]).toEqual([1_000, 1, 2]);
    index.clear(0);
    expect(index.size(0)).toBe(0);
  });
});
