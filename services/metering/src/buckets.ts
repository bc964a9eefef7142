/** Cheap looks at all buckets at once, so that loops only touch those with work. */
import type { RedisClient } from '@tollgate/shared/redis/client';
import { bucketKeys } from '@tollgate/shared/redis/keys';

export interface BucketScan {
  bucket: number;
  size: number;
}

async function scan(bucketCount: number, read: (bucket: number) => Promise<number>): Promise<BucketScan[]> {
  const sizes = await Promise.all(Array.from({ length: bucketCount }, (_, bucket) => read(bucket)));
  return sizes.map((size, bucket) => ({ bucket, size })).filter(({ size }) => size > 0);
}

/** Buckets with records in their outbox, and how many. */
export function waitingOutboxes(redis: RedisClient, bucketCount: number): Promise<BucketScan[]> {
  return scan(bucketCount, (bucket) => redis.xlen(bucketKeys(bucket).outbox));
}

/** Buckets in which accounts ask for a lease. */
export function waitingNeeds(redis: RedisClient, bucketCount: number): Promise<BucketScan[]> {
  return scan(bucketCount, (bucket) => redis.hlen(bucketKeys(bucket).need));
}

/** Buckets with live holds. */
export function liveHolds(redis: RedisClient, bucketCount: number): Promise<BucketScan[]> {
  return scan(bucketCount, (bucket) => redis.zcard(bucketKeys(bucket).holds));
}
