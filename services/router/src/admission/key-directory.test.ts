import { beforeEach, describe, expect, test } from '@jest/globals';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { KeyLookup } from '@tollgate/shared/redis/key-store';
import { type FakeClock, fakeClock } from '@tollgate/shared/testkit/fake-clock';
import { KEY_DIRECTORY_DEFAULTS, KeyDirectory } from './key-directory.ts';

const record = { keyId: 'key_a' } as unknown as KeyRecord;
let clock: FakeClock;
let lookup: () => Promise<KeyLookup>;
let reads: number;
let pushes: boolean;
let directory: KeyDirectory;

beforeEach(() => {
  clock = fakeClock();
  lookup = async () => ({ kind: 'found', record });
  reads = 0;
  pushes = true;
  directory = new KeyDirectory(
    { ...KEY_DIRECTORY_DEFAULTS, maxEntries: 2 },
    () => {
      reads++;
      return lookup();
    },
    () => pushes,
    clock,
  );
});

describe('a copy of a key', () => {
  test('is used for 30 s while pushes arrive and for 1 s while they do not', async () => {
    await directory.find('d');
    await clock.advance(29_000);
    expect(directory.peek('d')).toBe(record);
    pushes = false;
    expect(directory.peek('d')).toBeUndefined();
    pushes = true;
    await clock.advance(1_001);
    expect(directory.peek('d')).toBeUndefined();
  });

  test('is dropped by a push, also when it was being read just then', async () => {
    await directory.find('d');
    directory.invalidate('d');
    expect(directory.peek('d')).toBeUndefined();
    let answer: (value: KeyLookup) => void = () => {};
    lookup = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const reading = directory.find('d');
    directory.invalidate('d');
    answer({ kind: 'found', record });
    expect(await reading).toBe(record);
    expect(directory.peek('d')).toBeUndefined();
  });

  test('of a key that does not exist is remembered for 5 s', async () => {
    lookup = async () => ({ kind: 'unknown' });
    expect(await directory.find('d')).toBeNull();
    expect(directory.peek('d')).toBeNull();
    await clock.advance(5_001);
    expect(directory.peek('d')).toBeUndefined();
  });

  test('outlives an outage of Redis up to 30 s, then it is 503, never 401', async () => {
    await directory.find('d');
    lookup = () => Promise.reject(new Error('down'));
    pushes = false;
    await clock.advance(20_000);
    expect(await directory.find('d')).toBe(record);
    await clock.advance(20_000);
    await expect(directory.find('d')).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(directory.find('new')).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('is read once however many ask, and the oldest make room', async () => {
    await Promise.all([directory.find('a'), directory.find('a'), directory.find('a')]);
    expect(reads).toBe(1);
    await directory.find('b');
    await directory.find('c');
    expect(directory.peek('a')).toBeUndefined();
    expect(directory.peek('c')).toBe(record);
  });
});
