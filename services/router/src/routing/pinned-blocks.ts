import { HashCounts } from './hash-counts.ts';
import type { BlockHash } from './prefix-index.ts';

/** Blocks of one worker's cache that running requests hold: those that several of them share take their room once. */
export class PinnedBlocks {
  private readonly users = new HashCounts();

  /**
   * A request with these blocks begins there (`step` 1) or has ended (-1), as often the one as the other. Answers how many
   * tokens of cache that takes, or sets free. Blocks are of `blockTokens` each, or end at the tokens given.
   */
  count(blocks: readonly BlockHash[], blockTokens: number, ends: readonly number[] | undefined, step: 1 | -1): number {
    let tokens = 0;
    for (let i = 0; i < blocks.length; i++) {
      const isFirstOrLast = step === 1 ? this.users.add(blocks[i]!) === 1 : this.users.remove(blocks[i]!) === 0;
      if (!isFirstOrLast) continue;
      tokens += ends === undefined ? blockTokens : ends[i]! - (i === 0 ? 0 : ends[i - 1]!);
    }
    return tokens;
  }

  get size(): number {
    return this.users.size;
  }
}
