/**
 * How fast a worker writes, held against what the router expects of it and against the others of its pool. Pure.
 *
 * Two sums over its lately seen tokens, seen and expected time, that fade with `TAU_MS`: many streams are heard soon, one
 * odd stream counts for what it is among them, and a worker that gets no more requests because it was slow is, half a
 * minute later, one of whom little is known, and is tried again. Streams tell while they run, not only at their end: a
 * slow worker's longest answers would end last.
 */
import { type EngineEstimate, stepMs } from '../routing/estimates.ts';
import { median } from '../routing/outliers.ts';

const TAU_MS = 10_000;
/** Expected time that must have been heard of before a worker's pace means anything to others. */
const LEAST_EXPECTED_MS = 100;
/** As much expected time at the pool's own pace is taken for granted: what little is known decides little. */
const PRIOR_MS = 100;
const MOST_TEMPO = 10;

export class Pace {
  private seenMs = 0;
  private expectedMs = 0;
  private atMs = 0;

  /** So long something took that was expected to take so long. */
  note(seenMs: number, expectedMs: number, nowMs: number): void {
    this.fade(nowMs);
    this.seenMs += seenMs;
    this.expectedMs += expectedMs;
  }

  /** Time seen per time expected, and how much of the latter that rests on. */
  read(nowMs: number): { ratio: number; expectedMs: number } {
    this.fade(nowMs);
    return { ratio: this.expectedMs > 0 ? this.seenMs / this.expectedMs : 1, expectedMs: this.expectedMs };
  }

  /** Another process answers at its address. */
  reset(): void {
    this.seenMs = 0;
    this.expectedMs = 0;
  }

  private fade(nowMs: number): void {
    const weight = Math.exp(-Math.max(0, nowMs - this.atMs) / TAU_MS);
    this.seenMs *= weight;
    this.expectedMs *= weight;
    this.atMs = nowMs;
  }
}

/** How much slower than the others of its pool each worker writes, in the order of the pool: 1 = not slower. */
export function tempos(pool: readonly { readonly pace: Pace }[], nowMs: number): number[] {
  const read = pool.map(({ pace }) => pace.read(nowMs));
  const known = read.filter(({ expectedMs }) => expectedMs >= LEAST_EXPECTED_MS).map(({ ratio }) => ratio);
  // Of one alone nobody can say whether it is slow or the estimate is wrong.
  if (known.length < 2) return pool.map(() => 1);
  const usual = median(known);
  return read.map(({ ratio, expectedMs }) => {
    const slower = (expectedMs * (ratio / usual) + PRIOR_MS) / (expectedMs + PRIOR_MS);
    return Math.min(MOST_TEMPO, Math.max(1, slower));
  });
}

/** What the pace of one request is measured on. */
export interface PacedLoad {
  readonly estimate: EngineEstimate;
  readonly decoding: number;
  readonly heldTokens: number;
  readonly pendingPrefillMs: number;
  /** Prefill done there so far, ms: what comes on top of the decode steps, and is no slowness. */
  readonly prefilledMs: number;
}

/** Fewer tokens tell of chance, more often would cost more than it tells. */
const LEAST_TOKENS = 8;
const NOTE_EVERY_MS = 500;

/** The pace of one request at one worker; times are monotonic, tokens those of one choice. */
export class RequestPace {
  private readonly pace: Pace;
  private readonly worker: PacedLoad;
  private readonly sentMs: number;
  private readonly expectedFirstMs: number;
  private markMs: number | null = null;
  private markTokens = 0;
  private markPrefilledMs = 0;

  /** It has just been booked there. */
  constructor(pace: Pace, worker: PacedLoad, nowMs: number) {
    this.pace = pace;
    this.worker = worker;
    this.sentMs = nowMs;
    this.expectedFirstMs = worker.pendingPrefillMs + this.stepMs(1);
  }

  firstToken(tokens: number, nowMs: number): void {
    if (this.markMs === null) this.mark(tokens, nowMs);
  }

  /** What passed until now was not the worker's doing. */
  heldUp(tokens: number, nowMs: number): void {
    if (this.markMs !== null) this.mark(tokens, nowMs);
  }

  /** So many tokens have come by now. */
  progress(tokens: number, nowMs: number): void {
    if (this.markMs === null || nowMs - this.markMs < NOTE_EVERY_MS) return;
    this.noteSince(this.markMs, tokens, nowMs);
  }

  /** A whole answer of so many tokens. One that came at once tells only how long all of it took. */
  whole(tokens: number, nowMs: number): void {
    if (this.markMs !== null) this.noteSince(this.markMs, tokens, nowMs);
    else if (tokens >= LEAST_TOKENS) {
      this.pace.note(nowMs - this.sentMs, this.expectedFirstMs + tokens * this.stepMs(0), nowMs);
    }
  }

  private noteSince(sinceMs: number, tokens: number, nowMs: number): void {
    const more = tokens - this.markTokens;
    if (more < LEAST_TOKENS) return;
    const prefilledMs = this.worker.prefilledMs - this.markPrefilledMs;
    this.pace.note(nowMs - sinceMs, more * this.stepMs(0) + prefilledMs, nowMs);
    this.mark(tokens, nowMs);
  }

  private mark(tokens: number, nowMs: number): void {
    this.markMs = nowMs;
    this.markTokens = tokens;
    this.markPrefilledMs = this.worker.prefilledMs;
  }

  private stepMs(more: number): number {
    const { estimate, decoding, heldTokens } = this.worker;
    return stepMs(estimate, Math.max(1, decoding + more), heldTokens);
  }
}
