/** Kept bodies: taken from routers, sealed as they are, and deleted when their time is over. */
import { KEPT_BODIES_BYTES, keptBodiesSchema } from '@tollgate/shared/contracts/kept-body';
import { BodyStore } from '@tollgate/shared/db/body-store';
import type { Db } from '@tollgate/shared/db/client';
import type { Clock } from '@tollgate/shared/runtime/clock';
import { type Loop, startLoop } from '../loop.ts';

/** Rows of one transaction: a delete of a few hundred is short whatever their size. */
const DELETED_AT_ONCE = 500;

export interface BodyDeskParts {
  db: Db;
  clock: Clock;
  /** Sealed bytes of one account. */
  accountBytes: number;
}

export class BodyDesk {
  /** Of one call's JSON. */
  static readonly callBytes = KEPT_BODIES_BYTES;
  readonly #parts: BodyDeskParts;

  constructor(parts: BodyDeskParts) {
    this.#parts = parts;
  }

  /** How many of the call's bodies are kept; null = the call is none of ours. Throws when Postgres does not answer. */
  async take(call: unknown): Promise<number | null> {
    const { db, clock, accountBytes } = this.#parts;
    const parsed = keptBodiesSchema.safeParse(call);
    if (!parsed.success) return null;
    return BodyStore.add(db, parsed.data.bodies, BigInt(accountBytes), clock.nowMs());
  }

  /** Deletes everything whose time is over; returns how many. */
  async deleteExpired(): Promise<number> {
    const { db, clock } = this.#parts;
    let total = 0;
    for (;;) {
      const deleted = await BodyStore.deleteExpired(db, clock.nowMs(), DELETED_AT_ONCE);
      total += deleted;
      if (deleted < DELETED_AT_ONCE) return total;
    }
  }

  startDeleting(everyMs: number, onError: (error: unknown) => void): Loop {
    const round = async () => void (await this.deleteExpired());
    return startLoop({ clock: this.#parts.clock, everyMs, round, onError });
  }
}
