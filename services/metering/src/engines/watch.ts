/**
 * Holds the bills against the engines' own counters: reads what routers saw of each worker, adds up the growth by hour, and
 * tells each difference of the last day by its cause. Nothing is repaired here: a difference is for people.
 */
import type { Db } from '@tollgate/shared/db/client';
import { EngineCounterStore } from '@tollgate/shared/db/engine-counter-store';
import type { WorkerCounters } from '@tollgate/shared/domain/worker';
import type { FleetStore } from '@tollgate/shared/redis/fleet-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type Loop, startLoop } from '../loop.ts';
import type { MeteringMetrics } from '../metrics.ts';
import { type Difference, differencesOf } from './difference.ts';

export interface EngineWatchParts {
  db: Db;
  fleet: Pick<FleetStore, 'views'>;
  clock: Clock;
  logger: Logger;
  metrics: Pick<MeteringMetrics, 'engineDifferenceTokens' | 'loopErrorsTotal'>;
  everyMs: number;
}

const HOUR_MS = 3_600_000;
/** Hours that are compared; the running one is left out: its last requests are not posted yet. */
const HOURS = 24;
/** Older ones are dropped: so long people may ask in which hour a difference began. */
const KEPT_HOURS = 35 * 24;
/** Requests of an hour are posted this soon after it. */
const POSTED_AFTER_MS = 120_000;
const COMPARE_EVERY_MS = 300_000;
/** A view of a router that is gone. */
const STALE_MS = 30_000;

export function startEngineWatch(parts: EngineWatchParts): Loop {
  const { clock, metrics, logger } = parts;
  let comparedMs = Number.NEGATIVE_INFINITY;
  return startLoop({
    clock,
    everyMs: parts.everyMs,
    onError: (error) => {
      metrics.loopErrorsTotal.inc({ loop: 'engines' });
      logger.warn({ err: error }, 'the engines are compared in the next round');
    },
    async round() {
      await sampleEngines(parts);
      if (clock.monotonicMs() - comparedMs < COMPARE_EVERY_MS) return;
      comparedMs = clock.monotonicMs();
      await tellDifferences(parts);
    },
  });
}

/** One look at each worker: the latest that any router took. */
export async function sampleEngines({
  db,
  fleet,
  clock,
}: Pick<EngineWatchParts, 'db' | 'fleet' | 'clock'>): Promise<void> {
  const latest = new Map<string, WorkerCounters>();
  for (const { atMs, workers } of await fleet.views()) {
    if (clock.nowMs() - atMs > STALE_MS) continue;
    for (const { url, counters } of workers) {
      if (counters && counters.atMs > (latest.get(url)?.atMs ?? 0)) latest.set(url, counters);
    }
  }
  const store = new EngineCounterStore(db);
  for (const [workerUrl, counters] of latest) await store.add({ workerUrl, ...counters });
}

/** Compares the last whole hours and shows what does not agree. */
export async function tellDifferences({ db, clock, metrics, logger }: EngineWatchParts): Promise<Difference[]> {
  const toMs = Math.floor((clock.nowMs() - POSTED_AFTER_MS) / HOUR_MS) * HOUR_MS;
  const store = new EngineCounterStore(db);
  await store.forget(toMs - KEPT_HOURS * HOUR_MS);
  const work = await store.compare(toMs - HOURS * HOUR_MS, toMs);
  const differences = work.flatMap(differencesOf);
  metrics.engineDifferenceTokens.reset();
  for (const { workerUrl: worker, kind, cause, tokens } of differences) {
    metrics.engineDifferenceTokens.set({ worker, kind, cause }, tokens);
    if (cause === 'overbilled')
      logger.error({ worker, kind, tokens }, 'more tokens were billed than the engine counted');
  }
  return differences;
}
