/** Passes a plain answer on: read whole, looked at, settled, then sent at once. */
import { invalidOutput } from '../upstream/failure.ts';
import { type PlainOptions, readPlainAnswer } from './plain-answer.ts';
import { Relay, type RelayParts } from './relay.ts';
import { NO_COUNTS } from './token-counts.ts';

export class PlainRelay extends Relay {
  private readonly options: PlainOptions;
  private readonly chunks: Buffer[] = [];
  private size = 0;

  constructor(parts: RelayParts, options: PlainOptions) {
    super(parts);
    this.options = options;
  }

  protected answerBytes(chunk: Buffer): void {
    this.size += chunk.length;
    if (this.size > this.parts.limits.plainAnswerBytes) this.stop('garbage', 'the answer is too long');
    else this.chunks.push(chunk);
  }

  protected answerEnded(): void {
    const { ctx, client, headers } = this.parts;
    const bytes = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
    const answer = readPlainAnswer(bytes, this.options);
    if (answer === null) {
      this.finish({ kind: 'failed', failure: { reason: 'garbage', status: 200, detail: 'not a chat completion' } });
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
    void this.complete(() => client.answer(200, headers(), answer.body));
  }

  protected checkAnswer(nowMs: number): void {
    if (nowMs - this.sentMs > this.parts.limits.plainMs) this.stop('total_timeout', 'no answer in time');
  }
}
