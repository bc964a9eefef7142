/**
 * What the console publishes for routers, and what it reads of theirs. Every write is followed by a push, so that
 * routers drop their copies at once; the push is a hint, the key is the truth.
 */
import type { Redis } from 'ioredis';
import { catalogToText, type FleetView, fleetViewFromText, keyRecordToText } from '../contracts/console/published.ts';
import type { Catalog } from '../domain/catalog.ts';
import type { KeyRecord } from '../domain/key.ts';
import { channels, globalKeys } from './keys.ts';

/** A key as routers shall see it; `record: null` = it is gone (revoked) and must be refused. */
export interface DirectoryEntry {
  digest: string;
  record: KeyRecord | null;
}

/** A publication that was cut off leaves its note for at most this long. */
const PUBLISHING_TTL_S = 900;

export class ConsoleDirectory {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Writes or removes the records, then tells routers. When it returns, no router has an older copy for more than 1 s. */
  async publishKeys(entries: readonly DirectoryEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const pipeline = this.#redis.pipeline();
    for (const { digest, record } of entries) {
      const name = globalKeys.key(digest);
      if (record === null) pipeline.del(name);
      else pipeline.set(name, keyRecordToText(record));
    }
    for (const { digest } of entries) pipeline.publish(channels.keyChanged, digest);
    await run(pipeline);
  }

  async publishCatalog(catalog: Catalog): Promise<void> {
    const pipeline = this.#redis.pipeline();
    pipeline.set(globalKeys.catalog, catalogToText(catalog));
    pipeline.publish(channels.catalogChanged, String(catalog.version));
    await run(pipeline);
  }

  /** Whether all key records and the catalogue have been published into this Redis since it was last emptied. */
  async isReady(): Promise<boolean> {
    return (await this.#redis.exists(globalKeys.keysReady, globalKeys.catalog)) === 2;
  }

  /** Begins a publication of everything. A mark that is there stays: what it promises holds all the while. */
  async beginPublishing(nonce: string): Promise<void> {
    await this.#redis.set(globalKeys.keysPublishing(nonce), '1', 'EX', PUBLISHING_TTL_S);
  }

  /**
   * Marks this Redis as complete. False when it was emptied since `beginPublishing`: the note made there is gone, and so
   * may be records that were written after it; the whole publication is to be repeated.
   */
  async finishPublishing(nonce: string): Promise<boolean> {
    try {
      await this.#redis.rename(globalKeys.keysPublishing(nonce), globalKeys.keysReady);
      await this.#redis.persist(globalKeys.keysReady);
      return true;
    } catch (error) {
      if (error instanceof Error && error.message.includes('no such key')) return false;
      throw error;
    }
  }

  /** Makes `tg:draining` exactly these URLs and tells routers. */
  async publishDraining(urls: readonly string[]): Promise<void> {
    const transaction = this.#redis.multi().del(globalKeys.draining);
    if (urls.length > 0) transaction.sadd(globalKeys.draining, ...urls);
    transaction.publish(channels.fleetChanged, 'draining');
    await run(transaction);
  }

  async draining(): Promise<Set<string>> {
    return new Set(await this.#redis.smembers(globalKeys.draining));
  }

  /** Every router's view by router id, and how many fields held none. */
  async fleet(): Promise<{ views: Map<string, FleetView>; unreadable: number }> {
    const views = new Map<string, FleetView>();
    let unreadable = 0;
    for (const [routerId, text] of Object.entries(await this.#redis.hgetall(globalKeys.fleet))) {
      const view = fleetViewFromText(text);
      if (view) views.set(routerId, view);
      else unreadable++;
    }
    return { views, unreadable };
  }

  /** Resolves when Redis answers. */
  async ping(): Promise<void> {
    await this.#redis.ping();
  }
}

async function run(pipeline: { exec(): Promise<[error: Error | null, result: unknown][] | null> }): Promise<void> {
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
}
