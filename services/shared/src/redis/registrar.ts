/** Keeps one worker's announcement in Redis fresh while the worker is well; used by the devworker and the sidecar. */
import type { Clock, Timer } from '../runtime/clock.ts';
import type { FleetStore, WorkerRegistration } from './fleet-store.ts';

export interface RegistrarOptions {
  registration: Omit<WorkerRegistration, 'atMs' | 'ttlMs' | 'leaving'>;
  /** Routers forget the worker so long after its last announcement; it is renewed three times in that time. */
  ttlMs: number;
  /** Called when an announcement could not be written, and when one could be again. */
  onState?: (written: boolean) => void;
}

export class Registrar {
  readonly #store: Pick<FleetStore, 'register' | 'unregister'>;
  readonly #clock: Clock;
  readonly #options: RegistrarOptions;
  #timer: Timer | null = null;
  #leaving = false;
  #written: boolean | null = null;
  #lastAtMs = 0;

  constructor(store: Pick<FleetStore, 'register' | 'unregister'>, clock: Clock, options: RegistrarOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#options = options;
  }

  /** The worker may have traffic: announces it now and from now on. */
  async announce(): Promise<void> {
    this.#leaving = false;
    this.#timer ??= this.#clock.setInterval(() => void this.#write(), this.#options.ttlMs / 3).unref();
    await this.#write();
  }

  /** The worker finishes what it has: routers send it nothing new, at once. */
  async leave(): Promise<void> {
    this.#leaving = true;
    await this.#write();
  }

  /** Takes the announcement away. */
  async withdraw(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    await this.#store.unregister(this.#options.registration.url).catch(() => {});
  }

  async #write(): Promise<void> {
    const { registration, ttlMs, onState = () => {} } = this.#options;
    // Readers go by its change: a clock that was set back must not make it stand still.
    this.#lastAtMs = Math.max(this.#clock.nowMs(), this.#lastAtMs + 1);
    const leaving = this.#leaving ? { leaving: true } : {};
    let written = true;
    try {
      await this.#store.register({ ...registration, ...leaving, atMs: this.#lastAtMs, ttlMs });
    } catch {
      written = false;
    }
    if (written === this.#written) return;
    this.#written = written;
    onState(written);
  }
}
