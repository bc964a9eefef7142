/**
 * Waiting in tests of real processes: poll until true, fail at a deadline with what was last seen. The deadline is long:
 * it ends a hopeless wait on a busy machine, it measures nothing.
 */

export interface EventuallyOptions {
  deadlineMs?: number;
  everyMs?: number;
}

/**
 * Polls `probe` until it returns a value other than undefined, null or false, and returns that value.
 * A probe that throws counts as "not yet"; its last error is the cause of the failure.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { deadlineMs = 60_000, everyMs = 25 }: EventuallyOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const endMs = performance.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<T, undefined | null | false>;
      }
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
