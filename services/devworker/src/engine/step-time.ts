/**
 * How long one engine step takes: Qwen3-30B-A3B in FP8 on one H100 or H200.
 * Source: the fit of measured decode steps (ML.ENERGY leaderboard, vLLM) and the prefill roofline in the project's
 * routing notes, section 5:  step = 4.0 ms + W(B)/BW + 0.075 ms x decoding + KV bytes read/BW, with f(B) = 1-(15/16)^B
 * the share of experts touched and W = 1.55 GB + 28.99 GB x f(B); prefill adds tokens/55k per second and attention at
 * 786,432 FLOP per token pair on 400 TFLOP/s.
 */

export interface StepCost {
  /** Fixed time of a step, ms. */
  baseMs: number;
  /** Memory bandwidth, bytes per ms. */
  bytesPerMs: number;
  /** Weights read whatever the batch, and weights of all experts, bytes. */
  sharedWeightBytes: number;
  expertWeightBytes: number;
  /** Time per decoding sequence, ms. */
  perSequenceMs: number;
  /** KV bytes of one token of context. */
  kvBytesPerToken: number;
  /** Linear part of prefill, ms per token. */
  prefillMsPerToken: number;
  /** Attention part of prefill, ms per (new token x token of context). */
  attentionMsPerPair: number;
}

const QWEN3_30B_FP8: Omit<StepCost, 'bytesPerMs'> = {
  baseMs: 4.0,
  sharedWeightBytes: 1.55e9,
  expertWeightBytes: 28.99e9,
  perSequenceMs: 0.075,
  kvBytesPerToken: 98_304,
  prefillMsPerToken: 1 / 55,
  attentionMsPerPair: 786_432 / 400e9,
};

export const H100_BYTES_PER_MS = 3.3e9;

/** GPUs the engine can stand for, with the tokens their KV cache holds (0.9 utilisation, BF16 KV). */
export const GPUS = {
  h100: { cost: { ...QWEN3_30B_FP8, bytesPerMs: H100_BYTES_PER_MS } as StepCost, kvTokens: 430_000 },
  h200: { cost: { ...QWEN3_30B_FP8, bytesPerMs: H100_BYTES_PER_MS * 1.43 } as StepCost, kvTokens: 1_020_000 },
} as const;

export type Gpu = keyof typeof GPUS;

export interface StepLoad {
  /** Sequences that decode one token in this step. */
  decoding: number;
  /** Sum of their contexts, tokens. */
  contextTokens: number;
  /** Prompt tokens computed in this step. */
  prefillTokens: number;
  /** Sum over prefill chunks of chunk x (mean context during the chunk), token pairs. */
  prefillPairs: number;
}

/** Milliseconds of GPU time that one step with this load takes. */
export function stepMs(cost: StepCost, load: StepLoad): number {
  const touched = 1 - (15 / 16) ** (load.decoding + load.prefillTokens);
  const weightBytes = cost.sharedWeightBytes + cost.expertWeightBytes * touched;
  return (
    cost.baseMs +
    (weightBytes + load.contextTokens * cost.kvBytesPerToken) / cost.bytesPerMs +
    cost.perSequenceMs * load.decoding +
    cost.prefillMsPerToken * load.prefillTokens +
    cost.attentionMsPerPair * load.prefillPairs
  );
}
