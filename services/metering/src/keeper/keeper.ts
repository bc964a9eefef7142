/** The lease keeper: the loops around `LeaseDesk`. */
import type { Db } from '@tollgate/shared/db/client';
import { type Lease, LeaseStore } from '@tollgate/shared/db/lease-store';
import type { RedisClient } from '@tollgate/shared/redis/client';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { eachLimited, type Loop, startLoop } from '../loop.ts';
import type { MeteringMetrics } from '../metrics.ts';
import { type Aligned, type LeaseDesk, NotNow } from './lease-desk.ts';
import { memoryShare } from './memory.ts';
import type { Needs } from './needs.ts';
import type { Releaser } from './release.ts';

export interface KeeperOptions {
  needSweepMs: number;
  leaseSweepMs: number;
  /** A lease without a hold and without spending for this long is given back. */
  idleMs: number;
  /** Share of Redis's memory limit at which admissions stop, and at which they start again. */
  fullShare: number;
  freeShare: number;
}

export interface KeeperDeps {
  db: Db;
  redis: RedisClient;
  scripts: MoneyScripts;
  desk: LeaseDesk;
  needs: Needs;
  releaser: Releaser;
  clock: Clock;
  logger: Logger;
  metrics: MeteringMetrics;
  options: KeeperOptions;
}

const PAGE = 500;
const WIDTH = 4;

export class Keeper {
  readonly #deps: KeeperDeps;
  readonly #leases: LeaseStore;
  readonly #loops: Loop[] = [];
  /** What a lease had used when it last changed, and when (monotonic). */
  readonly #activity = new Map<string, { usedNusd: bigint; sinceMs: number }>();
  /** Unknown at first: whoever ran before may have left the flag. */
  #full: boolean | undefined;

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
    this.#leases = new LeaseStore(deps.db);
  }

  start(): void {
    const { clock, logger, metrics, needs, releaser, options } = this.#deps;
    const loop = (name: string, everyMs: number, round: () => Promise<unknown>) =>
      this.#loops.push(
        startLoop({
          clock,
          everyMs,
          round: async () => void (await round()),
          onError: (error) => {
            metrics.loopErrorsTotal.inc({ loop: name });
            logger.warn({ err: error, loop: name }, 'round failed');
          },
        }),
      );
    loop('needs', options.needSweepMs, () => needs.sweep());
    loop('leases', options.leaseSweepMs, () => this.sweep());
    loop('release', options.leaseSweepMs, () => releaser.round());
    loop('memory', options.leaseSweepMs, () => this.watchMemory());
  }

  /** After a reconnection: the history may have changed. */
  wake(): void {
    for (const loop of this.#loops) loop.wake();
  }

  async stopLoops(): Promise<void> {
    await Promise.all(this.#loops.splice(0).map((loop) => loop.stop()));
    await this.#deps.needs.stop();
  }

  /** One look at all open leases: quarantines the dead, books, extends the busy, gives back the idle, recalls for debts. */
  async sweep(): Promise<void> {
    const seen = new Set<string>();
    const debtors = new Set((await this.#leases.openOfDebtors(PAGE)).map((lease) => lease.id));
    await this.#eachOpen(async (row) => {
      seen.add(row.id);
      const aligned = await this.#deps.desk.align(row.accountId);
      if (!aligned.row || !aligned.lease) return;
      seen.add(aligned.row.id);
      if (debtors.has(aligned.row.id)) await this.#deps.desk.recall(aligned);
      else if (this.#isIdle(aligned)) await this.#deps.desk.retire(aligned);
      else await this.#deps.desk.keepAlive(aligned);
    });
    for (const id of this.#activity.keys()) if (!seen.has(id)) this.#activity.delete(id);
    this.#deps.metrics.openLeases.set(seen.size);
  }

  /** Gives back and closes every lease that is not in use: a graceful stop leaves no money lying in Redis. */
  async retireAll(): Promise<{ closed: number; left: number }> {
    let closed = 0;
    let left = 0;
    await this.#eachOpen(async (row) => {
      const aligned = await this.#deps.desk.align(row.accountId);
      if (!aligned.row) return;
      if (await this.#deps.desk.retire(aligned)) closed++;
      else left++;
    });
    return { closed, left };
  }

  #isIdle({ lease }: Aligned): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    const { leaseId, heldNusd, spentNusd } = lease!;
    const usedNusd = heldNusd + spentNusd;
    const known = this.#activity.get(leaseId);
    if (known?.usedNusd !== usedNusd) {
      this.#activity.set(leaseId, { usedNusd, sinceMs: nowMs });
      return false;
    }
    return heldNusd === 0n && nowMs - known.sinceMs >= this.#deps.options.idleMs;
  }

  async #eachOpen(work: (row: Lease) => Promise<void>): Promise<void> {
    const { logger } = this.#deps;
    let failed = 0;
    for (let after: string | null = null; ; ) {
      const page = await this.#leases.list('open', after, PAGE);
      await eachLimited(page, WIDTH, work, (error) => {
        // With Redis away every lease fails alike: one line says it.
        if (failed++ === 0)
          logger[error instanceof NotNow ? 'debug' : 'warn']({ err: error }, 'lease not looked after');
      });
      if (page.length < PAGE) return;
      after = page.at(-1)!.id;
    }
  }

  /** The memory flag (MONEY.md 4.2): near its limit Redis refuses writes; admissions stop before it does. */
  async watchMemory(): Promise<void> {
    const { redis, scripts, metrics, logger, options } = this.#deps;
    const share = await memoryShare(redis);
    const full = this.#full ? share > options.freeShare : share > options.fullShare;
    metrics.redisFull.set(full ? 1 : 0);
    if (full !== (this.#full ?? false))
      logger[full ? 'error' : 'info']({ share }, full ? 'Redis is nearly full' : 'Redis has room');
    // While full the flag is repeated: a flush would have taken it away.
    if (full || this.#full !== full) {
      await Promise.all(Array.from({ length: scripts.bucketCount }, (_, bucket) => scripts.setFull(bucket, full)));
    }
    this.#full = full;
  }
}
