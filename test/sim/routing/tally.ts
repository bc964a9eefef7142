/** What a run of the study measured. */
export interface RunResult {
  requests: number;
  ttftP50Ms: number;
  ttftP99Ms: number;
  e2eMeanMs: number;
  sloPercent: number;
  hitPercent: number;
  /** Mean absolute error of the hit estimate against what the engine reported, in points of the prompt. */
  hitErrorPoints: number;
}

/** TTFT and time per output token that count as good service (routing notes 6.7). */
const SLO_TTFT_MS = 2_000;
const SLO_TPOT_MS = 60;

/** Requests of the beginning of a run are left out: empty caches and books are no policy's doing. */
export const WARM_UP_MS = 30_000;

export interface Finished {
  cameMs: number;
  ttftMs: number;
  totalMs: number;
  generatedTokens: number;
  promptTokens: number;
  cachedTokens: number;
  expectedHit: number;
}

/** Sums over the requests of one run. */
export class Tally {
  private readonly ttfts: number[] = [];
  private totalMs = 0;
  private good = 0;
  private promptTokens = 0;
  private cachedTokens = 0;
  private errorShare = 0;

  add({ cameMs, ttftMs, totalMs, generatedTokens, promptTokens, cachedTokens, expectedHit }: Finished): void {
    if (cameMs < WARM_UP_MS) return;
    this.ttfts.push(ttftMs);
    this.totalMs += totalMs;
    const tokenMs = generatedTokens > 1 ? (totalMs - ttftMs) / (generatedTokens - 1) : 0;
    if (ttftMs <= SLO_TTFT_MS && tokenMs <= SLO_TPOT_MS) this.good++;
    this.promptTokens += promptTokens;
    this.cachedTokens += cachedTokens;
    this.errorShare += Math.abs(cachedTokens - expectedHit) / promptTokens;
  }

  result(): RunResult {
    const ttfts = Float64Array.from(this.ttfts).sort();
    const n = Math.max(1, ttfts.length);
    const quantile = (q: number) => ttfts[Math.min(ttfts.length - 1, Math.floor(q * ttfts.length))] ?? 0;
    return {
      requests: ttfts.length,
      ttftP50Ms: quantile(0.5),
      ttftP99Ms: quantile(0.99),
      e2eMeanMs: this.totalMs / n,
      sloPercent: (100 * this.good) / n,
      hitPercent: (100 * this.cachedTokens) / Math.max(1, this.promptTokens),
      hitErrorPoints: (100 * this.errorShare) / n,
    };
  }
}
