import { type FleetView, fleetViewFromText, fleetViewToText } from '../contracts/console/published.ts';
import type { Engine } from '../domain/worker.ts';
import { channels, globalKeys } from './keys.ts';
import type { CallGuard } from './money-context.ts';

/** A worker that has announced itself. Valid while the reader has seen `atMs` change within `ttlMs`. */
export interface WorkerRegistration {
  url: string;
  engine: Engine;
  /** Only these of its models shall be used; absent: all. */
  models?: string[];
  /** It finishes what it has and gets nothing new; its entry will be taken away. */
  leaving?: boolean;
  atMs: number;
  ttlMs: number;
}

interface FleetClient {
  hset(key: string, field: string, value: string): Promise<number>;
  hdel(key: string, field: string): Promise<number>;
  hgetall(key: string): Promise<Record<string, string>>;
  smembers(key: string): Promise<string[]>;
  publish(channel: string, payload: string): Promise<number>;
}

/** The router's side of the fleet: its own view for the console, the operators' drains, workers that registered. */
export class FleetStore {
  readonly #client: FleetClient;
  readonly #guard: CallGuard;

  constructor(client: FleetClient, guard: CallGuard = (call) => call()) {
    this.#client = client;
    this.#guard = guard;
  }

  /** Replaces this router's view in `tg:fleet`. */
  async publishView(routerId: string, view: FleetView): Promise<void> {
    await this.#guard(() => this.#client.hset(globalKeys.fleet, routerId, fleetViewToText(view)));
  }

  /** On a clean stop: a router that is gone shows no view. */
  async removeView(routerId: string): Promise<void> {
    await this.#guard(() => this.#client.hdel(globalKeys.fleet, routerId));
  }

  /** What each router says of the fleet; unreadable views are left out. */
  async views(): Promise<FleetView[]> {
    const rows = await this.#guard(() => this.#client.hgetall(globalKeys.fleet));
    return Object.values(rows).flatMap((text) => fleetViewFromText(text) ?? []);
  }

  /** URLs that operators are draining. */
  async draining(): Promise<Set<string>> {
    return new Set(await this.#guard(() => this.#client.smembers(globalKeys.draining)));
  }

  /** Announces a worker, or renews its announcement, and tells routers. */
  async register(registration: WorkerRegistration): Promise<void> {
    await this.#guard(() => this.#client.hset(globalKeys.workers, registration.url, JSON.stringify(registration)));
    await this.#guard(() => this.#client.publish(channels.fleetChanged, 'workers'));
  }

  async unregister(url: string): Promise<void> {
    await this.#guard(() => this.#client.hdel(globalKeys.workers, url));
    await this.#guard(() => this.#client.publish(channels.fleetChanged, 'workers'));
  }

  /** All announcements that can be read. */
  async registrations(): Promise<WorkerRegistration[]> {
    const rows = await this.#guard(() => this.#client.hgetall(globalKeys.workers));
    return Object.values(rows).flatMap((text) => {
      const registration = parseRegistration(text);
      return registration ? [registration] : [];
    });
  }
}

function parseRegistration(text: string): WorkerRegistration | null {
  let value: Partial<WorkerRegistration> | null;
  try {
    value = JSON.parse(text) as Partial<WorkerRegistration> | null;
  } catch {
    return null;
  }
  if (!value || typeof value.url !== 'string' || !isBaseUrl(value.url)) return null;
  if (value.engine !== 'vllm' && value.engine !== 'sglang') return null;
  if (typeof value.atMs !== 'number' || typeof value.ttlMs !== 'number') return null;
  const { models } = value;
  const isList = Array.isArray(models) && models.every((model) => typeof model === 'string');
  return {
    url: value.url,
    engine: value.engine,
    atMs: value.atMs,
    ttlMs: value.ttlMs,
    ...(isList && { models }),
    ...(value.leaving === true && { leaving: true }),
  };
}

/** Scheme and host alone, without a slash at the end: what a worker's URL is everywhere. */
function isBaseUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text;
}
