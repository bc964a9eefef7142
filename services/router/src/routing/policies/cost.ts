import { crc32 } from '@tollgate/shared/domain/key';
import { prefillMs } from '../estimates.ts';
import type { RoutingRequest, WorkerBook } from '../fleet-book.ts';
import type { Policy } from '../policy.ts';

/**
 * Ours: one predicted cost in milliseconds, smallest wins (after routing notes 6.3, refitted by `npm run study`):
 *
 *   cost = ( Q x (1 + queueStall x B) + P x (1 + ownStall x B) x (1 + pressure x F^2) ) x health x start x tempo
 *
 * Q: prefill already queued on the worker. P: prefill of this prompt's part that the worker does not hold. B: requests
 * there, all of which a prefill stalls. F: how full the caches of the candidates are with running requests, 0 to 1: in a
 * full fleet a second of needless prefill delays all that wait for room anywhere, and what it writes evicts a prefix that
 * another will want, so that conversations stay where they are; in an idle one it delays nobody else.
 *
 * Ties (within 1 ms or 2 %) go to the fewest decoding, then to a rendezvous hash of the prompt's first block, so that
 * replicas agree without talking; a prompt too short for a block goes anywhere.
 *
 * Two more terms of the notes were built and dropped, since the study could not tell `cost` with them from `cost` without:
 * regret (P weighed more while the fleet computes prompts twice) and decoding (what this answer's tokens cost the others).
 */
export interface CostOptions {
  queueStall: number;
  ownStall: number;
  pressure: number;
}

export const COST_DEFAULTS: CostOptions = { queueStall: 0.5, ownStall: 1, pressure: 4 };

export function costPolicy(options: Partial<CostOptions> = {}): Policy {
  const { queueStall, ownStall, pressure } = { ...COST_DEFAULTS, ...options };
  const queueCost = ({ pendingPrefillMs, running }: WorkerBook): number =>
    pendingPrefillMs * (1 + queueStall * running);
  const prefillCost = ({ promptTokens }: RoutingRequest, { estimate, running }: WorkerBook, hit: number): number =>
    prefillMs(estimate, promptTokens - hit, promptTokens) * (1 + ownStall * running);
  const factorOf = (worker: WorkerBook, nowMs: number): number =>
    worker.health.read(nowMs) * worker.start.factor(nowMs) * worker.tempo;
  const weightOf = (among: readonly WorkerBook[]): number => 1 + pressure * fullness(among) ** 2;
  const costOf = (request: RoutingRequest, worker: WorkerBook, hit: number, weight: number, nowMs: number): number =>
    (queueCost(worker) + prefillCost(request, worker, hit) * weight) * factorOf(worker, nowMs);
  return {
    name: 'cost',
    pick(request, book, candidates, { nowMs }) {
      const hits = book.hitTokens(request);
      const first = request.blocks[0] ?? crc32(request.id);
      const weight = weightOf(candidates);
      let best = candidates[0]!;
      let least = Number.POSITIVE_INFINITY;
      for (const worker of candidates) {
        const cost = costOf(request, worker, hits[worker.index]!, weight, nowMs);
        const tie = Math.abs(cost - least) <= Math.max(1, 0.02 * least);
        if (tie ? preferred(worker, best, first) : cost < least) best = worker;
        if (cost < least) least = cost;
      }
      return best;
    },
    costMs: (request, book, worker, among, nowMs) =>
      costOf(request, worker, book.hitTokens(request)[worker.index]!, weightOf(among), nowMs),
    costTerms: (request, book, worker, among, nowMs) => ({
      queueMs: queueCost(worker),
      prefillMs: prefillCost(request, worker, book.hitTokens(request)[worker.index]!) * weightOf(among),
      factor: factorOf(worker, nowMs),
    }),
  };
}

/** Share of the caches that running requests pin, 0 to 1. */
function fullness(workers: readonly WorkerBook[]): number {
  let sum = 0;
  for (const { pinnedTokens, kvTokens } of workers) sum += Math.min(1, pinnedTokens / kvTokens);
  return sum / workers.length;
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
