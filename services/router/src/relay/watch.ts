/** One timer for all running requests: their clocks are looked at some times a second, instead of a timer each. */
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import { Roster, type Seat } from '../roster.ts';

export interface Watched {
  check(nowMs: number): void;
}

export class Watch {
  private readonly watched = new Roster<Watched>();
  private readonly clock: Clock;
  private timer: Timer | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  start(everyMs: number): void {
    this.timer = this.clock.setInterval(() => this.checkAll(), everyMs).unref();
  }

  stop(): void {
    this.timer?.cancel();
  }

  add(entry: Watched): Seat<Watched> {
    return this.watched.add(entry);
  }

  get size(): number {
    return this.watched.size;
  }

  checkAll(): void {
    const nowMs = this.clock.monotonicMs();
    for (const entry of this.watched) entry.check(nowMs);
  }
}
