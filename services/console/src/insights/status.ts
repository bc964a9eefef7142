/** What anybody may know: whether each model works, how fast, and for how long it has. Names no customer and no worker. */
import type { StatusView } from '@tollgate/shared/contracts/console/insights';
import type { Db } from '@tollgate/shared/db/client';
import { ModelStore } from '@tollgate/shared/db/model-store';
import { type ModelHour, quantileMs, StatsStore } from '@tollgate/shared/db/stats-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { FleetService } from '../fleet/service.ts';
import { isoTime } from '../http/values.ts';

const HOUR_MS = 3_600_000;
const CACHE_MS = 10_000;
const HOURS = 48;
const DEGRADED_BELOW = 0.95;

export class StatusService {
  readonly #parts: { db: Db; clock: Clock; fleet: FleetService };
  #cached: { atMs: number; view: Promise<StatusView> } | null = null;

  constructor(parts: { db: Db; clock: Clock; fleet: FleetService }) {
    this.#parts = parts;
  }

  /** At most ten seconds old: it is open to everybody, and must cost nothing. */
  read(): Promise<StatusView> {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#cached && nowMs - this.#cached.atMs < CACHE_MS) return this.#cached.view;
    const view = this.#read(nowMs);
    this.#cached = { atMs: nowMs, view };
    view.catch(() => {
      this.#cached = null;
    });
    return view;
  }

  async #read(nowMs: number): Promise<StatusView> {
    const { db, fleet } = this.#parts;
    const stats = new StatsStore(db);
    const thisHourMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS;
    const firstHourMs = thisHourMs - (HOURS - 1) * HOUR_MS;
    const hours = Map.groupBy(await stats.modelHours(firstHourMs), ({ model }) => model);
    const days = new Map((await stats.modelDays(nowMs - 30 * 24 * HOUR_MS)).map((row) => [row.model, row]));
    const tokens = Map.groupBy(await stats.firstTokens(null, firstHourMs), ({ model }) => model);
    const ready = await fleet.readyModels();
    const prices = new Map((await new ModelStore(db).catalog(nowMs)).models.map((model) => [model.id, model]));
    const models = (await new ModelStore(db).list()).filter(({ enabled }) => enabled);
    return {
      at: isoTime(nowMs),
      models: models.map(({ id, maxModelLen }) => {
        const own = hours.get(id) ?? [];
        const recent = own.filter(({ startMs }) => startMs >= thisHourMs - HOUR_MS);
        const day = own.filter(({ startMs }) => startMs > thisHourMs - 24 * HOUR_MS);
        const first = tokens.get(id) ?? [];
        const dayTokens = first.filter(({ startMs }) => startMs > thisHourMs - 24 * HOUR_MS);
        const price = prices.get(id)?.prices;
        const byHour = new Map(own.map((hour) => [hour.startMs, hour]));
        const firstByHour = Map.groupBy(first, ({ startMs }) => startMs);
        return {
          id,
          state: stateOf(ready === null ? null : ready.has(id), uptime(recent)),
          contextTokens: maxModelLen,
          price: price
            ? {
                inputNusd: String(price.inputNusd),
                cachedInputNusd: String(price.cachedInputNusd),
                outputNusd: String(price.outputNusd),
              }
            : null,
          uptime24h: uptime(day),
          uptime30d: uptime(days.has(id) ? [days.get(id)!] : []),
          firstTokenP50Ms: quantileMs(dayTokens, 0.5),
          firstTokenP95Ms: quantileMs(dayTokens, 0.95),
          tokensPerSecond: speed(day),
          hours: Array.from({ length: HOURS }, (_, index) => {
            const startMs = firstHourMs + index * HOUR_MS;
            const hour = byHour.get(startMs);
            return {
              start: isoTime(startMs),
              requests: hour !== undefined,
              uptime: uptime(hour ? [hour] : []),
              firstTokenP50Ms: quantileMs(firstByHour.get(startMs) ?? [], 0.5),
            };
          }),
        };
      }),
    };
  }
}

type Quality = Omit<ModelHour, 'startMs' | 'model'>;

/** Share of requests that the platform did not fail; null when there were none. */
function uptime(rows: readonly Quality[]): number | null {
  const good = rows.reduce((sum, row) => sum + row.good, 0n);
  const failed = rows.reduce((sum, row) => sum + row.failed, 0n);
  return good + failed === 0n ? null : Number((good * 10_000n) / (good + failed)) / 10_000;
}

/** Mean tokens per second of one stream. */
function speed(rows: readonly Quality[]): number | null {
  const ms = rows.reduce((sum, row) => sum + row.decodeMs, 0n);
  const tokens = rows.reduce((sum, row) => sum + row.decodeTokens, 0n);
  return ms <= 0n ? null : Number((tokens * 10_000n) / ms) / 10;
}

function stateOf(ready: boolean | null, recent: number | null): 'operational' | 'degraded' | 'down' | 'unknown' {
  if (ready === null) return 'unknown';
  if (!ready) return 'down';
  return recent !== null && recent < DEGRADED_BELOW ? 'degraded' : 'operational';
}
