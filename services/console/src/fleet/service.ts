/** The fleet as operators watch it: what routers see now, and what each worker did in the last quarter of an hour. */
import type { FleetView } from '@tollgate/shared/contracts/console/platform';
import type { Db } from '@tollgate/shared/db/client';
import { WorkerDrainStore } from '@tollgate/shared/db/console-drains';
import { StatsStore, type WorkerFigures } from '@tollgate/shared/db/stats-store';
import type { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Exchange, Streamed } from '../http/route.ts';
import { isoTime } from '../http/values.ts';
import { mergeViews, VIEW_MAX_AGE_MS } from '../workers/service.ts';

const RECENT_MS = 15 * 60_000;
/** The figures of the request log are read at most this often, whoever watches. */
const FIGURES_MS = 5_000;
const EVERY_MS = 2_000;

export interface FleetParts {
  db: Db;
  directory: ConsoleDirectory;
  clock: Clock;
}

export class FleetService {
  readonly #parts: FleetParts;
  #figures: { atMs: number; rows: Promise<WorkerFigures[]> } | null = null;

  constructor(parts: FleetParts) {
    this.#parts = parts;
  }

  async read(): Promise<FleetView> {
    const { db, directory, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const { views } = await directory.fleet();
    const draining = new Set(await new WorkerDrainStore(db).list());
    const figures = new Map((await this.#recent(nowMs)).map((row) => [row.url, row]));
    const newest = new Map(
      [...views.values()]
        .sort((a, b) => a.atMs - b.atMs)
        .flatMap(({ workers }) => workers)
        .map((worker) => [worker.url, worker]),
    );
    const workers = mergeViews([...views.values()], draining, nowMs)
      .sort((a, b) => (a.url < b.url ? -1 : 1))
      .map((worker) => {
        const seen = newest.get(worker.url);
        return {
          ...worker,
          maxModelLen: seen?.maxModelLen ?? null,
          maxConcurrency: seen?.maxConcurrency ?? null,
          pendingPrefillTokens: Math.round(seen?.pendingPrefillTokens ?? 0),
          recent: recentOf(figures.get(worker.url)),
        };
      });
    const routers = [...views]
      .map(([routerId, { atMs }]) => ({ routerId, seenAt: isoTime(atMs), live: nowMs - atMs <= VIEW_MAX_AGE_MS }))
      .sort((a, b) => (a.routerId < b.routerId ? -1 : 1));
    return { at: isoTime(nowMs), workers, routers };
  }

  /** Models that some router could send to now; null when that cannot be known. */
  async readyModels(): Promise<Set<string> | null> {
    try {
      const { views } = await this.#parts.directory.fleet();
      const workers = mergeViews([...views.values()], new Set(), this.#parts.clock.nowMs());
      return new Set(
        workers.filter(({ state, breakerOpen }) => state === 'ready' && !breakerOpen).flatMap(({ models }) => models),
      );
    } catch {
      return null;
    }
  }

  /** The same every two seconds, for as long as somebody looks. */
  events(exchange: Exchange): Streamed {
    const read = () => this.read();
    const { clock } = this.#parts;
    async function* events() {
      while (!exchange.signal.aborted) {
        let text: string;
        try {
          text = `event: fleet\ndata: ${JSON.stringify(await read())}\n\n`;
        } catch {
          // Redis away for a moment: the line stays open, the next reading may succeed.
          text = ': unavailable\n\n';
        }
        yield text;
        await clock.sleep(EVERY_MS, exchange.signal).catch(() => {});
      }
    }
    return {
      status: 200,
      headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
      body: events(),
    };
  }

  #recent(nowMs: number): Promise<WorkerFigures[]> {
    if (this.#figures && nowMs - this.#figures.atMs < FIGURES_MS) return this.#figures.rows;
    const rows = new StatsStore(this.#parts.db).workers(nowMs - RECENT_MS);
    this.#figures = { atMs: nowMs, rows };
    rows.catch(() => {
      this.#figures = null;
    });
    return rows;
  }
}

function recentOf(row: WorkerFigures | undefined): FleetView['workers'][number]['recent'] {
  const whole = (value: number | null | undefined) =>
    value === null || value === undefined ? null : Math.round(value);
  return {
    requests: row?.requests ?? 0,
    failed: row?.failed ?? 0,
    hitRate: row && row.promptTokens > 0 ? row.cachedTokens / row.promptTokens : null,
    firstTokenP50Ms: whole(row?.firstTokenP50Ms),
    firstTokenP95Ms: whole(row?.firstTokenP95Ms),
    tokensPerSecond: row ? Math.round((row.completionTokens * 10_000) / RECENT_MS) / 10 : null,
  };
}
