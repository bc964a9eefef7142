/** Passes a kept answer on to one more client: what is there at once, the rest as it comes. */
import type { ServerResponse } from 'node:http';
import { REPLAYED_HEADER } from '@tollgate/shared/domain/idempotency';
import type { RequestId } from '@tollgate/shared/domain/ids';
import type { RepeatEntry, RepeatStore } from '@tollgate/shared/redis/repeat-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import { ClientSide } from '../relay/client-side.ts';
import { decodePart, placeOf } from './parts.ts';
import type { Seal } from './seal.ts';

export interface ReplayParts {
  store: Pick<RepeatStore, 'read'>;
  seal: Seal;
  clock: Clock;
  /** Between two looks at an answer that still runs. */
  pollMs: number;
  /** A client that takes nothing for so long is left. */
  slowReaderMs: number;
  staleAfterMs: number;
}

export type ReplayEnd =
  /** The client has the whole answer. */
  | 'served'
  /** Its router gives no sign of life; what it left was passed on. */
  | 'stale'
  /** The request ended without an answer that could be kept. */
  | 'gone'
  /** It ended, was billed, and nothing of its answer was kept. */
  | 'empty'
  | 'client_gone'
  | 'slow_reader';

/** One client's reading of one kept answer. It may go on under another owner (`follow` again after a take-over). */
export class Replay {
  readonly #entry: RepeatEntry;
  readonly #requestId: RequestId;
  readonly #parts: ReplayParts;
  readonly #client: ClientSide;
  #wake: () => void = () => {};
  /** Parts that this client has. */
  index = 0;
  status = 0;
  /** Bytes of the answer so far, as latin1 text: what a survivor continues from. */
  text = '';

  constructor(entry: RepeatEntry, requestId: RequestId, response: ServerResponse, parts: ReplayParts) {
    this.#entry = entry;
    this.#requestId = requestId;
    this.#parts = parts;
    const wake = () => this.#wake();
    this.#client = new ClientSide(response, parts.slowReaderMs, { gone: wake, drained: wake });
  }

  /** Listens no more; the response stays as it is. */
  release(): void {
    this.#client.release();
  }

  /** Passes on until the answer ends, or its router falls silent (`until` parts are there: no further). */
  async follow(until = Number.POSITIVE_INFINITY): Promise<ReplayEnd> {
    const { store, clock, pollMs, staleAfterMs } = this.#parts;
    for (;;) {
      const read = await store.read(this.#entry, this.#requestId, this.index);
      if (read.state === 'gone' || read.state === 'dropped') return 'gone';
      for (const sealed of read.parts) {
        if (this.index >= until) return 'stale';
        const end = await this.#pass(sealed);
        if (end !== null) return end;
      }
      if (this.#client.isGone) return 'client_gone';
      if (read.parts.length > 0) continue;
      if (read.state === 'done') {
        if (this.status === 0) return 'empty';
        this.#client.end('');
        return 'served';
      }
      if (this.index >= until || read.silentMs >= staleAfterMs) return 'stale';
      await clock.sleep(pollMs);
    }
  }

  /** Ends a chat stream that has its last line, and says whether it had. */
  endIfWhole(): boolean {
    const whole = this.text.endsWith('data: [DONE]\n\n');
    if (whole) this.#client.end('');
    return whole;
  }

  async #pass(sealed: string): Promise<ReplayEnd | null> {
    const { seal, clock, slowReaderMs } = this.#parts;
    const place = placeOf(this.#entry.digest, this.#requestId, this.index);
    const part = decodePart(seal.open(sealed, place));
    this.index++;
    if (this.#client.isGone) return 'client_gone';
    switch (part.kind) {
      case 'whole':
        this.status = part.status;
        this.#client.answer(part.status, { ...part.headers, [REPLAYED_HEADER]: 'true' }, part.text);
        return 'served';
      case 'head':
        this.status = part.status;
        this.#client.start(part.status, { ...part.headers, [REPLAYED_HEADER]: 'true' });
        return null;
      case 'bytes':
        this.text += part.text;
        if (this.#client.write(part.text)) return null;
    }
    const late = await new Promise<boolean>((resolve) => {
      const timer = clock.setTimeout(() => resolve(true), slowReaderMs).unref();
      this.#wake = () => {
        timer.cancel();
        resolve(false);
      };
    });
    return late ? 'slow_reader' : null;
  }
}
