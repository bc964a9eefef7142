/** What the two ways of passing an answer on (stream, plain) have in common: one attempt, its end, its clocks. */

import type { AppError } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { RequestContext } from '../context.ts';
import type { Ticket } from '../fleet/worker.ts';
import type { Seat } from '../roster.ts';
import type { AnswerSink, Attempt } from '../upstream/attempt.ts';
import { isConnectError } from '../upstream/attempt.ts';
import {
  type FailureReason,
  isContextError,
  isRefusal,
  readErrorBody,
  refusalError,
  type WorkerFailure,
} from '../upstream/failure.ts';
import type { ClientSide } from './client-side.ts';
import type { Watch, Watched } from './watch.ts';

/** How an attempt ended. */
export type AttemptEnd =
  /** The client has the whole answer; it is settled. */
  | { kind: 'answered' }
  /** The worker refused the request itself. */
  | { kind: 'refused'; error: AppError; contextTooLong: boolean }
  | { kind: 'failed'; failure: WorkerFailure }
  | { kind: 'client_gone' }
  | { kind: 'slow_reader' };

export interface RelayLimits {
  /** From dispatch to the first event of a stream. */
  firstTokenMs: number;
  /** Between two reads of a stream. */
  idleMs: number;
  /** A whole plain answer. */
  plainMs: number;
  /** Everything, streams included. */
  totalMs: number;
  /** A stream without its first event gets its 200 after this, with comments. */
  earlyAnswerMs: number;
  pingMs: number;
  /** Blank lines before a plain answer, at the same times as comments in a stream. */
  blankLines?: boolean;
  /** A client that takes nothing for so long is cut. */
  slowReaderMs: number;
  /** Bytes held for one client before it is cut. */
  clientBufferBytes: number;
  plainAnswerBytes: number;
}

export interface RelayParts {
  ctx: RequestContext;
  client: ClientSide;
  limits: RelayLimits;
  clock: Clock;
  watch: Watch;
  ticket: Ticket;
  /** Headers of a good answer; called when they leave. */
  headers: () => Record<string, string>;
  /** Called once the answer is complete; resolves when the bill is safe. */
  settle: () => Promise<void>;
  /** The worker showed that it works. */
  workerAnswers: () => void;
  /** The connection to the worker was cut by us. */
  aborted: () => void;
}

/** An error body longer than this is cut: only its class matters. */
const ERROR_BODY_BYTES = 65_536;
/** A worker that has said everything closes; if not, the connection is dropped. */
const LINGER_MS = 5_000;

export abstract class Relay implements AnswerSink {
  readonly end: Promise<AttemptEnd>;
  protected readonly parts: RelayParts;
  protected attempt: Attempt | null = null;
  protected readonly sentMs: number;
  protected lastBytesMs: number;
  /** The answer is being completed or has ended: what else comes from the worker is of no interest. */
  protected finished = false;
  private resolveEnd!: (end: AttemptEnd) => void;
  private refusedStatus = 0;
  private refusedBytes = 0;
  private readonly refusedChunks: Buffer[] = [];
  private lingerFromMs: number | null = null;
  private readonly watched: Seat<Watched>;

  constructor(parts: RelayParts) {
    this.parts = parts;
    this.sentMs = parts.clock.monotonicMs();
    this.lastBytesMs = this.sentMs;
    this.end = new Promise((resolve) => {
      this.resolveEnd = resolve;
    });
    this.watched = parts.watch.add(this);
  }

  /** The attempt that feeds this relay; it may already have failed. */
  attach(attempt: Attempt): void {
    this.attempt = attempt;
  }

  // From the worker.

  started(_attempt: Attempt, status: number, _contentType: string): void {
    this.lastBytesMs = this.parts.clock.monotonicMs();
    if (status !== 200) this.refusedStatus = status;
  }

  bytes(_attempt: Attempt, chunk: Buffer): void {
    if (this.finished) return;
    this.lastBytesMs = this.parts.clock.monotonicMs();
    if (this.refusedStatus === 0) {
      this.answerBytes(chunk);
      return;
    }
    this.refusedBytes += chunk.length;
    if (this.refusedBytes <= ERROR_BODY_BYTES) this.refusedChunks.push(Buffer.from(chunk));
  }

  ended(_attempt: Attempt): void {
    this.watched.leave();
    if (this.finished) return;
    if (this.refusedStatus === 0) this.answerEnded();
    else this.finish(this.readRefusal());
  }

  failed(_attempt: Attempt, error: Error): void {
    this.watched.leave();
    if (this.finished) return;
    this.connectionLost(isConnectError(error) ? 'connect' : 'cut', error.message);
  }

  // From the client's side and from us.

  clientGone(): void {
    this.stopWith({ kind: 'client_gone' });
  }

  clientDrained(): void {}

  /** Ends the attempt from our side. */
  stop(reason: FailureReason, detail: string): void {
    this.stopWith({ kind: 'failed', failure: { reason, status: null, detail } });
  }

  /** Called some times a second: everything that depends on time passing. `nowMs` is monotonic. */
  check(nowMs: number): void {
    if (this.lingerFromMs !== null) {
      if (nowMs - this.lingerFromMs > LINGER_MS) this.drop();
      return;
    }
    if (this.finished) return;
    if (nowMs - this.parts.ctx.startedMs > this.parts.limits.totalMs) this.stop('total_timeout', 'total time passed');
    else this.checkAnswer(nowMs);
  }

  protected abstract answerBytes(chunk: Buffer): void;
  protected abstract answerEnded(): void;
  protected abstract checkAnswer(nowMs: number): void;

  /** The connection broke. A subclass may know that nothing was missing. */
  protected connectionLost(reason: 'connect' | 'cut', detail: string): void {
    this.finish({ kind: 'failed', failure: { reason, status: null, detail } });
  }

  protected stopWith(end: AttemptEnd): void {
    if (this.finished) return;
    this.drop();
    this.finish(end);
  }

  /** Tells the pipeline; the worker's connection may go on to its own end. */
  protected finish(end: AttemptEnd): void {
    this.finished = true;
    this.parts.ticket.end(null);
    this.resolveEnd(end);
  }

  /** The whole answer is here. Settles, then hands over the last bytes; a bill that nobody took ends as a failure. */
  protected async complete(handOver: () => void): Promise<void> {
    this.finished = true;
    this.lingerFromMs = this.parts.clock.monotonicMs();
    this.parts.ticket.end(this.parts.ctx.counts);
    try {
      await this.parts.settle();
      handOver();
    } catch (error) {
      const detail = error instanceof Error ? error.message : 'settlement failed';
      this.notBilled();
      this.resolveEnd({ kind: 'failed', failure: { reason: 'hold_lost', status: null, detail } });
      return;
    }
    this.resolveEnd({ kind: 'answered' });
  }

  /** Nobody took the bill of a whole answer. */
  protected notBilled(): void {}

  protected drop(): void {
    this.attempt?.abort();
    this.parts.aborted();
    this.watched.leave();
  }

  private readRefusal(): AttemptEnd {
    const status = this.refusedStatus;
    const error = readErrorBody(Buffer.concat(this.refusedChunks).toString('utf8'));
    if (status === 400 || status === 413 || status === 422 || (status < 500 && isRefusal(error))) {
      return { kind: 'refused', error: refusalError(error), contextTooLong: isContextError(error) };
    }
    return { kind: 'failed', failure: { reason: 'bad_status', status, detail: `status ${status}` } };
  }
}
