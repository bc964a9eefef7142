/** Filter -> score -> pick, pure: snapshots in, one worker out. The full scorer replaces `score`, nothing else. */
import { isAvailable, type WorkerSnapshot } from '@tollgate/shared/domain/worker';
import { predictedSeconds, type RoutingRequest } from './cost.ts';

export type Score = (request: RoutingRequest, worker: WorkerSnapshot) => number;

/** Costs this close are equal: the difference says nothing. */
const TIE_SECONDS = 0.001;
const TIE_SHARE = 0.02;

export interface Choice {
  worker: string;
  predictedSeconds: number;
}

/** Workers that may receive this request now. `excluded` = those that already failed it. */
export function candidates(
  request: RoutingRequest,
  workers: readonly WorkerSnapshot[],
  excluded: readonly string[],
): WorkerSnapshot[] {
  return workers.filter(
    (worker) => isAvailable(worker) && worker.models.includes(request.model) && !excluded.includes(worker.url),
  );
}

/**
 * The candidate of least cost, or null when there is none. Among equals the one with the fewest requests wins, then
 * the one that `turn` points at, so that idle workers share the load.
 */
export function choose(
  request: RoutingRequest,
  workers: readonly WorkerSnapshot[],
  excluded: readonly string[],
  turn: number,
  score: Score = predictedSeconds,
): Choice | null {
  const open = candidates(request, workers, excluded);
  if (open.length === 0) return null;
  const costs = open.map((worker) => score(request, worker));
  const least = Math.min(...costs);
  const bound = Math.max(least + TIE_SECONDS, least * (1 + TIE_SHARE));
  const equals = open.filter((_worker, i) => costs[i]! <= bound);
  const fewest = Math.min(...equals.map((worker) => worker.running));
  const idlest = equals.filter((worker) => worker.running === fewest);
  const worker = idlest[turn % idlest.length]!;
  return { worker: worker.url, predictedSeconds: costs[open.indexOf(worker)]! };
}
