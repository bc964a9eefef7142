/**
 * Which worker holds which prompt blocks, as far as one can know without asking: a mirror of every worker's prefix
 * cache, fed by what was sent there and corrected by what the worker reports as cached (facts: routing notes 6.1).
 *
 * One shared map from block hash to a bit set of workers, so that one walk over a prompt's blocks finds the depth of all
 * workers at once (64 workers, 32k tokens: tens of microseconds), and one least-recently-used list per worker, capped
 * at the tokens that the worker's cache truly holds: an oversized mirror promises hits that are gone.
 */
import { BlockList } from './block-list.ts';

export type BlockHash = number;

export class PrefixIndex {
  private readonly holders = new Map<BlockHash, Uint32Array>();
  /** Per worker. */
  private readonly lists: BlockList[] = [];
  private readonly capacities: number[] = [];
  private words = 1;

  /** Adds a worker with room for `capacityTokens`; answers its index. */
  addWorker(capacityTokens: number): number {
    this.lists.push(new BlockList());
    this.capacities.push(Math.max(1, Math.floor(capacityTokens)));
    const words = Math.ceil(this.lists.length / 32);
    if (words > this.words) {
      this.words = words;
      for (const [hash, bits] of this.holders) {
        const wider = new Uint32Array(words);
        wider.set(bits);
        this.holders.set(hash, wider);
      }
    }
    return this.lists.length - 1;
  }

  /** The worker's cache is another size than thought; the oldest blocks beyond it are forgotten. */
  setCapacity(worker: number, capacityTokens: number): void {
    this.capacities[worker] = Math.max(1, Math.floor(capacityTokens));
    this.evict(worker);
  }

  capacity(worker: number): number {
    return this.capacities[worker]!;
  }

  /** Tokens that the worker is believed to hold. */
  size(worker: number): number {
    return this.lists[worker]!.tokens;
  }

  /** Forgets everything about a worker (it restarted). */
  clear(worker: number): void {
    for (const hash of this.lists[worker]!.hashes()) this.dropBit(worker, hash);
    this.lists[worker]!.clear();
  }

  /**
   * How many leading blocks each worker holds; written to `depths` (one number per worker).
   * Cost: one map look-up per block until no worker holds the prefix any more.
   */
  depths(blocks: readonly BlockHash[], depths: Uint32Array): void {
    const count = this.lists.length;
    depths.fill(0, 0, count);
    const alive = new Uint32Array(this.words);
    for (let w = 0; w < count; w++) alive[w >>> 5]! |= 1 << (w & 31);
    let any = count > 0;
    let depth = 0;
    for (; any && depth < blocks.length; depth++) {
      const bits = this.holders.get(blocks[depth]!);
      if (!bits) break;
      any = false;
      for (let i = 0; i < this.words; i++) {
        const before = alive[i]!;
        const after = (before & bits[i]!) >>> 0;
        let dropped = (before & ~after) >>> 0;
        while (dropped !== 0) {
          const bit = 31 - Math.clz32(dropped);
          depths[i * 32 + bit] = depth;
          dropped = (dropped & ~(1 << bit)) >>> 0;
        }
        alive[i] = after;
        if (after !== 0) any = true;
      }
    }
    for (let w = 0; w < count; w++) if ((alive[w >>> 5]! >>> (w & 31)) & 1) depths[w] = depth;
  }

  /** Leading blocks that one worker holds. */
  depth(worker: number, blocks: readonly BlockHash[]): number {
    const list = this.lists[worker]!;
    let depth = 0;
    while (depth < blocks.length && list.has(blocks[depth]!)) depth++;
    return depth;
  }

  /**
   * The worker will hold these blocks (a prompt was sent there, or ended there: its blocks are the newest again). They are
   * of `blockTokens` each, or end at the tokens given.
   */
  touch(worker: number, blocks: readonly BlockHash[], blockTokens: number, ends?: readonly number[]): void {
    const list = this.lists[worker]!;
    // Tail first, so that the head of a prefix is the newest and lives longest, as in the engines' own lists.
    for (let i = blocks.length - 1; i >= 0; i--) {
      const hash = blocks[i]!;
      if (list.use(hash)) continue;
      list.add(hash, ends === undefined ? blockTokens : ends[i]! - (i === 0 ? 0 : ends[i - 1]!));
      let bits = this.holders.get(hash);
      if (!bits) {
        bits = new Uint32Array(this.words);
        this.holders.set(hash, bits);
      }
      bits[worker >>> 5]! |= 1 << (worker & 31);
    }
    this.evict(worker);
  }

  /** The worker does not hold what lies behind the first `depth` blocks (it reported fewer cached tokens). */
  truncate(worker: number, blocks: readonly BlockHash[], depth: number): void {
    const list = this.lists[worker]!;
    for (let i = depth; i < blocks.length; i++) {
      if (list.delete(blocks[i]!)) this.dropBit(worker, blocks[i]!);
    }
  }

  private evict(worker: number): void {
    const list = this.lists[worker]!;
    const capacity = this.capacities[worker]!;
    while (list.tokens > capacity) {
      const hash = list.shift();
      if (hash === null) return;
      this.dropBit(worker, hash);
    }
  }

  private dropBit(worker: number, hash: BlockHash): void {
    const bits = this.holders.get(hash);
    if (!bits) return;
    bits[worker >>> 5]! &= ~(1 << (worker & 31));
    if (bits.every((word) => word === 0)) this.holders.delete(hash);
  }
}
