/**
 * Time as an argument. Code that waits or stamps takes a `Clock`, so that its tests turn the hands
 * themselves (`testkit/fake-clock`) and no test ever sleeps.
 */

/** A pending timer. `cancel` is idempotent and safe after firing. */
export interface Timer {
  cancel(): void;
  /** Lets the process end although the timer is pending. Returns itself. */
  unref(): Timer;
}

export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump; use it for stamps only. */
  nowMs(): number;
  /** Monotonic milliseconds from an arbitrary origin, with fractions. Use it for durations. */
  monotonicMs(): number;
  /** Calls `fn` once after `delayMs`. */
  setTimeout(fn: () => void, delayMs: number): Timer;
  /** Calls `fn` every `periodMs` until cancelled. */
  setInterval(fn: () => void, periodMs: number): Timer;
  /** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** `sleep` in terms of `setTimeout`, shared by the real and the fake clock. */
export function sleepOn(clock: Pick<Clock, 'setTimeout'>, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout(fn, delayMs) {
    const handle = setTimeout(fn, delayMs);
    const timer: Timer = {
      cancel: () => clearTimeout(handle),
      unref: () => {
        handle.unref();
        return timer;
      },
    };
    return timer;
  },
  setInterval(fn, periodMs) {
    const handle = setInterval(fn, periodMs);
    const timer: Timer = {
      cancel: () => clearInterval(handle),
      unref: () => {
        handle.unref();
        return timer;
      },
    };
    return timer;
  },
  sleep: (delayMs, signal) => sleepOn(systemClock, delayMs, signal),
};
