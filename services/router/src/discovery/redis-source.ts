/** Workers that announce themselves in Redis (`tollgate worker-sidecar`, `devworker --register`). */
import type { FleetStore } from '@tollgate/shared/redis/fleet-store';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import { Registrations } from './registrations.ts';
import type { FoundWorker, WorkerSource } from './source.ts';

export class RedisSource implements WorkerSource {
  readonly name = 'redis';
  private readonly store: Pick<FleetStore, 'registrations' | 'unregister'>;
  private readonly clock: Clock;
  private readonly everyMs: number;
  private readonly registrations = new Registrations();
  private timer: Timer | null = null;
  private changed: () => void = () => {};
  private last = '[]';

  constructor(store: Pick<FleetStore, 'registrations' | 'unregister'>, clock: Clock, everyMs: number) {
    this.store = store;
    this.clock = clock;
    this.everyMs = everyMs;
  }

  get workers(): readonly FoundWorker[] {
    return this.registrations.workers(this.clock.monotonicMs());
  }

  async start(changed: () => void): Promise<void> {
    this.changed = changed;
    await this.read();
    this.timer = this.clock.setInterval(() => void this.read(), this.everyMs).unref();
  }

  stop(): void {
    this.timer?.cancel();
  }

  /** Reads now: somebody published that there is news. While Redis is away, those that were alive are kept. */
  async read(): Promise<void> {
    let litter: string[] = [];
    try {
      litter = this.registrations.read(await this.store.registrations(), this.clock.monotonicMs());
    } catch {
      return;
    }
    for (const url of litter) void this.store.unregister(url).catch(() => {});
    const now = JSON.stringify(this.workers);
    if (now === this.last) return;
    this.last = now;
    this.changed();
  }
}
