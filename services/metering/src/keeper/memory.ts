import type { RedisClient } from '@tollgate/shared/redis/client';

/** Share of its `maxmemory` that Redis uses, 0 when it has no limit; of the fullest master in a cluster. */
export async function memoryShare(redis: RedisClient): Promise<number> {
  const nodes = 'nodes' in redis ? redis.nodes('master') : [redis];
  const shares = await Promise.all(
    nodes.map(async (node) => {
      const info = await node.info('memory');
      const read = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
      const limit = read('maxmemory');
      return limit > 0 ? read('used_memory') / limit : 0;
    }),
  );
  return Math.max(0, ...shares);
}
