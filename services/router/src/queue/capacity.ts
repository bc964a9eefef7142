/**
 * How many requests a worker takes at once before they wait inside it, learned from what it reports: a value and a step
 * function. A request that waits in the engine is bound to it for good; one that waits here may still go elsewhere.
 */
export interface Capacity {
  /** Requests at once; Infinity until the worker was seen to make some wait. */
  limit: number;
  /** Requests that others send there: they fill it as ours do. */
  foreign: number;
  /** `foreign` of the poll before: one odd poll does not count. */
  foreignBefore: number;
  /** What the poll before would have made the limit; null: it saw nothing wait. One crowded poll is a burst. */
  crowded: number | null;
}

export const UNKNOWN_CAPACITY: Capacity = {
  limit: Number.POSITIVE_INFINITY,
  foreign: 0,
  foreignBefore: 0,
  crowded: null,
};

/** What the engine reported; null where it did not. */
export interface Poll {
  running: number | null;
  waiting: number | null;
}

/** So many may wait for the engine's next step: they have only just come. */
const TOLERATED_WAITING = 2;
const TOLERATED_SHARE = 0.1;
const GROWTH = 0.1;
/** The limit is tried higher only when it is what holds requests back. */
const NEARLY_FULL = 0.9;

/** `booked`: requests that are booked there by routers, at the time of the poll. */
export function learnCapacity(before: Capacity, { running, waiting }: Poll, booked: number): Capacity {
  if (running === null || waiting === null) return UNKNOWN_CAPACITY;
  const foreign = Math.max(0, running + waiting - booked);
  const tolerated = Math.max(TOLERATED_WAITING, Math.ceil(running * TOLERATED_SHARE));
  let { limit } = before;
  const crowded = waiting > tolerated ? Math.max(1, running + tolerated) : null;
  if (crowded !== null && before.crowded !== null) limit = Math.min(limit, Math.max(crowded, before.crowded));
  else if (waiting === 0 && booked + foreign >= limit * NEARLY_FULL) limit += Math.max(1, Math.ceil(limit * GROWTH));
  return { limit, foreign, foreignBefore: before.foreign, crowded };
}

/** Whether one more would wait there, or go beyond `share` of what it takes. An idle worker always takes one. */
export function isFull({ limit, foreign, foreignBefore }: Capacity, booked: number, share = 1): boolean {
  return booked > 0 && booked + Math.min(foreign, foreignBefore) >= limit * share;
}
