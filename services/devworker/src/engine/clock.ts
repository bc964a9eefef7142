/**
 * The engine's clock: milliseconds of engine time and one way to be called later. In real time it runs on timers,
 * `speed` times faster than the GPU it stands for; in virtual time an event loop jumps from event to event.
 */

export interface EngineClock {
  /** Engine time, ms. */
  nowMs(): number;
  /** Calls `fn` once when engine time has reached `atMs`; returns a cancel function. */
  schedule(atMs: number, fn: () => void): () => void;
}

/** Real time, `speed` engine milliseconds per millisecond. Timers keep the process alive. */
export function realTimeClock(speed: number, monotonicMs: () => number = () => performance.now()): EngineClock {
  const originMs = monotonicMs();
  const nowMs = () => (monotonicMs() - originMs) * speed;
  return {
    nowMs,
    schedule(atMs, fn) {
      const delayMs = Math.max(0, (atMs - nowMs()) / speed);
      // A timer of less than a millisecond is rounded up to one; the event loop's own turn is finer.
      if (delayMs < 0.5) {
        const handle = setImmediate(fn);
        return () => clearImmediate(handle);
      }
      const handle = setTimeout(fn, delayMs);
      return () => clearTimeout(handle);
    },
  };
}

export interface VirtualClock extends EngineClock {
  /** Runs events in order of time (then of scheduling) until none is left or `untilMs` is reached. */
  run(untilMs?: number): void;
  /** Events not yet run. */
  readonly pending: number;
}

interface Entry {
  atMs: number;
  order: number;
  fn: (() => void) | undefined;
}

/** Virtual time on a binary heap. No timers: `run` goes as fast as the processor. */
export function virtualClock(): VirtualClock {
  const heap: Entry[] = [];
  let now = 0;
  let order = 0;
  let live = 0;

  const before = (a: Entry, b: Entry) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

  function push(entry: Entry): void {
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  function pop(): Entry | undefined {
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }

  return {
    nowMs: () => now,
    get pending() {
      return live;
    },
    schedule(atMs, fn) {
      const entry: Entry = { atMs: Math.max(atMs, now), order: order++, fn };
      push(entry);
      live++;
      return () => {
        if (!entry.fn) return;
        entry.fn = undefined;
        live--;
      };
    },
    run(untilMs = Number.POSITIVE_INFINITY) {
      while (heap.length > 0 && heap[0]!.atMs <= untilMs) {
        const entry = pop()!;
        if (!entry.fn) continue;
        now = entry.atMs;
        const { fn } = entry;
        entry.fn = undefined;
        live--;
        fn();
      }
      if (Number.isFinite(untilMs)) now = Math.max(now, untilMs);
    },
  };
}
