/** A background loop: one round after another, never two at a time, never ended by an error. */
import type { Clock } from '@tollgate/shared/runtime/clock';

export interface LoopOptions {
  clock: Clock;
  everyMs: number;
  round: () => Promise<void>;
  onError: (error: unknown) => void;
}

export interface Loop {
  /** Starts the next round now, or right after the present one. */
  wake(): void;
  /** No further round; resolves when the present one has ended. */
  stop(): Promise<void>;
}

export function startLoop({ clock, everyMs, round, onError }: LoopOptions): Loop {
  let stopped = false;
  let woken = false;
  let wakeUp: () => void = () => {};

  async function run(): Promise<void> {
    while (!stopped) {
      woken = false;
      try {
        await round();
      } catch (error) {
        onError(error);
      }
      if (stopped || woken) continue;
      await new Promise<void>((resolve) => {
        const timer = clock.setTimeout(resolve, everyMs);
        wakeUp = () => {
          timer.cancel();
          resolve();
        };
      });
    }
  }

  const done = run();
  return {
    wake() {
      woken = true;
      wakeUp();
    },
    async stop() {
      stopped = true;
      wakeUp();
      await done;
    },
  };
}

/** `work` over all items, at most `width` at a time; errors of single items go to `onError`. */
export async function eachLimited<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
  onError: (error: unknown, item: T) => void,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const item = items[next++]!;
      try {
        await work(item);
      } catch (error) {
        onError(error, item);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
