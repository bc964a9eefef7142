/**
 * Renews the holds of running requests: one batched script call per bucket. The first beat goes out with the next
 * short batch after dispatch, so that a request that ends sooner needs none; all others every 10 s.
 */

import { bucketOf } from '@tollgate/shared/redis/keys';
import type { Beat, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { Roster } from '../roster.ts';

export interface LiveHold {
  readonly accountId: string;
  /** The beat as of now. */
  beat(): Beat;
  /** The hold could not be renewed for so long that the reaper may free it soon: the stream must end. */
  cut(): void;
}

/** One hold from its dispatch to its end. */
class Kept {
  readonly hold: LiveHold;
  /** Monotonic time of the last beat that Redis took; for new ones that of their admission. */
  renewedMs: number;
  private readonly seats: readonly { leave(): void }[];

  constructor(hold: LiveHold, nowMs: number, rosters: readonly Roster<Kept>[]) {
    this.hold = hold;
    this.renewedMs = nowMs;
    this.seats = rosters.map((roster) => roster.add(this));
  }

  leave(): void {
    for (const seat of this.seats) seat.leave();
  }
}

export interface HeartbeatOptions {
  everyMs: number;
  firstWithinMs: number;
  /** H of MONEY.md 2.6. */
  giveUpAfterMs: number;
}

export type HeartbeatPort = Pick<MoneyScripts, 'heartbeat' | 'bucketCount'>;

export class Heartbeats {
  private readonly kept = new Roster<Kept>();
  /** Those that had no beat yet. */
  private fresh = new Roster<Kept>();
  private readonly options: HeartbeatOptions;
  private readonly port: HeartbeatPort;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private timers: Timer[] = [];
  private freshTimer: Timer | null = null;

  constructor(options: HeartbeatOptions, port: HeartbeatPort, clock: Clock, logger: Logger) {
    this.options = options;
    this.port = port;
    this.clock = clock;
    this.logger = logger;
  }

  start(): void {
    this.timers = [this.clock.setInterval(() => void this.beatAll(), this.options.everyMs).unref()];
  }

  stop(): void {
    for (const timer of this.timers) timer.cancel();
    this.freshTimer?.cancel();
  }

  get live(): number {
    return this.kept.size;
  }

  /** What is returned ends it; idempotent. */
  add(hold: LiveHold): { leave(): void } {
    this.freshTimer ??= this.clock.setTimeout(() => this.beatFresh(), this.options.firstWithinMs).unref();
    return new Kept(hold, this.clock.monotonicMs(), [this.kept, this.fresh]);
  }

  async beatAll(): Promise<void> {
    await this.send([...this.kept]);
    const nowMs = this.clock.monotonicMs();
    for (const kept of this.kept) {
      if (nowMs - kept.renewedMs < this.options.giveUpAfterMs) continue;
      kept.leave();
      kept.hold.cut();
    }
  }

  private beatFresh(): void {
    this.freshTimer = null;
    const fresh = [...this.fresh];
    this.fresh = new Roster();
    void this.send(fresh);
  }

  private async send(holds: readonly Kept[]): Promise<void> {
    const byBucket = new Map<number, Kept[]>();
    for (const kept of holds) {
      const bucket = bucketOf(kept.hold.accountId, this.port.bucketCount);
      const list = byBucket.get(bucket);
      if (list) list.push(kept);
      else byBucket.set(bucket, [kept]);
    }
    await Promise.all([...byBucket].map(([bucket, list]) => this.sendBucket(bucket, list)));
  }

  private async sendBucket(bucket: number, holds: readonly Kept[]): Promise<void> {
    try {
      await this.port.heartbeat(
        bucket,
        holds.map(({ hold }) => hold.beat()),
      );
      const nowMs = this.clock.monotonicMs();
      // A hold that Redis calls resolved was reaped in our absence: the stream goes on, our record replaces the
      // reaper's (MONEY.md 2.7), so it counts as renewed.
      for (const kept of holds) kept.renewedMs = nowMs;
    } catch (error) {
      this.logger.warn({ err: error, bucket, holds: holds.length }, 'heartbeat failed');
    }
  }
}
