/**
 * Follows the text of one structured answer and says at its end whether it counts as complete. The relay holds the finishing event
 * back until then, so that what breaks its schema ends with an error event and never with a clean close.
 */
import type { DocumentCheck, Violation } from './validate.ts';
import { WhitespaceGuard } from './whitespace.ts';

export type StructuredOutcome =
  | { kind: 'complete' }
  /** Cut: by the token limit, a stop string, an abort. No promise is made for the text. */
  | { kind: 'cut' }
  | { kind: 'invalid'; violation: Violation };

/** Longer answers are not kept; they end as invalid. */
export const MAX_ANSWER_CHARS = 4_000_000;

export class StructuredAnswer {
  readonly #check: DocumentCheck | null;
  readonly #guard: WhitespaceGuard | undefined;
  #parts: string[] = [];
  #length = 0;

  /** `isJson` switches the white space guard on. */
  constructor(check: DocumentCheck | null, isJson: boolean) {
    this.#check = check;
    this.#guard = isJson ? new WhitespaceGuard() : undefined;
  }

  /** Feeds content as it comes; false: the answer runs away (white space, or far too long), cancel it. */
  push(text: string): boolean {
    this.#length += text.length;
    if (this.#check !== null) this.#parts.push(text);
    return this.#length <= MAX_ANSWER_CHARS && this.#guard?.push(text) !== true;
  }

  /**
   * `finishReason` as the worker says it; `stopReason` is its `stop_reason` or `matched_stop`: a string means that a stop string
   * cut the text (facts: only `stop` without one promises a whole document).
   */
  finish(finishReason: string | null, stopReason: unknown): StructuredOutcome {
    if (finishReason !== 'stop' || typeof stopReason === 'string') return { kind: 'cut' };
    if (this.#check === null) return { kind: 'complete' };
    const violation = this.#check(this.#parts.join(''));
    this.#parts = [];
    return violation === undefined ? { kind: 'complete' } : { kind: 'invalid', violation };
  }
}
