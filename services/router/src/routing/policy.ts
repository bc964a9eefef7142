import type { FleetBook, RoutingRequest, WorkerBook } from './fleet-book.ts';

/**
 * A way to pick a worker. `candidates` are the available workers (never empty); everything a policy may know is the
 * request, the book, time and randomness, all arguments: no I/O, no clock of its own.
 */
export interface Policy {
  readonly name: string;
  /** Never looks at a prompt's blocks: they need not be hashed for it. */
  readonly prefixBlind?: true;
  pick(request: RoutingRequest, book: FleetBook, candidates: readonly WorkerBook[], context: PickContext): WorkerBook;
  /** What `pick` minimises `among` the candidates, in milliseconds, where it is a time. */
  costMs?(
    request: RoutingRequest,
    book: FleetBook,
    worker: WorkerBook,
    among: readonly WorkerBook[],
    nowMs: number,
  ): number;
  /** The parts of that time, for people who ask why. */
  costTerms?(
    request: RoutingRequest,
    book: FleetBook,
    worker: WorkerBook,
    among: readonly WorkerBook[],
    nowMs: number,
  ): CostTerms;
  /** Called for each request that this or another replica sent, after the book has taken it in. */
  onDispatch?(request: RoutingRequest, worker: WorkerBook): void;
  /** Called when a request has ended. */
  onEnd?(worker: WorkerBook, totalMs: number, nowMs: number): void;
  /** Called when a worker has left for good: the next one gets its index. */
  onLeave?(worker: WorkerBook): void;
}

/** A predicted cost is the sum of the two times, times the factor of slow, failing or new workers. */
export interface CostTerms {
  /** Prefill that waits there already. */
  queueMs: number;
  /** Prefill of what the worker does not hold of this prompt, and what it holds up. */
  prefillMs: number;
  factor: number;
}

export interface PickContext {
  nowMs: number;
  /** Uniform in [0, 1). */
  random(): number;
}

/** The candidate with the smallest cost; ties go to a random one of them (reservoir), or to `tie`'s smallest. */
export function argmin(
  candidates: readonly WorkerBook[],
  cost: (worker: WorkerBook) => number,
  random: () => number,
): WorkerBook {
  let best = candidates[0]!;
  let least = Number.POSITIVE_INFINITY;
  let ties = 0;
  for (const worker of candidates) {
    const value = cost(worker);
    if (value < least) {
      least = value;
      best = worker;
      ties = 1;
    } else if (value === least && random() * ++ties < 1) best = worker;
  }
  return best;
}

/** Two different candidates at random (the same one twice where there is only one). */
export function twoRandom(candidates: readonly WorkerBook[], random: () => number): [WorkerBook, WorkerBook] {
  const first = Math.floor(random() * candidates.length);
  if (candidates.length === 1) return [candidates[0]!, candidates[0]!];
  const second = (first + 1 + Math.floor(random() * (candidates.length - 1))) % candidates.length;
  return [candidates[first]!, candidates[second]!];
}
