/** Passes a plain answer on: read whole, looked at, settled, then sent at once. */
import { readPlainAnswer } from './plain-answer.ts';
import { Relay } from './relay.ts';
import { NO_COUNTS } from './token-counts.ts';

export class PlainRelay extends Relay {
  private readonly chunks: Buffer[] = [];
  private size = 0;

  protected answerBytes(chunk: Buffer): void {
    this.size += chunk.length;
    if (this.size > this.parts.limits.plainAnswerBytes) this.stop('garbage', 'the answer is too long');
    else this.chunks.push(chunk);
  }

  protected answerEnded(): void {
    const { ctx, client, headers } = this.parts;
    const answer = readPlainAnswer(this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks));
    if (answer === null) {
      this.finish({ kind: 'failed', failure: { reason: 'garbage', status: 200, detail: 'not a chat completion' } });
      return;
    }
    this.parts.workerAnswers();
    ctx.firstTokenMs = this.lastBytesMs;
    ctx.counts = answer.counts ?? NO_COUNTS;
    ctx.guessedTokens = answer.guessedTokens;
    ctx.finishReason = answer.finishReasons.find((reason) => reason !== null) ?? null;
    ctx.status = 200;
    ctx.outcome = 'served';
    ctx.answerStarted = true;
    void this.complete(() => client.answer(200, headers(), answer.body));
  }

  protected checkAnswer(nowMs: number): void {
    if (nowMs - this.sentMs > this.parts.limits.plainMs) this.stop('total_timeout', 'no answer in time');
  }
}
