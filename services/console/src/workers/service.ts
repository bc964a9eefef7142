/** The fleet as the routers see it, and draining. */
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { FleetView } from '@tollgate/shared/contracts/console/published';
import type { DrainedWorker, WorkerView } from '@tollgate/shared/contracts/console/workers';
import type { Db } from '@tollgate/shared/db/client';
import { WorkerDrainStore } from '@tollgate/shared/db/console-drains';
import { AppError } from '@tollgate/shared/domain/errors';
import type { WorkerSnapshot, WorkerState } from '@tollgate/shared/domain/worker';
import type { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Actor } from '../auth/actor.ts';
import { pageOf } from '../http/in-memory-page.ts';
import { isoTime, type PageInput, pageRequest } from '../http/values.ts';
import type { Projector } from '../projector/projector.ts';

/** A view older than this belongs to a router that is gone. */
export const VIEW_MAX_AGE_MS = 30_000;

export interface WorkerServiceOptions {
  db: Db;
  directory: ConsoleDirectory;
  projector: Projector;
  clock: Clock;
}

export class WorkerService {
  readonly #options: WorkerServiceOptions;

  constructor(options: WorkerServiceOptions) {
    this.#options = options;
  }

  async list(_actor: Actor, query: PageInput): Promise<Page<WorkerView>> {
    const { db, directory, clock } = this.#options;
    const { views } = await directory.fleet();
    const draining = new Set(await new WorkerDrainStore(db).list());
    return pageOf(mergeViews([...views.values()], draining, clock.nowMs()), pageRequest(query), (worker) => worker.url);
  }

  /** No new requests to this worker from any router; those that run go on. Survives a flush of Redis. */
  async drain(actor: Actor, url: string): Promise<DrainedWorker> {
    const { db, directory, projector, clock } = this.#options;
    const { views } = await directory.fleet();
    const known = mergeViews([...views.values()], new Set(), clock.nowMs()).some((worker) => worker.url === url);
    if (!known) throw new AppError('not_found', { message: 'No router knows a worker of that URL.' });
    await new WorkerDrainStore(db).add(url, actor.id);
    await projector.draining();
    return { url, draining: true };
  }

  /** Of any URL, also of a worker that no router sees any more. */
  async undrain(_actor: Actor, url: string): Promise<DrainedWorker> {
    await new WorkerDrainStore(this.#options.db).remove(url);
    await this.#options.projector.draining();
    return { url, draining: false };
  }
}

/** How good a state is; of several routers' words the best counts, since any of them can send there. */
const RANK: Record<WorkerState, number> = { gone: 0, joining: 1, draining: 2, ready: 3 };

/**
 * One line per worker from every router's own bookkeeping: counts are sums, state is the best that a router sees, unless
 * the operator drains it; everything else is of the newest view. Pure.
 */
export function mergeViews(views: readonly FleetView[], draining: ReadonlySet<string>, nowMs: number): WorkerView[] {
  const fresh = views.filter((view) => nowMs - view.atMs <= VIEW_MAX_AGE_MS).sort((a, b) => a.atMs - b.atMs);
  const seen = new Map<string, { worker: WorkerSnapshot; atMs: number }[]>();
  for (const { atMs, workers } of fresh) {
    for (const worker of workers) seen.set(worker.url, [...(seen.get(worker.url) ?? []), { worker, atMs }]);
  }
  return [...seen].map(([url, sightings]) => {
    const newest = sightings.at(-1)!;
    const all = sightings.map(({ worker }) => worker);
    const best = all.map(({ state }) => state).reduce((a, b) => (RANK[b] > RANK[a] ? b : a));
    return {
      url,
      engine: newest.worker.engine,
      model: newest.worker.models[0] ?? '',
      models: [...newest.worker.models],
      state: draining.has(url) && best !== 'gone' ? 'draining' : best,
      running: all.reduce((sum, { running }) => sum + running, 0),
      waiting: all.reduce((sum, { waiting }) => sum + waiting, 0),
      kvUsage: newest.worker.kvUsage,
      routers: all.length,
      breakerOpen: all.every(({ breakerOpen }) => breakerOpen),
      seenAt: isoTime(newest.atMs),
    };
  });
}
