/** What a stream relay needs of a reader, whichever kind of events the worker sends. */
import type { StreamFault } from './stream-reader.ts';
import type { TokenCounts } from './token-counts.ts';

/** Reads a worker's stream beside the bytes that go to the client. Text is latin1, one character per byte. */
export interface AnswerReader {
  /** Takes bytes from the worker, returns those to pass on now. */
  push(bytes: Buffer): string;
  /** The worker closed the stream. */
  end(): string;
  /** Events seen that belong to the answer. */
  readonly events: number;
  /** The worker said that the answer is whole. */
  readonly done: boolean;
  /** No word of the answer is missing; what tells that may be (`endMark`). */
  readonly isWhole: boolean;
  readonly fault: StreamFault | null;
  /** Bytes that wait for settlement. */
  readonly last: string;
  /** What ends a whole stream of this kind, where the worker did not say it itself. */
  readonly endMark: string;
  /** Tokens as guessed from what was passed on. */
  readonly answerEvents: number;
  readonly finishReasons: readonly (string | null)[];
  readonly counts: TokenCounts;
}
