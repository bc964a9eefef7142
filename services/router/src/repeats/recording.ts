/**
 * Keeps an answer under its Idempotency-Key while it goes to the client. Nothing waits for it: parts are collected and
 * sent one at a time, and a Redis that is away delays what is kept, never what is delivered.
 *
 * Crash between any two steps: what was appended is there, the entry's last sign of life grows old, and whoever repeats
 * the request takes it over (repeats.ts).
 */
import type { RepeatStore, RepeatTicket } from '@tollgate/shared/redis/repeat-store';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { AnswerTap } from '../relay/client-side.ts';
import { type AnswerPart, encodePart, placeOf } from './parts.ts';
import type { Seal } from './seal.ts';

export interface RecordingOptions {
  /** Bytes wait at most so long for company. */
  flushMs: number;
  flushBytes: number;
  /** Sign of life while nothing comes. */
  beatMs: number;
  /** An end that Redis did not take is sent again for so long. */
  giveUpAfterMs: number;
}

export const RECORDING_DEFAULTS: RecordingOptions = {
  flushMs: 50,
  flushBytes: 16_384,
  beatMs: 1_000,
  giveUpAfterMs: 60_000,
};

export interface RecordingParts {
  store: Pick<RepeatStore, 'append' | 'drop'>;
  seal: Seal;
  clock: Clock;
  options: RecordingOptions;
  /** How far the request is, as text (`progress.ts`). */
  progress: () => string;
}

export class Recording implements AnswerTap {
  /** Whoever repeats the request wants its end. */
  readonly holds = true;
  readonly #ticket: RepeatTicket;
  readonly #parts: RecordingParts;
  readonly #beat: Timer;
  #flushTimer: Timer | null = null;
  #head: AnswerPart | null = null;
  #bytes = '';
  /** Parts that wait to be sent, in order; the first may be under way. */
  #queue: { text: string; progress: string }[] = [];
  /** Index of the first of the queue. */
  #index: number;
  #sending = false;
  /** As of the last part that was sent. */
  #progress: string;
  /** Redis says that there is nothing to add to any more. */
  #over = false;
  #end: 'keep' | 'drop' | null = null;
  #endedMs = 0;
  #resolve: () => void = () => {};
  readonly #ended: Promise<void>;

  /** `index`: how many parts are there already; `progress`: how far they go. */
  constructor(ticket: RepeatTicket, index: number, progress: string, parts: RecordingParts) {
    this.#ticket = ticket;
    this.#index = index;
    this.#progress = progress;
    this.#parts = parts;
    this.#beat = parts.clock.setInterval(() => void this.#send(), parts.options.beatMs).unref();
    this.#ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  head(status: number, headers: Record<string, string>): void {
    this.#head = { kind: 'head', status, headers };
    this.#soon();
  }

  bytes(text: string): void {
    if (text === '') return;
    this.#bytes += text;
    if (this.#bytes.length >= this.#parts.options.flushBytes) this.#flush();
    else this.#soon();
  }

  /** Kept as one part: half a plain answer is worth nothing. */
  whole(status: number, headers: Record<string, string>, text: string): void {
    this.#push({ kind: 'whole', status, headers, text });
    this.#soon();
  }

  /**
   * The request has ended. `keep` = it was billed, so a repeat gets these bytes; `drop` = it was not, so a repeat runs;
   * `leave` = it was taken over and could not be finished, so the next repeat takes it over again.
   * Resolves when Redis knows, or has been tried for long enough; nobody needs to wait.
   */
  finish(end: 'keep' | 'drop' | 'leave'): Promise<void> {
    if (end === 'leave') {
      this.#over = true;
      this.#stop();
      return this.#ended;
    }
    this.#end = end;
    this.#endedMs = this.#parts.clock.monotonicMs();
    this.#flush();
    return this.#ended;
  }

  #soon(): void {
    const { clock, options } = this.#parts;
    this.#flushTimer ??= clock.setTimeout(() => this.#flush(), options.flushMs).unref();
  }

  #flush(): void {
    this.#flushTimer?.cancel();
    this.#flushTimer = null;
    if (this.#head !== null) this.#push(this.#head);
    this.#head = null;
    if (this.#bytes !== '') this.#push({ kind: 'bytes', text: this.#bytes });
    this.#bytes = '';
    void this.#send();
  }

  #push(part: AnswerPart): void {
    // How far it is goes with the bytes: a survivor must not count what it was not left.
    if (!this.#over) this.#queue.push({ text: encodePart(part), progress: this.#parts.progress() });
  }

  /** One call at a time, in order. A call that throws may have run: the same part under the same index is harmless. */
  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      do await this.#sendNext();
      while (!this.#over && (this.#queue.length > 0 || this.#end !== null));
    } catch {
      this.#giveUpIfLate();
    } finally {
      this.#sending = false;
    }
    if (this.#over) this.#stop();
  }

  async #sendNext(): Promise<void> {
    const { store, seal } = this.#parts;
    if (this.#over) return;
    if (this.#end === 'drop') {
      await store.drop(this.#ticket);
      this.#over = true;
      return;
    }
    const next = this.#queue[0];
    if (next !== undefined) this.#progress = next.progress;
    const place = placeOf(this.#ticket.digest, this.#ticket.requestId, this.#index);
    const part = next === undefined ? null : { index: this.#index, text: seal.close(next.text, place) };
    const last = this.#end !== null && this.#queue.length <= 1;
    const answer = await store.append(this.#ticket, part, this.#progress, last);
    if (part !== null) {
      this.#queue.shift();
      this.#index++;
    }
    if (answer !== 'kept' || last) this.#over = true;
  }

  #giveUpIfLate(): void {
    const { clock, options } = this.#parts;
    if (this.#end !== null && clock.monotonicMs() - this.#endedMs > options.giveUpAfterMs) this.#over = true;
  }

  #stop(): void {
    this.#queue = [];
    this.#beat.cancel();
    this.#flushTimer?.cancel();
    this.#resolve();
  }
}
