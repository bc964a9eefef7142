/** What people want to hear of before it hurts. Each thing is told once: its event's dedupe key names it. */
import type { EventType } from '@tollgate/shared/contracts/console/webhooks';
import type { Db } from '@tollgate/shared/db/client';
import { emit } from '@tollgate/shared/db/emit';
import { AlertStore } from '@tollgate/shared/db/webhook-store';
import type { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';

/** A router's view that is older says nothing. */
const VIEW_MAX_AGE_MS = 30_000;
/** Rounds in which a worker must be missing: one may fall between two publications. */
const ROUNDS_MISSING = 2;
/** A worker that goes up and down is told of at most this often. */
const SAME_OUTAGE_MS = 600_000;

export interface AlertParts {
  db: Db;
  directory: Pick<ConsoleDirectory, 'fleet'>;
  clock: Clock;
  random: Random;
  logger: Logger;
}

export class Alerts {
  readonly #parts: AlertParts;
  /** Workers that were up once, by URL: rounds since they were. */
  readonly #missing = new Map<string, { rounds: number; models: readonly string[] }>();

  constructor(parts: AlertParts) {
    this.#parts = parts;
  }

  async round(): Promise<void> {
    const { db, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const store = new AlertStore(db);
    for (const { accountId, availableNusd, thresholdNusd, creditedNusd } of await store.balanceLow()) {
      // Every top-up raises `credited`: the next shortage is another one.
      await this.#emit('balance.low', accountId, `${accountId}:${creditedNusd}`, {
        availableNusd: String(availableNusd),
        thresholdNusd: String(thresholdNusd),
      });
    }
    for (const { keyId, accountId, name, prefix, expiresAtMs } of await store.keysExpiring(nowMs)) {
      const expiresAt = new Date(expiresAtMs).toISOString();
      // Whole seconds, rounded as Postgres rounds: the very text that the query looks for.
      await this.#emit('key.expiring', accountId, `${keyId}:${Math.round(expiresAtMs / 1000)}`, {
        keyId,
        name,
        prefix,
        expiresAt,
      });
    }
    for (const { keyId, accountId, name, period, capNusd, spentNusd } of await store.capsReached(nowMs)) {
      const date = new Date(nowMs).toISOString().slice(0, period === 'day' ? 10 : 7);
      const data = { keyId, name, period, capNusd: String(capNusd), spentNusd: String(spentNusd) };
      await this.#emit('spend_cap.reached', accountId, `${keyId}:${period}:${date}:${capNusd}`, data);
    }
    await this.#workers(nowMs);
  }

  async #workers(nowMs: number): Promise<void> {
    const { views } = await this.#parts.directory.fleet();
    const fresh = [...views.values()].filter(({ atMs }) => nowMs - atMs <= VIEW_MAX_AGE_MS);
    // No router tells anything: that is another alarm (of the monitoring), and no news of workers.
    if (fresh.length === 0) return;
    const workers = fresh.flatMap((view) => view.workers);
    const usable = new Set(
      workers
        .filter(({ state, breakerOpen }) => state === 'draining' || (state === 'ready' && !breakerOpen))
        .map(({ url }) => url),
    );
    for (const { url, models } of workers) if (usable.has(url)) this.#missing.set(url, { rounds: 0, models });
    for (const [url, seen] of this.#missing) {
      if (usable.has(url)) continue;
      seen.rounds += 1;
      if (seen.rounds < ROUNDS_MISSING) continue;
      this.#missing.delete(url);
      await this.#emit('worker.down', null, `${url}:${Math.floor(nowMs / SAME_OUTAGE_MS)}`, {
        url,
        models: seen.models,
      });
    }
  }

  async #emit(type: EventType, accountId: string | null, what: string, data: Record<string, unknown>): Promise<void> {
    const { db, random, clock, logger } = this.#parts;
    await emit(db, { type, accountId, dedupeKey: `${type}:${what}`, data }, random, clock.nowMs());
    logger.info({ type, accountId }, 'alert');
  }
}
