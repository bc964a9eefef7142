/**
 * The end of a lease: gives the rest of quarantined leases back once nothing can spend it any more (MONEY.md 1.5, 2.5).
 * Two waits must be over: the lease's own end (exp + skew, unless the old process is proven dead), and the grace in which
 * routers register their running requests anew. What live requests may still cost is kept back.
 */
import type { Db } from '@tollgate/shared/db/client';
import { type Lease, LeaseStore } from '@tollgate/shared/db/lease-store';
import type { RedisClient } from '@tollgate/shared/redis/client';
import type { HoldsRead, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Drain } from '../drain/drain.ts';
import type { MeteringMetrics } from '../metrics.ts';

export interface ReleaserDeps {
  db: Db;
  redis: RedisClient;
  scripts: MoneyScripts;
  drain: Drain;
  clock: Clock;
  logger: Logger;
  metrics: MeteringMetrics;
  skewMs: number;
  graceMs: number;
}

const PAGE = 500;

export class Releaser {
  readonly #deps: ReleaserDeps;
  readonly #leases: LeaseStore;
  /** Since when (monotonic) a lease has been seen quarantined under the present history: the grace runs from there. */
  readonly #seen = new Map<string, { history: string; sinceMs: number }>();

  constructor(deps: ReleaserDeps) {
    this.#deps = deps;
    this.#leases = new LeaseStore(deps.db);
  }

  /** One look at all quarantined leases. Returns how many were closed. */
  async round(): Promise<number> {
    const { metrics, logger } = this.#deps;
    const byBucket = new Map<number, Lease[]>();
    const alive = new Set<string>();
    for (let after: string | null = null; ; ) {
      const page = await this.#leases.list('quarantined', after, PAGE);
      for (const lease of page) {
        alive.add(lease.id);
        byBucket.set(lease.bucket, [...(byBucket.get(lease.bucket) ?? []), lease]);
      }
      if (page.length < PAGE) break;
      after = page.at(-1)!.id;
    }
    metrics.quarantinedLeases.set(alive.size);
    for (const id of this.#seen.keys()) if (!alive.has(id)) this.#seen.delete(id);
    let closed = 0;
    for (const [bucket, leases] of byBucket) {
      try {
        const count = await this.#releaseBucket(bucket, leases);
        closed += count;
      } catch (error) {
        logger.warn({ err: error, bucket }, 'quarantined leases not released, tried again');
      }
    }
    return closed;
  }

  async #releaseBucket(bucket: number, leases: readonly Lease[]): Promise<number> {
    const { scripts, drain, logger } = this.#deps;
    const read = await scripts.readHolds(bucket);
    const due = leases.filter((lease) => this.#isDue(lease, read));
    if (due.length === 0) return 0;
    // A hold that ended before `readHolds` has its record in the outbox by now: that must be posted to its lease
    // before the rest of the lease is given away. One that ends later is among the holds and is kept back.
    if (!(await drain.drainThrough(bucket))) return 0;
    let closed = 0;
    for (const lease of due) {
      const live = read.holds
        .filter((hold) => hold.leaseId === lease.id)
        .reduce((sum, hold) => sum + hold.amountNusd, 0n);
      const now = await this.#leases.release(lease.accountId, lease.id, live);
      if (now?.state !== 'closed') continue;
      closed++;
      const { id: leaseId, quarantineWhy: why } = lease;
      if (why !== 'closed') logger.info({ leaseId, why }, 'quarantined lease released');
      // A hash of that id may lie there still: an extend or a delayed create that came after all.
      await scripts.discardLease({ accountId: lease.accountId, leaseId });
    }
    return closed;
  }

  #isDue(lease: Lease, { history, nowMs }: HoldsRead): boolean {
    const { clock, skewMs, graceMs } = this.#deps;
    // Closed by us on its own history with nothing held: nobody can come back for it.
    if (lease.quarantineWhy === 'closed') return true;
    const monoMs = clock.monotonicMs();
    const seen = this.#seen.get(lease.id);
    if (seen?.history !== history) {
      this.#seen.set(lease.id, { history, sinceMs: monoMs });
      return graceMs === 0 && this.#isOver(lease, nowMs, skewMs);
    }
    return monoMs - seen.sinceMs >= graceMs && this.#isOver(lease, nowMs, skewMs);
  }

  #isOver(lease: Lease, nowMs: number, skewMs: number): boolean {
    return lease.quarantineWhy === 'restart' || nowMs >= lease.expMs + skewMs;
  }
}
