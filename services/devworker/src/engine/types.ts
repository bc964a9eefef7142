/** What an engine is told and what it tells. */
import type { BlockHash } from './blocks.ts';
import type { EngineClock } from './clock.ts';
import type { StepCost } from './step-time.ts';

export interface EngineOptions {
  clock: EngineClock;
  /** Cost of a step. Default: H100. */
  cost?: StepCost;
  /** KV cache in tokens. Default: 430,000 (H100, BF16 KV). */
  kvTokens?: number;
  /** Tokens per block. Default 16. */
  blockSize?: number;
  /** Sequences in one batch at most. Default 256. */
  maxSequences?: number;
  /** Tokens computed in one step at most (chunked prefill). Default 8192. */
  maxBatchedTokens?: number;
  prefixCaching?: boolean;
}

export interface EngineRequest {
  promptTokens: number;
  /** Hashes of the prompt's full blocks, and if known of the blocks that its output will fill, in order. */
  blockHashes?: readonly BlockHash[];
  /** Tokens to generate; `onToken` may end it earlier. At least 1. */
  outputTokens: number;
  /** Lower runs sooner. Default 0. */
  priority?: number;
  /** Multiplies the time between this request's tokens (faults). Default 1. */
  slowFactor?: number;
}

/** What the engine measured of one request, engine milliseconds since it was submitted. */
export interface Seen {
  cachedTokens: number;
  /** Tokens of prompt blocks that this request put into the prefix cache. */
  createdTokens: number;
  generatedTokens: number;
  queuedMs: number;
  firstTokenMs: number | undefined;
  totalMs: number;
  preemptions: number;
}

export type EngineFinish = 'done' | 'abort';

export interface Listener {
  /** Called at the end of the step that gave this request its first token. */
  onFirstToken?(): void;
  /**
   * Called at the end of each step that gave this request its `count`-th token. True: this was the last one. While nobody
   * wants to hear of each token, steps in which nothing else happens are made up for together: studies run without it.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a listener that never ends early returns nothing
  onToken?(count: number): boolean | void;
  /** Called once, after the last token or when aborted. */
  onFinish?(reason: EngineFinish, seen: Seen): void;
}

export interface EngineStats {
  running: number;
  waiting: number;
  /** Share of KV blocks in use, 0 to 1. */
  kvUsage: number;
  totalBlocks: number;
  blockSize: number;
  steps: number;
  busyMs: number;
  promptTokens: number;
  cachedPromptTokens: number;
  /** Prompt tokens looked up in the prefix cache. */
  queriedTokens: number;
  generatedTokens: number;
  preemptions: number;
  finished: number;
  aborted: number;
}

export interface Engine {
  /** Queues a request; answers its id. */
  submit(request: EngineRequest, listener?: Listener): number;
  /** Ends a request now: its blocks are free at once, its listener hears `abort`. False when it is not here. */
  abort(id: number): boolean;
  stats(): EngineStats;
  /** Forgets cached blocks that no request uses. */
  resetPrefixCache(): void;
  /** Uncached prompt tokens still to be computed, waiting and running. */
  pendingPrefillTokens(): number;
}
