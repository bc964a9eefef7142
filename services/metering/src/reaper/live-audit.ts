/**
 * Concurrency is the size of a set of live hold ids. Hold and set change in the same scripts, so an entry without a live
 * hold is a leak (a key deleted by hand, a bug): it would take a slot of its key for ever.
 */
import type { RedisClient } from '@tollgate/shared/redis/client';
import { bucketKeys } from '@tollgate/shared/redis/keys';

const SCAN_COUNT = 1_000;
const ANY = '*';

export class LiveAudit {
  readonly #redis: RedisClient;
  /** Entries without a hold in the last round: only what is there twice is removed. */
  #suspects = new Set<string>();

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /** Looks at all sets. Returns how many entries were removed. */
  async round(): Promise<number> {
    const suspects = new Set<string>();
    let removed = 0;
    const nodes = 'nodes' in this.#redis ? this.#redis.nodes('master') : [this.#redis];
    for (const node of nodes) {
      let cursor = '0';
      do {
        const [next, keys] = await node.scan(cursor, 'MATCH', PATTERN, 'COUNT', SCAN_COUNT);
        cursor = next;
        for (const key of keys) {
          const count = await this.#check(key, suspects);
          removed += count;
        }
      } while (cursor !== '0');
    }
    this.#suspects = suspects;
    return removed;
  }

  async #check(key: string, suspects: Set<string>): Promise<number> {
    const bucket = Number(/\{b(\d+)\}/.exec(key)?.[1]);
    const ids = await this.#redis.smembers(key);
    const states = await Promise.all(ids.map((id) => this.#redis.hget(bucketKeys(bucket).hold(id), 'st')));
    const leaked = ids.filter((_, index) => states[index] !== 'held');
    const sure = leaked.filter((id) => this.#suspects.has(`${key} ${id}`));
    for (const id of leaked) suspects.add(`${key} ${id}`);
    if (sure.length > 0) await this.#redis.srem(key, ...sure);
    return sure.length;
  }
}

/** `tg:{b<any>}:live:<any>`, from the one place that spells names. */
const PATTERN = bucketKeys(0).live(ANY).replace('{b0}', `{b${ANY}}`);
