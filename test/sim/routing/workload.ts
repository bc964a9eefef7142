/**
 * Workloads for the routing study. A workload is a script of requests in virtual time: open ones arrive by themselves,
 * closed ones (agents) send their next turn some think time after the last answer. Everything comes from a seed.
 */
import type { RandomSource } from './random.ts';

/** Tokens per block, in workloads, mirrors and engines alike (the Mooncake traces' own size). */
export const BLOCK_TOKENS = 512;

export interface SimRequest {
  tenant: string;
  session: string | null;
  promptTokens: number;
  outputTokens: number;
  /** Hashes of the prompt's full blocks. */
  blocks: number[];
  /** Hashes of the blocks that the answer will complete, where a later turn will contain it. */
  answerBlocks: number[];
  /** Left out of the figures (the noisy tenant's own requests). */
  noise?: boolean;
}

export interface Stage {
  nowMs(): number;
  at(atMs: number, fn: () => void): void;
  send(request: SimRequest, onEnd?: () => void): void;
  random: RandomSource;
}

export interface Workload {
  name: string;
  /** Starts sending at `load` times its knee; no request after `durationMs`. */
  start(stage: Stage, load: number, durationMs: number): void;
  durationMs: number;
}

/** A growing text: a prefix chain that can be extended by tokens; full blocks get hashes of their own. */
export class Text {
  readonly blocks: number[];
  tokens: number;
  private readonly fresh: () => number;

  constructor(fresh: () => number, parent?: Text) {
    this.fresh = fresh;
    // A partial last block of the parent is not shared: its continuation differs.
    this.blocks = parent ? parent.blocks.slice() : [];
    this.tokens = parent ? parent.tokens : 0;
  }

  append(tokens: number): this {
    this.tokens += tokens;
    while (this.blocks.length < Math.floor(this.tokens / BLOCK_TOKENS)) this.blocks.push(this.fresh());
    return this;
  }
}

export function hashSource(): () => number {
  let next = 1_000_000_000;
  return () => next++;
}
