import type { Clock, Timer } from '../runtime/clock.ts';

/**
 * Deadlines of many calls with one timer, for calls that all get the same time: the one that began first is due first.
 * A timer per call costs more than what it watches.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #lengthMs: number;
  #oldest: Deadline | null = null;
  #newest: Deadline | null = null;
  #timer: Timer | null = null;

  constructor(clock: Clock, lengthMs: number) {
    this.#clock = clock;
    this.#lengthMs = lengthMs;
  }

  /** `passed` is called once when the time is over, unless `met` was called before. */
  begin(passed: () => void): Deadline {
    const deadline = new Deadline(passed, this.#clock.monotonicMs() + this.#lengthMs);
    const before = this.#newest;
    if (before === null) this.#oldest = deadline;
    else {
      before.younger = deadline;
      deadline.older = before;
    }
    this.#newest = deadline;
    this.#timer ??= this.#clock.setTimeout(this.#look, this.#lengthMs).unref();
    return deadline;
  }

  /** The call ended in time. */
  met(deadline: Deadline): void {
    if (deadline.passed === null) return;
    deadline.passed = null;
    const { older, younger } = deadline;
    if (older === null) this.#oldest = younger;
    else older.younger = younger;
    if (younger === null) this.#newest = older;
    else younger.older = older;
    // One that lives long would else keep all that came after it.
    deadline.older = null;
    deadline.younger = null;
  }

  readonly #look = (): void => {
    this.#timer = null;
    const nowMs = this.#clock.monotonicMs();
    for (let due = this.#oldest; due !== null && due.atMs <= nowMs; due = this.#oldest) {
      const { passed } = due;
      this.met(due);
      passed?.();
    }
    // Timers may come a little early.
    const next = this.#oldest;
    if (next !== null) this.#timer = this.#clock.setTimeout(this.#look, Math.max(1, next.atMs - nowMs)).unref();
  };
}

/** One call's place in the line. */
export class Deadline {
  /** null = it has ended. */
  passed: (() => void) | null;
  readonly atMs: number;
  older: Deadline | null = null;
  younger: Deadline | null = null;

  constructor(passed: () => void, atMs: number) {
    this.passed = passed;
    this.atMs = atMs;
  }
}
