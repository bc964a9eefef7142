/** Requests under way, so that a stop can wait for them and, at its deadline, end them. */
import type { Server } from 'node:http';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Stop } from './relay/deliver.ts';
import { Roster, type Seat } from './roster.ts';

/**
 * From the first word of a stop on every answer closes its connection: clients that keep theirs open come back through
 * the balancer, elsewhere, instead of meeting a port that has just been closed.
 */
export function leaveKindly(server: Server, isDraining: () => boolean): void {
  server.prependListener('request', (_request, response) => {
    if (isDraining()) response.setHeader('connection', 'close');
  });
}

export class Running {
  private count = 0;
  private readonly stops = new Roster<Stop>();
  private readonly clock: Clock;
  /** No new request is taken. */
  closed = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  enter(): void {
    this.count++;
  }

  /** The request can be ended from outside from now on. */
  stoppable(stop: Stop): Seat<Stop> {
    return this.stops.add(stop);
  }

  leave(): void {
    this.count--;
  }

  get size(): number {
    return this.count;
  }

  /** Waits until nothing runs, at most `patienceMs`; then ends what is left and waits `afterMs` for its bills. */
  async finish(patienceMs: number, afterMs: number): Promise<number> {
    await this.waitUntilEmpty(patienceMs);
    const cut = this.count;
    for (const stop of this.stops) stop('drained');
    await this.waitUntilEmpty(afterMs);
    return cut;
  }

  private async waitUntilEmpty(patienceMs: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + patienceMs;
    while (this.count > 0 && this.clock.monotonicMs() < endMs) await this.clock.sleep(20);
  }
}
