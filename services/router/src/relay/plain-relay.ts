/** Passes a plain answer on: read whole, looked at, settled, then sent at once. */
import { invalidOutput } from '../upstream/failure.ts';
import type { PlainAnswer } from './plain-answer.ts';
import { Relay, type RelayParts } from './relay.ts';
import { NO_COUNTS } from './token-counts.ts';

export class PlainRelay extends Relay {
  private readonly read: (body: Buffer) => PlainAnswer | null;
  private readonly chunks: Buffer[] = [];
  private size = 0;
  private lastBlankMs = Number.NEGATIVE_INFINITY;

  constructor(parts: RelayParts, read: (body: Buffer) => PlainAnswer | null) {
    super(parts);
    this.read = read;
  }

  protected answerBytes(chunk: Buffer): void {
    this.size += chunk.length;
    if (this.size > this.parts.limits.plainAnswerBytes) this.stop('garbage', 'the answer is too long');
    else this.chunks.push(Buffer.from(chunk));
  }

  protected answerEnded(): void {
    const { ctx, client, headers } = this.parts;
    const bytes = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
    const answer = this.read(bytes);
    if (answer === null) {
      this.finish({
        kind: 'failed',
        failure: { reason: 'garbage', status: 200, detail: 'not an answer of this kind' },
      });
      return;
    }
    this.parts.workerAnswers();
    ctx.firstTokenMs = this.lastBytesMs;
    ctx.counts = answer.counts ?? NO_COUNTS;
    ctx.guessedTokens = answer.guessedTokens;
    ctx.finishReason = answer.finishReasons.find((reason) => reason !== null) ?? null;
    if (answer.violation !== null) {
      this.finish({ kind: 'failed', failure: invalidOutput(answer.violation) });
      return;
    }
    ctx.status = 200;
    ctx.outcome = 'served';
    ctx.answerStarted = true;
    void this.complete(() => {
      if (client.headersSent) client.end(answer.body);
      else client.answer(200, headers(), answer.body);
    });
  }

  protected checkAnswer(nowMs: number): void {
    this.parts.ticket.assumeStarted();
    const { limits, ctx } = this.parts;
    if (nowMs - this.sentMs > limits.plainMs) this.stop('total_timeout', 'no answer in time');
    else if (limits.blankLines && nowMs - ctx.startedMs > limits.earlyAnswerMs) this.blankLine(nowMs);
  }

  /** White space before JSON means nothing to its reader and much to what closes silent connections. */
  private blankLine(nowMs: number): void {
    const { client, ctx, headers, limits } = this.parts;
    if (nowMs - this.lastBlankMs < limits.pingMs) return;
    this.lastBlankMs = nowMs;
    ctx.status = 200;
    if (!client.headersSent) client.start(200, headers());
    client.write('\n');
  }
}
