/**
 * What of a worker is idle: room that a batch request may take without an interactive one noticing. Pure.
 *
 * Two things slow an interactive request beside batch: a prompt that is computed when it comes, and longer decode steps.
 * So a batch request goes only where no prompt is being computed and where all batch requests together lengthen the
 * decode step by little. `npm run study:batch` shows what that costs and what it yields (docs/batch-study.md).
 */
import { type EngineEstimate, stepMs } from '../routing/estimates.ts';

/** How a request stands to idle room: `batch` needs it, `late_batch` has waited so long that any room does. */
export type Claim = 'interactive' | 'batch' | 'late_batch';

/** Batch requests that run at a worker. */
export interface BatchLoad {
  readonly running: number;
  /** Tokens of context that they hold. */
  readonly heldTokens: number;
}

/** A worker as its book has it; counts include the batch requests. */
export interface WorkerLoad {
  readonly estimate: EngineEstimate;
  readonly running: number;
  readonly pendingPrefillMs: number;
  readonly heldTokens: number;
}

export interface IdleRule {
  /** Beside interactive requests, all batch requests of a worker lengthen its decode step by at most this share. */
  maxStepGrowth: number;
  /** Alone there, they may make it as long as that of so many sequences: an interactive one that comes meets that step. */
  aloneSequences: number;
}

/**
 * As tuned with the study. 1.5 % would yield half as much again, and delays the p95 of first tokens of a busy fleet by
 * 14 %, since conversations stay at the worker that holds them though a batch prompt is computed there.
 */
export const IDLE_RULE: Readonly<IdleRule> = { maxStepGrowth: 0.01, aloneSequences: 4 };

/** Sums of fractions drift: less than this is nothing. */
const NO_PREFILL_MS = 0.5;

/** The longest decode step that batch may bring the worker to, ms. */
export function allowedStepMs(worker: WorkerLoad, batch: BatchLoad, rule: IdleRule = IDLE_RULE): number {
  const { estimate, running, heldTokens } = worker;
  if (running <= batch.running) return stepMs(estimate, rule.aloneSequences, heldTokens);
  const without = stepMs(estimate, running - batch.running, Math.max(0, heldTokens - batch.heldTokens));
  return without * (1 + rule.maxStepGrowth);
}

/** Whether one more batch request of `tokens` may start there now. A worker with nothing to do always takes one. */
export function hasIdleRoom(worker: WorkerLoad, batch: BatchLoad, tokens: number): boolean {
  if (worker.running === 0) return true;
  if (worker.pendingPrefillMs >= NO_PREFILL_MS) return false;
  const { estimate, running, heldTokens } = worker;
  // Of those that run alone only the number counts: a long document shall find room as well.
  const heldAfter = running > batch.running ? heldTokens + tokens : heldTokens;
  return stepMs(estimate, running + 1, heldAfter) <= allowedStepMs(worker, batch);
}
