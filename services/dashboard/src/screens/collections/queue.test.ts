import { expect, test } from '@jest/globals';
import { AT_ONCE, changed, chosen, sentShare, toStart } from './queue.ts';

const MIB = 1_048_576;

test('a file that can never be taken says why before a byte is sent, and holds up no other', () => {
  const list = chosen(
    [
      { name: 'empty.txt', size: 0 },
      { name: 'film.pdf', size: 65 * MIB },
      { name: 'a.md', size: 10 },
    ],
    7,
    64 * MIB,
  );
  expect(list.map(({ id, state }) => [id, state])).toEqual([
    [7, 'failed'],
    [8, 'failed'],
    [9, 'waiting'],
  ]);
  expect(list[1]!.error).toContain('64 MiB');
  expect(toStart(list)).toEqual([9]);
});

test('so many go at once, the next one starts when one ends', () => {
  let list = chosen(
    ['a', 'b', 'c'].map((name) => ({ name, size: 4 })),
    1,
    MIB,
  );
  expect(toStart(list)).toHaveLength(AT_ONCE);
  for (const id of toStart(list)) list = changed(list, id, { state: 'sending', sent: 2 });
  expect(toStart(list)).toEqual([]);
  expect(sentShare(list[0]!)).toBe(0.5);
  list = changed(list, 1, { state: 'failed', error: 'no' });
  expect(toStart(list)).toEqual([3]);
});
