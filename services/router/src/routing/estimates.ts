/**
 * What the router expects of a worker's engine, in milliseconds. Defaults are the calibration of Qwen3-30B-A3B-FP8 on
 * an H100 (routing notes section 5); each worker's own pace is learned as a factor on them.
 */
export interface EngineEstimate {
  /** Linear part of prefill, ms per uncached token. */
  prefillMsPerToken: number;
  /** Attention part of prefill, ms per (uncached token x token of context). */
  prefillMsPerPair: number;
  /** A decode step takes `stepBaseMs + stepExpertMs x f(B) + stepMsPerSequence x B + stepMsPerKvToken x KV tokens`. */
  stepBaseMs: number;
  stepExpertMs: number;
  stepMsPerSequence: number;
  stepMsPerKvToken: number;
  /** Share of the experts that one more sequence leaves untouched: f(B) = 1 - untouched^B. */
  untouched: number;
}

const BYTES_PER_MS = 3.3e9;

export const H100_FP8: EngineEstimate = {
  prefillMsPerToken: 1 / 55,
  prefillMsPerPair: 786_432 / 400e9,
  stepBaseMs: 4.0 + 1.55e9 / BYTES_PER_MS,
  stepExpertMs: 28.99e9 / BYTES_PER_MS,
  stepMsPerSequence: 0.075,
  stepMsPerKvToken: 98_304 / BYTES_PER_MS,
  untouched: 15 / 16,
};

/** Time to compute the last `uncached` of `promptTokens` tokens: linear part plus attention over what stands before. */
export function prefillMs(estimate: EngineEstimate, uncached: number, promptTokens: number): number {
  const pairs = uncached * (promptTokens - uncached / 2);
  return uncached * estimate.prefillMsPerToken + pairs * estimate.prefillMsPerPair;
}

/** Time of one decode step with `sequences` sequences that hold `kvTokens` tokens together. */
export function stepMs(estimate: EngineEstimate, sequences: number, kvTokens: number): number {
  return (
    estimate.stepBaseMs +
    estimate.stepExpertMs * (1 - estimate.untouched ** sequences) +
    estimate.stepMsPerSequence * sequences +
    estimate.stepMsPerKvToken * kvTokens
  );
}

/** Peak-EWMA of a ratio: up at once, down over `tauMs`; clamped, so that one odd sample cannot banish a worker. */
export class PeakEwma {
  private value = 1;
  private atMs = 0;
  private readonly tauMs: number;
  private readonly max: number;

  constructor(tauMs = 10_000, max = 5) {
    this.tauMs = tauMs;
    this.max = max;
  }

  observe(ratio: number, nowMs: number): void {
    const sample = Math.min(this.max, Math.max(1, ratio));
    const decayed = this.read(nowMs);
    const weight = Math.exp(-Math.max(0, nowMs - this.atMs) / this.tauMs);
    this.value = sample > decayed ? sample : decayed * weight + sample * (1 - weight);
    this.atMs = nowMs;
  }

  read(nowMs: number): number {
    return 1 + (this.value - 1) * Math.exp(-Math.max(0, nowMs - this.atMs) / this.tauMs);
  }
}

/** Mean output length per key (tenant and model), exponentially weighted; bounded in keys, least recently used out. */
export class OutputLengths {
  private readonly means = new Map<string, number>();
  private readonly initial: number;
  private readonly weight: number;
  private readonly maxKeys: number;

  constructor(initial = 256, weight = 0.05, maxKeys = 10_000) {
    this.initial = initial;
    this.weight = weight;
    this.maxKeys = maxKeys;
  }

  expect(key: string, maxOutputTokens: number): number {
    return Math.min(this.means.get(key) ?? this.initial, maxOutputTokens);
  }

  observe(key: string, tokens: number): void {
    const mean = this.means.get(key);
    this.means.delete(key);
    this.means.set(key, mean === undefined ? tokens : mean + this.weight * (tokens - mean));
    if (this.means.size > this.maxKeys) this.means.delete(this.means.keys().next().value!);
  }
}
