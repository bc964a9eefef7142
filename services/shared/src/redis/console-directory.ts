/**
 * What the console publishes for routers, and what it reads of theirs. Every write is followed by a push, so that
 * routers drop their copies at once; the push is a hint, the key is the truth.
 */
import { catalogToText, type FleetView, fleetViewFromText, keyRecordToText } from '../contracts/console/published.ts';
import type { Catalog } from '../domain/catalog.ts';
import type { KeyRecord } from '../domain/key.ts';
import type { RedisClient } from './client.ts';
import { channels, globalKeys } from './keys.ts';
import type { CallGuard } from './money-context.ts';
import { type LuaScript, loadScript, runScript, type ScriptClient } from './script-loader.ts';

/** A key as routers shall see it; `record: null` = it is gone (revoked) and must be refused. */
export interface DirectoryEntry {
  digest: string;
  record: KeyRecord | null;
}

/** A publication that was cut off leaves its note for at most this long. */
const PUBLISHING_TTL_S = 900;

export class ConsoleDirectory {
  readonly #redis: RedisClient;
  readonly #guard: CallGuard;
  readonly #scripts: Record<'begin' | 'end' | 'state', LuaScript>;

  /** `guard` puts its deadline around each batch of commands; it should be in seconds, not the hot path's. */
  constructor(redis: RedisClient, guard: CallGuard = (call) => call()) {
    this.#redis = redis;
    this.#guard = guard;
    this.#scripts = {
      begin: loadScript('publish_begin'),
      end: loadScript('publish_end'),
      state: loadScript('publish_state'),
    };
  }

  /** Writes or removes the records, then tells routers. When it returns, no router has an older copy for more than 1 s. */
  async publishKeys(entries: readonly DirectoryEntry[]): Promise<void> {
    const redis = this.#redis;
    // Auto pipelining makes one write of each batch, per node in a cluster.
    await this.#guard(() =>
      Promise.all(
        entries.map(({ digest, record }) => {
          const name = globalKeys.key(digest);
          return record === null ? redis.del(name) : redis.set(name, keyRecordToText(record));
        }),
      ),
    );
    await this.#guard(() => Promise.all(entries.map(({ digest }) => redis.publish(channels.keyChanged, digest))));
  }

  async publishCatalog(catalog: Catalog): Promise<void> {
    await this.#guard(() => this.#redis.set(globalKeys.catalog, catalogToText(catalog)));
    await this.#guard(() => this.#redis.publish(channels.catalogChanged, String(catalog.version)));
  }

  /**
   * Whether all key records and the catalogue have been published into this Redis since it was last emptied, restarted or
   * promoted. After the last two a revocation may be lost, and the key that it took away be there again.
   */
  async isReady(): Promise<boolean> {
    return this.#ask('state', [globalKeys.keysReady, globalKeys.catalog]);
  }

  /** Begins a publication of everything. A mark that is there stays: what it promises holds all the while. */
  async beginPublishing(nonce: string): Promise<void> {
    await this.#ask('begin', [globalKeys.keysPublishing(nonce)], [PUBLISHING_TTL_S]);
  }

  /**
   * Marks this Redis as complete. False when it was emptied, restarted or promoted since `beginPublishing`: records that
   * were written after it may be gone; the whole publication is to be repeated.
   */
  async finishPublishing(nonce: string): Promise<boolean> {
    return this.#ask('end', [globalKeys.keysPublishing(nonce), globalKeys.keysReady]);
  }

  /** Runs one of the publication's scripts; whether it answers 1. */
  async #ask(name: 'begin' | 'end' | 'state', keys: readonly string[], args: readonly number[] = []): Promise<boolean> {
    // Of the union of ioredis's two classes TypeScript cannot call overloaded commands.
    const client = this.#redis as ScriptClient & RedisClient;
    return Number(await this.#guard(() => runScript(client, this.#scripts[name], keys, args))) === 1;
  }

  /** Makes `tg:{keys}-draining` exactly these URLs, in one step, and tells routers. */
  async publishDraining(urls: readonly string[]): Promise<void> {
    const transaction = this.#redis.multi().del(globalKeys.draining);
    if (urls.length > 0) transaction.sadd(globalKeys.draining, ...urls);
    const results = await this.#guard(() => transaction.exec());
    for (const [error] of results ?? []) if (error) throw error;
    await this.#guard(() => this.#redis.publish(channels.fleetChanged, 'draining'));
  }

  /** Every router's view by router id, and how many fields held none. */
  async fleet(): Promise<{ views: Map<string, FleetView>; unreadable: number }> {
    const views = new Map<string, FleetView>();
    let unreadable = 0;
    for (const [routerId, text] of Object.entries(await this.#guard(() => this.#redis.hgetall(globalKeys.fleet)))) {
      const view = fleetViewFromText(text);
      if (view) views.set(routerId, view);
      else unreadable++;
    }
    return { views, unreadable };
  }
}
