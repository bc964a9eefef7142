/**
 * Ends the holds of routers that are gone (MONEY.md 2.2, 2.6). A hold is dead when its heartbeat counter has not moved
 * for long enough on this process's own monotonic clock; time stamps are never compared, so no step of any clock can
 * reap everybody. A reaper that starts anew begins to count anew.
 */
import { encodeUsageRecord } from '@tollgate/shared/contracts/money';
import type { RedisClient } from '@tollgate/shared/redis/client';
import type { HoldsRead, HoldView, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { liveHolds } from '../buckets.ts';
import { eachLimited, type Loop, startLoop } from '../loop.ts';
import type { MeteringMetrics } from '../metrics.ts';
import { estimateRecord } from './estimate.ts';
import { LiveAudit } from './live-audit.ts';

export interface ReaperOptions {
  everyMs: number;
  /** A hold that was never heartbeaten is voided after this. */
  unbeatenMs: number;
  /** H: how long a router may be out of touch before it cuts its streams; and the margin on top. */
  silentMs: number;
  marginMs: number;
  /** How often concurrency sets are checked for entries that no hold stands for. */
  auditEveryMs: number;
}

export interface ReaperDeps {
  redis: RedisClient;
  scripts: MoneyScripts;
  clock: Clock;
  logger: Logger;
  metrics: MeteringMetrics;
  options: ReaperOptions;
}

interface Watched {
  beats: number;
  /** Redis history under which it was seen: a counter of another history says nothing. */
  history: string;
  sinceMs: number;
}

export class Reaper {
  readonly #deps: ReaperDeps;
  readonly #watched = new Map<number, Map<string, Watched>>();
  readonly #audit: LiveAudit;
  #loop: Loop | undefined;
  #auditedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: ReaperDeps) {
    this.#deps = deps;
    this.#audit = new LiveAudit(deps.redis);
  }

  start(): void {
    const { clock, logger, metrics, options } = this.#deps;
    this.#loop = startLoop({
      clock,
      everyMs: options.everyMs,
      round: () => this.round(),
      onError: (error) => {
        metrics.loopErrorsTotal.inc({ loop: 'reaper' });
        logger.warn({ err: error }, 'reaper round failed');
      },
    });
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  /** One look at all live holds. */
  async round(): Promise<void> {
    const { redis, scripts, metrics, logger, clock, options } = this.#deps;
    const live = await liveHolds(redis, scripts.bucketCount);
    metrics.liveHolds.set(live.reduce((sum, { size }) => sum + size, 0));
    const buckets = new Set(live.map(({ bucket }) => bucket));
    for (const bucket of this.#watched.keys()) if (!buckets.has(bucket)) this.#watched.delete(bucket);
    await eachLimited(
      live,
      4,
      ({ bucket }) => this.#look(bucket),
      (error, { bucket }) => {
        metrics.loopErrorsTotal.inc({ loop: 'reaper' });
        logger.warn({ err: error, bucket }, 'holds not looked after');
      },
    );
    if (clock.monotonicMs() - this.#auditedAtMs >= options.auditEveryMs) {
      this.#auditedAtMs = clock.monotonicMs();
      const leaked = await this.#audit.round();
      metrics.leakedTotal.inc(leaked);
      if (leaked > 0) logger.error({ leaked }, 'concurrency sets held entries of no request');
    }
  }

  async #look(bucket: number): Promise<void> {
    const { scripts, logger } = this.#deps;
    const read = await scripts.readHolds(bucket);
    if (read.orphans.length > 0) {
      logger.error({ bucket, orphans: read.orphans.length }, 'listed holds without a hash');
      await scripts.dropOrphans(bucket, read.orphans);
    }
    const before = this.#watched.get(bucket);
    const watched = new Map<string, Watched>();
    this.#watched.set(bucket, watched);
    for (const hold of read.holds) {
      const state = this.#watch(before?.get(hold.requestId), hold, read.history);
      watched.set(hold.requestId, state);
      if (this.#isDead(state)) await this.#end(hold, read);
    }
  }

  #watch(known: Watched | undefined, { beats }: HoldView, history: string): Watched {
    if (known && known.beats === beats && known.history === history) return known;
    return { beats, history, sinceMs: this.#deps.clock.monotonicMs() };
  }

  #isDead({ beats, sinceMs }: Watched): boolean {
    const { clock, options } = this.#deps;
    const limitMs = beats === 0 ? options.unbeatenMs : options.silentMs + options.marginMs;
    return clock.monotonicMs() - sinceMs >= limitMs;
  }

  async #end(hold: HoldView, { history, nowMs }: HoldsRead): Promise<void> {
    const { scripts, metrics, logger } = this.#deps;
    const record = hold.beats === 0 ? null : estimateRecord(hold, nowMs);
    const how = await scripts.reap({
      accountId: hold.accountId,
      keyId: hold.keyId,
      model: hold.model,
      requestId: hold.requestId,
      routerId: record?.routerId ?? '',
      expectedBeats: hold.beats,
      leaseId: hold.leaseId,
      history,
      amountNusd: record?.amountNusd ?? 0n,
      tokens: record ? record.promptTokens + record.completionTokens : 0,
      record: record ? encodeUsageRecord(record) : null,
    });
    if (how === 'reaped' || how === 'voided') {
      metrics.reapedTotal.inc({ how });
      logger.warn({ requestId: hold.requestId, how, beats: hold.beats }, 'hold of a lost router ended');
    }
  }
}
