import { Redis } from 'ioredis';
import type { Clock, Timer } from '../runtime/clock.ts';
import { redisAddress } from '../runtime/redis-address.ts';
import { withDeadline } from './client.ts';

export interface SubscriberOptions {
  url: string;
  name: string;
  clock: Clock;
  /** One handler per channel; called with the payload. */
  handlers: Readonly<Record<string, (payload: string) => void>>;
  /** True when all channels are subscribed, false when messages may be lost from now on. */
  onState?: (up: boolean) => void;
  onError?: (error: Error) => void;
  /** A connection that does not answer a PING for this long counts as down. */
  pingMs?: number;
}

/**
 * Hints by pub/sub over a connection of its own. Messages are lost while it is down, so whoever relies on them looks at
 * `up` and has a slower path. A silent connection is found out by a PING, not by TCP.
 */
export class Subscriber {
  readonly #options: Required<Omit<SubscriberOptions, 'url' | 'name'>>;
  readonly #client: Redis;
  readonly #timer: Timer;
  #up = false;

  constructor({ onState = () => {}, onError = () => {}, pingMs = 400, url, name, ...rest }: SubscriberOptions) {
    this.#options = { onState, onError, pingMs, ...rest };
    // In a cluster every node passes on what any of them is told.
    this.#client = new Redis(redisAddress(url).url, {
      connectionName: name,
      // We subscribe ourselves, to know when it has worked.
      autoResubscribe: false,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      connectTimeout: 2_000,
      disableClientInfo: true,
      retryStrategy: (times) => Math.min(25 * 2 ** Math.min(times, 6), 1_000),
    });
    this.#client.on('error', onError);
    this.#client.on('ready', () => void this.#subscribe());
    this.#client.on('close', () => this.#setUp(false));
    this.#client.on('message', (channel: string, payload: string) => this.#options.handlers[channel]?.(payload));
    this.#timer = rest.clock.setInterval(() => void this.#check(), pingMs).unref();
  }

  /** Whether messages arrive at present. */
  get up(): boolean {
    return this.#up;
  }

  close(): void {
    this.#timer.cancel();
    this.#client.disconnect();
  }

  async #subscribe(): Promise<void> {
    try {
      await this.#client.subscribe(...Object.keys(this.#options.handlers));
      this.#setUp(true);
    } catch (error) {
      this.#options.onError(error as Error);
      this.#client.disconnect(true);
    }
  }

  async #check(): Promise<void> {
    if (!this.#up) return;
    try {
      await withDeadline(this.#client.ping(), this.#options.pingMs, this.#options.clock);
    } catch {
      this.#setUp(false);
      this.#client.disconnect(true);
    }
  }

  #setUp(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    this.#options.onState(up);
  }
}
