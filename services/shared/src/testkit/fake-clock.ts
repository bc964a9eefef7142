/** A clock whose hands the test turns. Timers fire in order of their due time, then of creation. */
import { type Clock, sleepOn, type Timer } from '../runtime/clock.ts';

interface Pending {
  dueMs: number;
  order: number;
  periodMs: number | undefined;
  fn: () => void;
}

export interface FakeClock extends Clock {
  /** Moves time on by `ms`, firing what falls due, letting promises settle after each timer. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, as a time server would. Timers and monotonic time do not notice. */
  stepWall(ms: number): void;
  /** How many timers are pending. */
  readonly pendingTimers: number;
}

/** `startMs` is the wall clock at the beginning; monotonic time starts at 0. */
export function fakeClock(startMs: number = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsedMs = 0;
  let wallOffsetMs = startMs;
  let order = 0;
  const pending = new Set<Pending>();

  function add(fn: () => void, delayMs: number, periodMs: number | undefined): Timer {
    const entry: Pending = { dueMs: elapsedMs + Math.max(0, delayMs), order: order++, periodMs, fn };
    pending.add(entry);
    const timer: Timer = { cancel: () => void pending.delete(entry), unref: () => timer };
    return timer;
  }

  function nextDue(limitMs: number): Pending | undefined {
    let best: Pending | undefined;
    for (const entry of pending) {
      if (entry.dueMs > limitMs) continue;
      if (!best || entry.dueMs < best.dueMs || (entry.dueMs === best.dueMs && entry.order < best.order)) best = entry;
    }
    return best;
  }

  const clock: FakeClock = {
    nowMs: () => wallOffsetMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    setTimeout: (fn, delayMs) => add(fn, delayMs, undefined),
    // A period of 0 would never let `advance` end.
    setInterval: (fn, periodMs) => add(fn, periodMs, Math.max(1, periodMs)),
    sleep: (delayMs, signal) => sleepOn(clock, delayMs, signal),
    async advance(ms) {
      const endMs = elapsedMs + ms;
      await settlePromises();
      for (let entry = nextDue(endMs); entry; entry = nextDue(endMs)) {
        elapsedMs = Math.max(elapsedMs, entry.dueMs);
        if (entry.periodMs === undefined) pending.delete(entry);
        else {
          entry.dueMs += entry.periodMs;
          entry.order = order++;
        }
        entry.fn();
        await settlePromises();
      }
      elapsedMs = endMs;
    },
    stepWall(ms) {
      wallOffsetMs += ms;
    },
    get pendingTimers() {
      return pending.size;
    },
  };
  return clock;
}

/** One turn of the event loop: every promise that can settle without I/O has settled afterwards. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
