import type { Random } from '@tollgate/shared/runtime/random';

const POOL_BYTES = 8_192;

/** Random bytes from a pool that is filled a few thousand at a time: ids are minted for every request. */
export function pooledBytes(random: Pick<Random, 'bytes'>): (count: number) => Uint8Array {
  let pool: Uint8Array = new Uint8Array(0);
  let used = 0;
  return (count) => {
    if (used + count > pool.length) {
      pool = random.bytes(Math.max(POOL_BYTES, count));
      used = 0;
    }
    used += count;
    return pool.subarray(used - count, used);
  };
}
