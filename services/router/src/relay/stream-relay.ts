/**
 * Passes a stream on: bytes as they come, a reader beside them, back-pressure both ways. The status waits for the
 * worker's first event, since a real vLLM says 200 before it looks at the request (facts/real-engine.md 3.1).
 */
import type { Attempt } from '../upstream/attempt.ts';
import {
  engineFailure,
  invalidOutput,
  isContextError,
  isRefusal,
  refusalError,
  type WorkerFailure,
} from '../upstream/failure.ts';
import type { AnswerReader } from './answer-reader.ts';
import { Relay, type RelayParts } from './relay.ts';
import type { StreamFault } from './stream-reader.ts';

const PING = ': ping\n\n';

export class StreamRelay extends Relay {
  protected readonly reader: AnswerReader;
  private pausedSinceMs: number | null = null;
  private lastWriteMs: number;
  private isEventStream = false;
  /** The first token of this attempt is here. */
  private hasStarted = false;
  /** Words that leave with the end. */
  protected held = '';

  constructor(parts: RelayParts, reader: AnswerReader) {
    super(parts);
    this.reader = reader;
    this.lastWriteMs = this.sentMs;
    parts.ctx.reader = this.reader;
  }

  override started(attempt: Attempt, status: number, contentType: string): void {
    super.started(attempt, status, contentType);
    this.isEventStream = contentType.startsWith('text/event-stream');
    if (status === 200 && !this.isEventStream) this.stop('garbage', `content type ${contentType.slice(0, 60)}`);
  }

  override clientDrained(): void {
    if (this.pausedSinceMs === null) return;
    this.pausedSinceMs = null;
    this.lastBytesMs = this.parts.clock.monotonicMs();
    this.parts.ticket.heldUp(this.reader.counts.completionTokens);
    this.attempt?.resume();
  }

  protected answerBytes(chunk: Buffer): void {
    const { reader } = this;
    const out = this.shown(reader.push(chunk));
    // Counts that are final are billed at once: the last words leave with what follows the bill, in one write.
    if (reader.done && reader.fault === null && reader.counts.final) {
      this.noteStart();
      this.held = out;
      this.parts.ctx.answerStarted ||= out !== '';
      this.whole();
      return;
    }
    this.pass(out);
    if (reader.fault !== null) this.fault(reader.fault);
    else if (reader.done) this.whole();
  }

  protected answerEnded(): void {
    this.pass(this.shown(this.reader.end()));
    if (this.reader.fault !== null) this.fault(this.reader.fault);
    else if (this.reader.done || this.reader.isWhole) this.whole();
    else this.connectionLost('cut', 'the stream ended early');
  }

  /** What a client gets of what the reader passes on. */
  protected shown(out: string): string {
    return out;
  }

  protected override connectionLost(reason: 'connect' | 'cut', detail: string): void {
    this.noteProgress();
    // Every word of the answer is there: the client need not know that the worker fell over then.
    if (this.reader.isWhole) this.whole();
    else super.connectionLost(reason, detail);
  }

  protected override stopWith(end: Parameters<Relay['stopWith']>[0]): void {
    this.noteProgress();
    super.stopWith(end);
  }

  protected checkAnswer(nowMs: number): void {
    const { limits, client } = this.parts;
    if (this.pausedSinceMs !== null) {
      const slow = nowMs - this.pausedSinceMs > limits.slowReaderMs || client.bufferedBytes > limits.clientBufferBytes;
      if (slow && !client.leaveBehind()) this.stopWith({ kind: 'slow_reader' });
      return;
    }
    if (this.reader.events === 0) {
      if (nowMs - this.sentMs > limits.firstTokenMs) this.stop('first_token_timeout', 'no first event in time');
      else if (nowMs - this.parts.ctx.startedMs > limits.earlyAnswerMs) this.ping(nowMs);
      return;
    }
    this.parts.ticket.progress(this.reader.counts.completionTokens);
    if (nowMs - this.lastBytesMs > limits.idleMs) this.stop('idle_timeout', 'no bytes in time');
    else this.ping(nowMs);
  }

  /** A comment now and then keeps proxies from closing a silent connection; it commits the status. */
  private ping(nowMs: number): void {
    const { client, limits } = this.parts;
    if (client.headersSent && nowMs - this.lastWriteMs < limits.pingMs) return;
    const text = this.pingText();
    if (text === '') return;
    this.head();
    this.write(text, nowMs);
  }

  protected pingText(): string {
    return PING;
  }

  private pass(out: string): void {
    this.noteStart();
    if (out === '') return;
    this.head();
    this.parts.ctx.answerStarted = true;
    this.write(out, this.lastBytesMs);
  }

  private write(text: string, nowMs: number): void {
    this.lastWriteMs = nowMs;
    if (this.parts.client.write(text) || this.pausedSinceMs !== null) return;
    this.pausedSinceMs = nowMs;
    this.attempt?.pause();
  }

  private head(): void {
    const { client, ctx, headers } = this.parts;
    if (client.headersSent) return;
    ctx.status = 200;
    client.start(200, headers());
  }

  private noteStart(): void {
    if (this.hasStarted || this.reader.events === 0) return;
    this.hasStarted = true;
    this.parts.ctx.firstTokenMs ??= this.lastBytesMs;
    this.parts.ticket.firstToken(this.reader.counts.completionTokens);
    this.parts.workerAnswers();
  }

  private whole(): void {
    this.noteProgress();
    const { ctx } = this.parts;
    ctx.finishReason = this.reader.finishReasons.find((reason) => reason !== null) ?? null;
    ctx.lastTokenMs = this.lastBytesMs;
    ctx.status = 200;
    ctx.outcome = 'served';
    void this.complete(() => {
      this.head();
      this.handOver();
    });
  }

  /** The bill is safe: the last bytes. */
  protected handOver(): void {
    const { reader, held } = this;
    this.parts.client.end(held + (reader.done ? reader.last : reader.last + reader.endMark));
  }

  /** Nobody took the bill: what is told of that comes behind the words that there are. */
  protected override notBilled(): void {
    this.pass(this.held);
  }

  private fault(fault: StreamFault): void {
    this.noteProgress();
    this.drop();
    switch (fault.kind) {
      case 'error_event':
        if (isRefusal(fault.error) && this.reader.events === 0) {
          const contextTooLong = isContextError(fault.error);
          this.finish({ kind: 'refused', error: refusalError(fault.error), contextTooLong });
        } else this.failWith(engineFailure(fault.error));
        return;
      case 'aborted_by_worker':
        this.fail('aborted_by_worker', 'finish reason abort');
        return;
      case 'garbage':
        this.fail('garbage', 'not an answer of this kind');
        return;
      case 'runaway':
        this.fail('runaway', 'white space without end');
        return;
      case 'invalid_output':
        this.failWith(invalidOutput(fault.violation));
        return;
    }
  }

  private fail(reason: 'aborted_by_worker' | 'garbage' | 'runaway', detail: string): void {
    this.failWith({ reason, status: 200, detail });
  }

  private failWith(failure: WorkerFailure): void {
    this.finish({ kind: 'failed', failure });
  }

  private noteProgress(): void {
    this.parts.ctx.counts = this.reader.counts;
    this.parts.ctx.guessedTokens = this.reader.answerEvents;
  }
}
