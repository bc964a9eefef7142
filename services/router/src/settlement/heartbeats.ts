/**
 * Renews the holds of running requests: one batched script call per bucket. The first beat goes out with the next
 * short batch after dispatch, so that a request that ends sooner needs none; all others every 10 s.
 */

import { bucketOf } from '@tollgate/shared/redis/keys';
import type { Beat, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';

export interface LiveHold {
  readonly accountId: string;
  /** The beat as of now. */
  beat(): Beat;
  /** The hold could not be renewed for so long that the reaper may free it soon: the stream must end. */
  cut(): void;
}

export interface HeartbeatOptions {
  everyMs: number;
  firstWithinMs: number;
  /** H of MONEY.md 2.6. */
  giveUpAfterMs: number;
}

export type HeartbeatPort = Pick<MoneyScripts, 'heartbeat' | 'bucketCount'>;

export class Heartbeats {
  /** Monotonic time of the last beat that Redis took; for new ones that of their admission. */
  private readonly renewedMs = new Map<LiveHold, number>();
  private fresh: LiveHold[] = [];
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
    return this.renewedMs.size;
  }

  add(hold: LiveHold): void {
    this.renewedMs.set(hold, this.clock.monotonicMs());
    this.fresh.push(hold);
    this.freshTimer ??= this.clock.setTimeout(() => this.beatFresh(), this.options.firstWithinMs).unref();
  }

  remove(hold: LiveHold): void {
    this.renewedMs.delete(hold);
  }

  async beatAll(): Promise<void> {
    await this.send([...this.renewedMs.keys()]);
    const nowMs = this.clock.monotonicMs();
    for (const [hold, renewedMs] of this.renewedMs) {
      if (nowMs - renewedMs < this.options.giveUpAfterMs) continue;
      this.renewedMs.delete(hold);
      hold.cut();
    }
  }

  private beatFresh(): void {
    this.freshTimer = null;
    const holds = this.fresh.filter((hold) => this.renewedMs.has(hold));
    this.fresh = [];
    void this.send(holds);
  }

  private async send(holds: readonly LiveHold[]): Promise<void> {
    const byBucket = new Map<number, LiveHold[]>();
    for (const hold of holds) {
      const bucket = bucketOf(hold.accountId, this.port.bucketCount);
      const list = byBucket.get(bucket);
      if (list) list.push(hold);
      else byBucket.set(bucket, [hold]);
    }
    await Promise.all([...byBucket].map(([bucket, list]) => this.sendBucket(bucket, list)));
  }

  private async sendBucket(bucket: number, holds: readonly LiveHold[]): Promise<void> {
    try {
      await this.port.heartbeat(
        bucket,
        holds.map((hold) => hold.beat()),
      );
      const nowMs = this.clock.monotonicMs();
      // A hold that Redis calls resolved was reaped in our absence: the stream goes on, our record replaces the
      // reaper's (MONEY.md 2.7), so it counts as renewed.
      for (const hold of holds) if (this.renewedMs.has(hold)) this.renewedMs.set(hold, nowMs);
    } catch (error) {
      this.logger.warn({ err: error, bucket, holds: holds.length }, 'heartbeat failed');
    }
  }
}
