/**
 * When a worker is full, and for whom. A request that waits inside an engine is bound to it for good, takes room from
 * those that run (they are computed again when it runs out) and can be passed by nobody; so it waits in the router.
 *
 * Room is kept for accounts that use less than their share: while such come, one that uses more may fill a worker only so
 * far. Nobody leaves anything unused for accounts that are not there.
 */
export interface Room {
  /** Uncomputed prompts there, ms, beyond which it gets no more. */
  prefillMs: number;
  /** Share of its KV cache that running requests may pin. */
  kvShare: number;
  /** Share of the requests that it takes at once. */
  requestShare: number;
}

/** As tuned with the study (docs/adr/0017): with 2 s of prompts, conversations were sent away from their caches. */
export const ROOM: Readonly<Room> = { prefillMs: 8_000, kvShare: 0.9, requestShare: 1 };

/** Of one that uses more than its share, while others use less: its prompts and its number delay theirs. */
export const OVER_SHARE_ROOM: Readonly<Room> = { prefillMs: 50, kvShare: 0.6, requestShare: 0.9 };

/** The worker says that it is not half as full as thought: then it is the thought that is wrong. */
const DOUBT_SHARE = 0.5;

export interface Held {
  readonly running: number;
  readonly pendingPrefillMs: number;
  /** What running requests pin of its cache, as the router counts it. */
  readonly pinnedTokens: number;
  readonly kvTokens: number;
  /** Share of its cache in use, as it told last; null: never. */
  readonly polledKvUsage: number | null;
}

/** Whether prompts or cache leave no room for one more. An idle worker always takes one. */
export function isLaden(worker: Held, { prefillMs, kvShare }: Room): boolean {
  const { running, pendingPrefillMs, pinnedTokens, kvTokens, polledKvUsage } = worker;
  if (running === 0) return false;
  if (pendingPrefillMs >= prefillMs) return true;
  if (polledKvUsage === null || polledKvUsage < kvShare * DOUBT_SHARE) return false;
  return pinnedTokens >= kvShare * kvTokens;
}

/** Accounts that came lately and have used less than their share: the last one, and the last one before it. */
export class Entitled {
  private last: { account: string; atMs: number } | null = null;
  private before: { account: string; atMs: number } | null = null;

  note(account: string, nowMs: number): void {
    if (this.last !== null && this.last.account !== account) this.before = this.last;
    this.last = { account, atMs: nowMs };
  }

  /** Whether another account than this one is among them. */
  hasOthersThan(account: string, nowMs: number): boolean {
    const other = this.last?.account === account ? this.before : this.last;
    return other !== null && nowMs - other.atMs < LATELY_MS;
  }
}

const LATELY_MS = 10_000;
