/** Hourly and daily totals out of the request log. Each run recomputes whole hours and days, so repeating it is safe. */

import type { Db } from '@tollgate/shared/db/client';
import { MetaStore } from '@tollgate/shared/db/meta-store';
import { StatsStore } from '@tollgate/shared/db/stats-store';
import { UsageStore } from '@tollgate/shared/db/usage-store';
import type { Clock } from '@tollgate/shared/runtime/clock';

/** Rows become visible at their commit, later than their time stamp: look back this far behind the last run. */
const OVERLAP_MS = 10 * 60_000;
const HOURLY_MARK = 'rollup_hourly_at';
const DAILY_MARK = 'rollup_daily_at';

export class Rollups {
  readonly #db: Db;
  readonly #clock: Clock;

  constructor(db: Db, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Hours with rows written since the last run. Returns how many. */
  async hourly(): Promise<number> {
    const startedMs = this.#clock.nowMs();
    const sinceMs = await this.#since(HOURLY_MARK);
    const hours = await new UsageStore(this.#db).recomputeHourly(sinceMs);
    await new StatsStore(this.#db).recompute(sinceMs);
    await new MetaStore(this.#db).set(HOURLY_MARK, String(startedMs));
    return hours;
  }

  /** Days touched since the last run, after their hours. */
  async daily(): Promise<void> {
    const startedMs = this.#clock.nowMs();
    const sinceMs = await this.#since(DAILY_MARK);
    await this.hourly();
    const usage = new UsageStore(this.#db);
    const oldestMs = await usage.oldestAdmissionSince(sinceMs);
    if (oldestMs !== null) await usage.recomputeDaily(oldestMs);
    await new MetaStore(this.#db).set(DAILY_MARK, String(startedMs));
  }

  async #since(mark: string): Promise<number> {
    const last = await new MetaStore(this.#db).get(mark);
    return last === null ? 0 : Math.max(Number(last) - OVERLAP_MS, 0);
  }
}
