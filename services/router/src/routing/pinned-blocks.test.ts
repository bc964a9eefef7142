import { expect, test } from '@jest/globals';
import { testSeed } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { PinnedBlocks } from './pinned-blocks.ts';

test('blocks that several running requests share take their room once, and all of it is free at the end', () => {
  const block = fc.integer({ min: 1, max: 12 });
  const prompt = fc.uniqueArray(block, { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(prompt, { maxLength: 12 }), fc.boolean(), (prompts, hasEnds) => {
      const pinned = new PinnedBlocks();
      // Block b is of b tokens where ends are told, so that a shared one is of one size.
      const ends = (blocks: number[]) => blocks.map((_, i) => blocks.slice(0, i + 1).reduce((a, b) => a + b, 0));
      const count = (blocks: number[], step: 1 | -1) =>
        pinned.count(blocks, 7, hasEnds ? ends(blocks) : undefined, step);
      const sizeOf = (hash: number) => (hasEnds ? hash : 7);
      let tokens = 0;
      for (const blocks of prompts) tokens += count(blocks, 1);
      expect(tokens).toBe([...new Set(prompts.flat())].reduce((sum, hash) => sum + sizeOf(hash), 0));
      for (const blocks of prompts) tokens -= count(blocks, -1);
      expect([tokens, pinned.size]).toEqual([0, 0]);
    }),
    { seed: testSeed(), numRuns: 200 },
  );
});
