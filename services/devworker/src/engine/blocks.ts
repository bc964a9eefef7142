/**
 * KV cache in blocks, with prefix reuse: a full block is known by the hash of everything up to its end, a block that
 * nobody uses stays findable until its room is needed, oldest first (vLLM's free queue). Hashes are opaque.
 */

export type BlockHash = number | string;

interface Block {
  hash: BlockHash;
  /** Sequences that hold it. 0: only findable. */
  users: number;
}

export interface BlockPool {
  readonly capacity: number;
  /** Blocks held by sequences now. */
  readonly used: number;
  /** How many leading hashes are in the cache. Changes nothing. */
  countCached(hashes: readonly BlockHash[], limit: number): number;
  /** Whether `fresh` new blocks fit beside taking hold of the first `cached` hashes. */
  fits(hashes: readonly BlockHash[], cached: number, fresh: number): boolean;
  /** Takes hold of the first `cached` hashes, which `countCached` has just found. */
  reuse(hashes: readonly BlockHash[], cached: number): void;
  /** Takes `count` new, nameless blocks, evicting if needed. False when there is no room. */
  take(count: number): boolean;
  /** Gives a nameless block its hash once full. True when it is new to the cache. */
  name(hash: BlockHash): boolean;
  /** Lets go of named blocks (last first, so that heads of prefixes live longest) and nameless ones. */
  release(named: readonly BlockHash[], count: number, nameless: number): void;
  /** Forgets every block that nobody uses. */
  clear(): void;
}

export function createBlockPool(capacity: number): BlockPool {
  const byHash = new Map<BlockHash, Block>();
  /** Findable and unused, least recently released first. */
  const idle = new Map<BlockHash, Block>();
  let namelessUsed = 0;
  let namedUsed = 0;

  function evictOne(): boolean {
    for (const [hash] of idle) {
      idle.delete(hash);
      byHash.delete(hash);
      return true;
    }
    return false;
  }

  return {
    capacity,
    get used() {
      return namelessUsed + namedUsed;
    },
    countCached(hashes, limit) {
      const last = Math.min(limit, hashes.length);
      let count = 0;
      while (count < last && byHash.has(hashes[count]!)) count++;
      return count;
    },
    fits(hashes, cached, fresh) {
      let waking = 0;
      for (let i = 0; i < cached; i++) if (idle.has(hashes[i]!)) waking++;
      return namelessUsed + namedUsed + waking + fresh <= capacity;
    },
    reuse(hashes, cached) {
      for (let i = 0; i < cached; i++) {
        const block = byHash.get(hashes[i]!)!;
        if (block.users++ === 0) {
          idle.delete(block.hash);
          namedUsed++;
        }
      }
    },
    take(count) {
      if (namelessUsed + namedUsed + count > capacity) return false;
      while (namelessUsed + namedUsed + idle.size + count > capacity) if (!evictOne()) return false;
      namelessUsed += count;
      return true;
    },
    name(hash) {
      namelessUsed--;
      const known = byHash.get(hash);
      if (known) {
        // Two sequences computed the same block: from here on they share one.
        if (known.users++ === 0) {
          idle.delete(hash);
          namedUsed++;
        }
        return false;
      }
      byHash.set(hash, { hash, users: 1 });
      namedUsed++;
      return true;
    },
    release(named, count, nameless) {
      namelessUsed -= nameless;
      for (let i = count - 1; i >= 0; i--) {
        const block = byHash.get(named[i]!)!;
        if (--block.users > 0) continue;
        namedUsed--;
        idle.set(block.hash, block);
      }
    },
    clear() {
      for (const hash of idle.keys()) byHash.delete(hash);
      idle.clear();
    },
  };
}
