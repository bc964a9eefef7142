import { expect, test } from '@jest/globals';
import { counts } from '@tollgate/shared/testkit/counts';
import fc from 'fast-check';
import { HashCounts } from './hash-counts.ts';

test('counts as a Map does, whatever comes and goes, and however hashes collide', () => {
  // Few places and few different low bits: most hashes lie behind others.
  const hash = fc.oneof(
    fc.nat(12),
    fc.constantFrom(...[0, 1, 2, 3, 60, 61, 62, 63].flatMap((low) => [low + 64, low + 128, low + 0x3fffffc0])),
    fc.nat(0x7fffffff),
    fc.integer({ min: 2 ** 31, max: 2 ** 32 - 1 }),
  );
  const step = fc.record({ hash, isGoing: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
      const table = new HashCounts(4);
      const model = new Map<number, number>();
      for (const { hash, isGoing } of steps) {
        const before = model.get(hash) ?? 0;
        const after = Math.max(0, before + (isGoing ? -1 : 1));
        if (after === 0) model.delete(hash);
        else model.set(hash, after);
        expect(isGoing ? table.remove(hash) : table.add(hash)).toBe(after);
        expect(table.size).toBe(model.size);
      }
      for (const [hash, count] of model) {
        for (let left = count - 1; left >= 0; left--) expect(table.remove(hash)).toBe(left);
      }
      expect(table.size).toBe(0);
    }),
    { numRuns: counts(100, 2_000) },
  );
});
