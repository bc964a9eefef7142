import { expect, test } from '@jest/globals';
import { KeyUses } from './key-uses.ts';

test('tells the latest use of each key once, and again when it could not be written', async () => {
  const written: [string, number][][] = [];
  let fails = false;
  const uses = new KeyUses({
    async touch(map) {
      if (fails) throw new Error('no database');
      written.push([...map]);
    },
  });
  await uses.flush();
  for (const [key, atMs] of [
    ['a', 5],
    ['b', 7],
    ['a', 3],
  ] as const)
    uses.note(key, atMs);
  await uses.flush();
  await uses.flush();
  expect(written).toEqual([
    [
      ['a', 5],
      ['b', 7],
    ],
  ]);
  fails = true;
  uses.note('a', 9);
  await expect(uses.flush()).rejects.toThrow('no database');
  uses.note('a', 8);
  fails = false;
  await uses.flush();
  expect(written.at(-1)).toEqual([['a', 9]]);
});
