/**
 * Score of one worker: predicted seconds until this request is answered there (facts/routing.md section 6.3, the part
 * that needs own bookkeeping only; prefix hits, learned rates and health join it with the full scorer).
 *
 *   cost = (pending prefill + this prompt) / rate * (1 + 0.15 * decoding) + 0.05 * decoding * decode interference
 */
import type { WorkerSnapshot } from '@tollgate/shared/domain/worker';

export interface CostModel {
  /** Uncached prompt tokens that a worker prefills per second. */
  prefillTokensPerSecond: number;
  /** Fixed part of any prefill: one step of the engine. */
  baseSeconds: number;
  /** How much each decoding request delays a prefill, as a share of it. */
  decodeDrag: number;
  /** Seconds by which each request that already decodes there slows this one. */
  sharedStepSeconds: number;
}

/** H100, Qwen3-30B-A3B-FP8 (facts/routing.md section 5). */
export const DEFAULT_COST: CostModel = {
  prefillTokensPerSecond: 40_000,
  baseSeconds: 0.03,
  decodeDrag: 0.15,
  sharedStepSeconds: 0.02,
};

export interface RoutingRequest {
  model: string;
  /** Estimated prompt tokens. */
  promptTokens: number;
}

export function predictedSeconds(
  request: RoutingRequest,
  worker: WorkerSnapshot,
  model: CostModel = DEFAULT_COST,
): number {
  const decoding = worker.running - worker.waiting;
  const prefill = (worker.pendingPrefillTokens + request.promptTokens) / model.prefillTokensPerSecond;
  const queue = worker.waiting * model.baseSeconds;
  return (model.baseSeconds + prefill) * (1 + model.decodeDrag * decoding) + queue + decoding * model.sharedStepSeconds;
}
