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

/** Weight of one first token, as an exponent: a hundred odd ones, not one, change the pace. */
const PACE_WEIGHT = 0.05;
const PACE_MOST = 20;
/** One sample counts as at most this far off. */
const PACE_SAMPLE_MOST = 5;
/** A hit of less than this share of the promise means that blocks are gone. */
const HIT_KEPT = 0.5;
const MIRROR_SHRINK = 0.9;
const MIRROR_GROW = 1.005;
const MIRROR_LEAST = 0.2;

/** What a worker's answers have taught of it: how fast it is, and how much of its cache lasts. */
export class Learned {
  /** Size of its KV cache in tokens as the worker itself tells. */
  toldTokens: number;
  /** Share of them that the mirror may fill. */
  mirrorShare = 1;
  private readonly base: EngineEstimate;
  /** Time that it takes, per time that `base` expects. */
  private pace = 1;
  private tellsHits = false;

  constructor(base: EngineEstimate, toldTokens: number) {
    this.base = base;
    this.toldTokens = toldTokens;
  }

  get mirrorTokens(): number {
    return this.toldTokens * this.mirrorShare;
  }

  /** Time to the first token, seen per expected, of a request that was alone; answers the new estimate. */
  observePace(ratio: number): EngineEstimate {
    const sample = Math.min(PACE_SAMPLE_MOST, Math.max(1 / PACE_SAMPLE_MOST, ratio));
    this.pace = Math.min(PACE_MOST, Math.max(1 / PACE_MOST, this.pace * sample ** PACE_WEIGHT));
    const { base, pace } = this;
    return {
      prefillMsPerToken: base.prefillMsPerToken * pace,
      prefillMsPerPair: base.prefillMsPerPair * pace,
      stepBaseMs: base.stepBaseMs * pace,
      stepExpertMs: base.stepExpertMs * pace,
      stepMsPerSequence: base.stepMsPerSequence * pace,
      stepMsPerKvToken: base.stepMsPerKvToken * pace,
      untouched: base.untouched,
    };
  }

  /** Cached tokens as reported; null while the worker never told any (vLLM tells them only when asked to at start). */
  reportedHit(cachedTokens: number | null): number | null {
    if (cachedTokens !== null && cachedTokens > 0) this.tellsHits = true;
    return this.tellsHits ? cachedTokens : null;
  }

  /** Shares of a prompt: promised by the mirror and found by the worker. True when the mirror's size changed. */
  observeHit(promised: number, found: number): boolean {
    const before = this.mirrorShare;
    const kept = found >= promised * HIT_KEPT;
    this.mirrorShare = kept ? Math.min(1, before * MIRROR_GROW) : Math.max(MIRROR_LEAST, before * MIRROR_SHRINK);
    return this.mirrorShare !== before;
  }
}

const FIRST_BYTES_PER_TOKEN = 4;
/** The first guess weighs as much as one short prompt. */
const FIRST_WEIGHT_TOKENS = 256;
const BYTES_WEIGHT = 0.05;

/** Bytes of prompt text per token, per model: the ratio of two means, so that long prompts count as long ones. */
export class BytesPerToken {
  private readonly means = new Map<string, { bytes: number; tokens: number }>();

  of(model: string): number {
    const mean = this.means.get(model);
    return mean === undefined ? FIRST_BYTES_PER_TOKEN : mean.bytes / mean.tokens;
  }

  /** A prompt of so many bytes had so many tokens. Models are those of the catalogue: the map stays small. */
  observe(model: string, bytes: number, tokens: number): void {
    if (bytes <= 0 || tokens <= 0) return;
    let mean = this.means.get(model);
    if (mean === undefined) {
      mean = { bytes: FIRST_BYTES_PER_TOKEN * FIRST_WEIGHT_TOKENS, tokens: FIRST_WEIGHT_TOKENS };
      this.means.set(model, mean);
    }
    mean.bytes += BYTES_WEIGHT * (bytes - mean.bytes);
    mean.tokens += BYTES_WEIGHT * (tokens - mean.tokens);
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
