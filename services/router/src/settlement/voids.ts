/** Gives holds back, again and again until Redis took it: a void that got lost would keep credit reserved. */
import type { MoneyScripts, VoidInput } from '@tollgate/shared/redis/money-scripts';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';

const RETRY_EVERY_MS = 500;
/** The reaper frees what is older than this anyway. */
const GIVE_UP_AFTER_MS = 660_000;
const MAX_PENDING = 100_000;

export class Voids {
  private readonly pending = new Map<string, { input: VoidInput; sinceMs: number }>();
  private readonly inFlight = new Set<Promise<void>>();
  private readonly port: Pick<MoneyScripts, 'voidHold'>;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private timer: Timer | null = null;

  constructor(port: Pick<MoneyScripts, 'voidHold'>, clock: Clock, logger: Logger) {
    this.port = port;
    this.clock = clock;
    this.logger = logger;
  }

  start(): void {
    this.timer = this.clock.setInterval(() => this.retry(), RETRY_EVERY_MS).unref();
  }

  /** Does not wait: nobody's answer depends on it. */
  give(input: VoidInput): void {
    if (this.pending.size >= MAX_PENDING) return;
    this.pending.set(input.requestId, { input, sinceMs: this.clock.monotonicMs() });
    this.send(input);
  }

  /** Tries what is left once more. */
  async close(): Promise<void> {
    this.timer?.cancel();
    this.retry();
    await Promise.all(this.inFlight);
    if (this.pending.size > 0) this.logger.warn({ holds: this.pending.size }, 'holds are left to the reaper');
  }

  get size(): number {
    return this.pending.size;
  }

  private retry(): void {
    if (this.inFlight.size > 0) return;
    const nowMs = this.clock.monotonicMs();
    for (const [id, { input, sinceMs }] of this.pending) {
      if (nowMs - sinceMs > GIVE_UP_AFTER_MS) this.pending.delete(id);
      else this.send(input);
    }
  }

  private send(input: VoidInput): void {
    const sending = this.port
      .voidHold(input)
      .then(() => void this.pending.delete(input.requestId))
      .catch((error: unknown) => this.logger.debug({ err: error }, 'a void did not reach Redis; tried again'))
      .finally(() => void this.inFlight.delete(sending));
    this.inFlight.add(sending);
  }
}
