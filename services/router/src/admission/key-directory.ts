/**
 * Key records in this process. A copy is trusted for 30 s while pushes arrive and for 1 s while they may be lost; what
 * a push names is dropped at once. Unknown keys are remembered too, more shortly: a guesser costs no Redis read per try.
 */

import { AppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { KeyLookup } from '@tollgate/shared/redis/key-store';
import type { Clock } from '@tollgate/shared/runtime/clock';

export interface KeyDirectoryOptions {
  maxEntries: number;
  /** Ceiling of a copy's age. */
  trustMs: number;
  /** Ceiling while the subscription is down. */
  trustWithoutPushMs: number;
  /** Ceiling for "no such key". */
  trustUnknownMs: number;
}

export const KEY_DIRECTORY_DEFAULTS: KeyDirectoryOptions = {
  maxEntries: 50_000,
  trustMs: 30_000,
  trustWithoutPushMs: 1_000,
  trustUnknownMs: 5_000,
};

interface Copy {
  /** null = no such key. */
  record: KeyRecord | null;
  readAtMs: number;
}

export class KeyDirectory {
  /** In order of last use: a Map keeps the order of insertion. */
  private readonly copies = new Map<string, Copy>();
  private readonly reading = new Map<string, Promise<KeyRecord | null>>();
  private readonly options: KeyDirectoryOptions;
  private readonly read: (digest: string) => Promise<KeyLookup>;
  private readonly pushesArrive: () => boolean;
  private readonly clock: Clock;

  constructor(
    options: KeyDirectoryOptions,
    read: (digest: string) => Promise<KeyLookup>,
    pushesArrive: () => boolean,
    clock: Clock,
  ) {
    this.options = options;
    this.read = read;
    this.pushesArrive = pushesArrive;
    this.clock = clock;
  }

  /** The record when a trusted copy is here; undefined = ask `find`. */
  peek(digest: string): KeyRecord | null | undefined {
    const copy = this.copies.get(digest);
    if (copy === undefined) return undefined;
    const ageMs = this.clock.monotonicMs() - copy.readAtMs;
    if (ageMs > this.trustMs(copy)) return undefined;
    return copy.record;
  }

  /** The record, or null for a key that does not exist. Throws `store_unavailable` when nobody can say. */
  find(digest: string): Promise<KeyRecord | null> {
    const running = this.reading.get(digest);
    if (running) return running;
    const reading = this.load(digest).finally(() => {
      if (this.reading.get(digest) === reading) this.reading.delete(digest);
    });
    this.reading.set(digest, reading);
    return reading;
  }

  /** A push: the record changed. A read under way may have seen the old one and is not kept. */
  invalidate(digest: string): void {
    this.copies.delete(digest);
    this.reading.delete(digest);
  }

  /** Everything is forgotten: pushes may have been lost. */
  clear(): void {
    this.copies.clear();
    this.reading.clear();
  }

  private async load(digest: string): Promise<KeyRecord | null> {
    const startedMs = this.clock.monotonicMs();
    let lookup: KeyLookup;
    try {
      lookup = await this.read(digest);
    } catch (error) {
      const copy = this.copies.get(digest);
      // Redis is away: a known key goes on for as long as a copy may live at all; nobody is told 401 for our outage.
      if (copy?.record && startedMs - copy.readAtMs <= this.options.trustMs) return copy.record;
      throw new AppError('store_unavailable', { cause: error, retryAfterMs: 1_000 });
    }
    if (lookup.kind === 'not_ready') {
      throw new AppError('store_unavailable', { internal: 'keys are not published', retryAfterMs: 1_000 });
    }
    const record = lookup.kind === 'found' ? lookup.record : null;
    if (this.reading.has(digest)) this.keep(digest, { record, readAtMs: startedMs });
    return record;
  }

  private keep(digest: string, copy: Copy): void {
    this.copies.delete(digest);
    this.copies.set(digest, copy);
    if (this.copies.size <= this.options.maxEntries) return;
    const oldest = this.copies.keys().next().value;
    if (oldest !== undefined) this.copies.delete(oldest);
  }

  private trustMs(copy: Copy): number {
    const ceiling = copy.record === null ? this.options.trustUnknownMs : this.options.trustMs;
    return this.pushesArrive() ? ceiling : Math.min(ceiling, this.options.trustWithoutPushMs);
  }
}
