/** Requests under way, so that a stop can wait for them and, at its deadline, end them. */
import type { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
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

/** How long a connection that was just taken may need to say its request. */
const FIRST_WORDS_MS = 250;

/**
 * Closes the port, and leaves open what came through it: http's own `close` would also cut kept connections, on which a
 * balancer may be sending at this moment. Resolves when whoever connected last had the time to ask.
 */
export async function closePort(server: Server, clock: Clock, graceMs: number): Promise<void> {
  // Right after the event loop has looked at the port: what waits there when it closes is refused unheard.
  await new Promise<void>((resolve) => setImmediate(resolve));
  NetServer.prototype.close.call(server);
  await clock.sleep(Math.min(FIRST_WORDS_MS, graceMs));
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
