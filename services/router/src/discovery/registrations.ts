/**
 * Which registrations in Redis are alive. Pure: judged by the reader's own clock, so that clocks need not agree. An entry
 * lives while its stamp keeps changing: a crashed worker's entry lies there for ever, and a flushed Redis has none for a
 * moment although everybody lives.
 */
import type { WorkerRegistration } from '@tollgate/shared/redis/fleet-store';
import type { FoundWorker } from './source.ts';

interface Known {
  registration: WorkerRegistration;
  /** When its stamp was last seen to change. */
  changedMs: number;
}

/** An entry that has not changed for so many lifetimes is litter. */
const LITTER_LIVES = 10;

export class Registrations {
  private readonly known = new Map<string, Known>();

  /** Takes in what Redis holds now; answers the URLs whose entries may be deleted. */
  read(rows: readonly WorkerRegistration[], nowMs: number): string[] {
    const present = new Set<string>();
    for (const registration of rows) {
      present.add(registration.url);
      const before = this.known.get(registration.url);
      if (before === undefined || before.registration.atMs !== registration.atMs) {
        this.known.set(registration.url, { registration, changedMs: nowMs });
      } else before.registration = registration;
    }
    const litter: string[] = [];
    for (const [url, { registration, changedMs }] of this.known) {
      const ageMs = nowMs - changedMs;
      // It said that it leaves, and its entry is gone: it left.
      const hasLeft = registration.leaving === true && !present.has(url);
      if (hasLeft || (!present.has(url) && ageMs > registration.ttlMs)) this.known.delete(url);
      else if (present.has(url) && ageMs > LITTER_LIVES * registration.ttlMs) litter.push(url);
    }
    return litter;
  }

  /** Those that are alive. */
  workers(nowMs: number): FoundWorker[] {
    const alive: FoundWorker[] = [];
    for (const { registration, changedMs } of this.known.values()) {
      if (nowMs - changedMs > registration.ttlMs) continue;
      const { url, engine, models = null, leaving = false } = registration;
      alive.push({ url, engine, models, leaving });
    }
    return alive;
  }
}
