/** A copy of one request and its answer, beside the client: begun only for accounts that have their bodies kept. */
import type { BodyPair } from '@tollgate/shared/runtime/body-box';
import type { AnswerTap } from '../relay/client-side.ts';

/** Memory that all copies of a router share. */
export interface CopyRoom {
  /** False: there is no room for so many bytes. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export interface CopiedBodies {
  pair: BodyPair;
  requestBytes: number;
  answerBytes: number;
  requestTruncated: boolean;
  answerTruncated: boolean;
}

export class BodyCopy implements AnswerTap {
  /** A client that leaves ends its answer, copied or not. */
  readonly holds = false;
  readonly #room: CopyRoom;
  readonly #mostBytes: number;
  readonly #request: string;
  readonly #requestBytes: number;
  readonly #answer: string[] = [];
  #answerKept = 0;
  #answerBytes = 0;
  #status = 0;
  #contentType = '';
  /** What this copy took of the room. */
  #taken = 0;
  #full = false;

  /** `mostBytes`: of the request, and of the answer; what is longer is cut. */
  constructor(request: Buffer, mostBytes: number, room: CopyRoom) {
    this.#mostBytes = mostBytes;
    this.#room = room;
    this.#requestBytes = request.length;
    const keep = Math.min(request.length, mostBytes);
    this.#request = this.#takes(keep) ? request.toString('latin1', 0, keep) : '';
  }

  head(status: number, headers: Record<string, string>): void {
    this.#status = status;
    this.#contentType = headers['content-type'] ?? '';
  }

  bytes(text: string): void {
    this.#answerBytes += text.length;
    const keep = Math.min(text.length, this.#mostBytes - this.#answerKept);
    // After a gap nothing more is kept: what is kept is always a beginning.
    if (keep <= 0 || this.#full) return;
    if (!this.#takes(keep)) {
      this.#full = true;
      return;
    }
    this.#answer.push(keep === text.length ? text : text.slice(0, keep));
    this.#answerKept += keep;
  }

  whole(status: number, headers: Record<string, string>, text: string): void {
    this.head(status, headers);
    this.bytes(text);
  }

  /** What there is now. `before`: what another router had given of this answer already. */
  copied(before = ''): CopiedBodies {
    const text = before + this.#answer.join('');
    const answerBytes = before.length + this.#answerBytes;
    const kept = text.slice(0, this.#mostBytes);
    return {
      pair: {
        request: this.#request,
        answer: answerBytes === 0 ? null : { status: this.#status, contentType: this.#contentType, text: kept },
      },
      requestBytes: this.#requestBytes,
      answerBytes,
      requestTruncated: this.#request.length < this.#requestBytes,
      answerTruncated: kept.length < answerBytes,
    };
  }

  /** Gives its room back. Idempotent. */
  release(): void {
    this.#room.give(this.#taken);
    this.#taken = 0;
  }

  #takes(bytes: number): boolean {
    if (!this.#room.take(bytes)) return false;
    this.#taken += bytes;
    return true;
  }
}
