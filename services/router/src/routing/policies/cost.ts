import { crc32 } from '@tollgate/shared/domain/key';
import { prefillMs, stepMs } from '../estimates.ts';
import type { RoutingRequest, WorkerBook } from '../fleet-book.ts';
import type { Policy } from '../policy.ts';

/**
 * Ours: one predicted cost in milliseconds, smallest wins (after routing notes 6.3, refitted by `npm run study`):
 *
 *   cost = ( Q x (1 + queueStall x B) + P x (1 + regretFactor x rho + ownStall x B) + decodeFactor x E[out] x D ) x health x start x tempo
 *
 * Q: prefill already queued on the worker. P: prefill of this prompt's part that the worker does not hold. B: requests
 * there, all of which a prefill stalls. rho: share of prompt tokens lately computed twice; when it is high, placement
 * matters more than queueing. D = step(n+1) + n x (step(n+1) - step(n)): what one token of this request costs itself and
 * the n that decode. Ties (within 1 ms or 2 %) go to the fewest decoding, then to a rendezvous hash of the prompt's
 * first block, so that replicas agree without talking; a prompt too short for a block goes anywhere.
 */
export interface CostOptions {
  queueStall: number;
  regretFactor: number;
  ownStall: number;
  decodeFactor: number;
}

export const COST_DEFAULTS: CostOptions = { queueStall: 0.5, regretFactor: 5, ownStall: 1, decodeFactor: 0.02 };

export function costPolicy(options: Partial<CostOptions> = {}): Policy {
  const { queueStall, regretFactor, ownStall, decodeFactor } = { ...COST_DEFAULTS, ...options };
  const queueCost = ({ pendingPrefillMs, running }: WorkerBook): number =>
    pendingPrefillMs * (1 + queueStall * running);
  const prefillCost = (promptTokens: number, { estimate, running }: WorkerBook, hit: number, regret: number): number =>
    prefillMs(estimate, promptTokens - hit, promptTokens) * (1 + regret + ownStall * running);
  const decodeCost = (promptTokens: number, worker: WorkerBook, output: number): number => {
    const { estimate, decoding, heldTokens } = worker;
    const withUs = stepMs(estimate, decoding + 1, heldTokens + promptTokens);
    const without = stepMs(estimate, decoding, heldTokens);
    return decodeFactor * output * (withUs + decoding * (withUs - without));
  };
  const factorOf = (worker: WorkerBook, nowMs: number): number =>
    worker.health.read(nowMs) * worker.start.factor(nowMs) * worker.tempo;
  const costOf = (
    { promptTokens }: RoutingRequest,
    worker: WorkerBook,
    hit: number,
    output: number,
    regret: number,
    nowMs: number,
  ): number =>
    (queueCost(worker) + prefillCost(promptTokens, worker, hit, regret) + decodeCost(promptTokens, worker, output)) *
    factorOf(worker, nowMs);
  return {
    name: 'cost',
    pick(request, book, candidates, { nowMs }) {
      const hits = book.hitTokens(request);
      const output = book.expectedOutput(request);
      const regret = regretFactor * book.regret;
      const first = request.blocks[0] ?? crc32(request.id);
      let best = candidates[0]!;
      let least = Number.POSITIVE_INFINITY;
      for (const worker of candidates) {
        const cost = costOf(request, worker, hits[worker.index]!, output, regret, nowMs);
        const tie = Math.abs(cost - least) <= Math.max(1, 0.02 * least);
        if (tie ? preferred(worker, best, first) : cost < least) best = worker;
        if (cost < least) least = cost;
      }
      return best;
    },
    costMs(request, book, worker, nowMs) {
      const hit = book.hitTokens(request)[worker.index]!;
      return costOf(request, worker, hit, book.expectedOutput(request), regretFactor * book.regret, nowMs);
    },
    costTerms(request, book, worker, nowMs) {
      const { promptTokens } = request;
      const hit = book.hitTokens(request)[worker.index]!;
      return {
        queueMs: queueCost(worker),
        prefillMs: prefillCost(promptTokens, worker, hit, regretFactor * book.regret),
        decodeMs: decodeCost(promptTokens, worker, book.expectedOutput(request)),
        factor: factorOf(worker, nowMs),
      };
    },
  };
}

type Tied = { hash: number; decoding: number };

function preferred(worker: Tied, best: Tied, firstBlock: number): boolean {
  if (worker.decoding !== best.decoding) return worker.decoding < best.decoding;
  return rendezvous(firstBlock, worker.hash) > rendezvous(firstBlock, best.hash);
}

/** Weight of (key, worker) for highest-random-weight hashing. */
export function rendezvous(key: number, worker: number): number {
  let h = Math.imul((key % 0x100000000) ^ Math.imul(worker + 1, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
