/**
 * Reads a worker's chat stream beside the bytes that go to the client. Most chunks are only searched, not parsed:
 * JSON.parse runs on the few that end a choice, carry tool calls, report an error or close the usage.
 *
 * What a client gets is what the worker sent, but for: usage that it did not ask for, finish reasons that would lie,
 * and the last bytes (closing usage, `[DONE]`), which `last` keeps until the request is settled.
 */
import type { WireError, WireStreamChunk, WireUsage } from '@tollgate/shared/contracts/openai/chat';
import type { AnswerChecks } from '../answer-form.ts';
import type { UsageInStream } from '../contract/request.ts';
import type { Violation } from '../schema-gate/validate.ts';
import { AnswerCheck } from './answer-check.ts';
import type { AnswerReader } from './answer-reader.ts';
import { type ChunkShape, ChunkShaper } from './chunk-shape.ts';
import { ChunkTemplate } from './chunk-template.ts';
import { apartFromEnd } from './end-chunk.ts';
import { type Continuation, joinCounts, rewriteResumed, sameCreated, type Transcript } from './resume.ts';
import { dataOf, MAX_EVENT_BYTES, SseSplitter } from './sse-splitter.ts';
import { finalCounts, openAiUsage, type TokenCounts } from './token-counts.ts';
import { ToolArguments, UNREAD_CALL } from './tool-arguments.ts';
import {
  cutUsage,
  findUsage,
  nullUsage,
  parseUsage,
  readCount,
  type UsageSpan,
  withNullUsage,
  withUsage,
} from './usage-scan.ts';

export interface StreamReaderOptions {
  usage: UsageInStream;
  choices: number;
  hasTools: boolean;
  /** Output limit per choice that was sent to the worker. */
  maxTokens: number;
  /** What the answer must fulfil; null = nothing. */
  checks: AnswerChecks | null;
  shape: ChunkShape;
  /** Gets the text of the answer as it is read (only where `checks` are); false: it cannot be what was asked for. */
  onText?: (text: string) => boolean;
  /** What the client has been given is kept here, for another worker to go on; null = nobody could. */
  transcript?: Transcript | null;
  /** The stream is the rest of an answer that another worker began. */
  from?: Continuation | null;
}

/** Why the stream cannot go on. */
export type StreamFault =
  | { kind: 'error_event'; error: WireError }
  /** The worker is going away and ended the choice itself. */
  | { kind: 'aborted_by_worker' }
  | { kind: 'garbage' }
  | { kind: 'invalid_output'; violation: Violation }
  /** White space without end. */
  | { kind: 'runaway' };

const NO_DOCUMENT: Violation = { pointer: '', keyword: 'json', message: 'the answer is not valid JSON' };

/** What OpenAI's contract knows as finish reasons; others of an engine mean that the answer is not whole. */
const FINISH_REASONS = new Set(['stop', 'length', 'tool_calls', 'content_filter']);

export class StreamReader implements AnswerReader {
  /** Data events seen that belong to the answer. */
  events = 0;
  /** `[DONE]` came. */
  done = false;
  fault: StreamFault | null = null;
  /** Bytes that wait for settlement. */
  last = '';
  /** Chunks given to the client, about a token each: the estimate when no usage ever came. */
  answerEvents = 0;
  readonly finishReasons: (string | null)[];

  private readonly splitter = new SseSplitter();
  private readonly options: StreamReaderOptions;
  private readonly tools: ToolArguments | null;
  /** Choices whose text holds a call in the model's own words. */
  private readonly unreadCalls = new Set<number>();
  private readonly check: AnswerCheck | null;
  private readonly shaper: ChunkShaper;
  private readonly completions: number[];
  private promptTokens: number | null = null;
  private reasoningTokens = 0;
  private closing: TokenCounts | null = null;
  private out = '';
  /** The chunk that ended the last choice, where it waits for its usage. */
  private ending = '';
  /** The last chunk that ended a choice: names the answer, should its closing usage never come. */
  private endChunk = '';
  private readonly transcript: Transcript | null;
  private readonly from: Continuation | null;
  /** null: chunks have to be read in full. */
  private readonly template: ChunkTemplate | null;
  private readonly take = (event: string): boolean => this.takeEvent(event);

  constructor(options: StreamReaderOptions) {
    this.options = options;
    this.tools = options.hasTools ? new ToolArguments() : null;
    this.check = options.checks === null ? null : new AnswerCheck(options.checks);
    this.shaper = new ChunkShaper(options.shape);
    this.completions = new Array<number>(options.choices).fill(0);
    this.finishReasons = new Array<string | null>(options.choices).fill(null);
    this.transcript = options.transcript ?? null;
    this.from = options.from ?? null;
    if (this.from !== null) this.answerEvents = this.from.givenTokens;
    const isPlain = this.check === null && this.from === null && options.choices === 1 && !options.shape.bareText;
    this.template = isPlain ? new ChunkTemplate() : null;
  }

  /** Takes bytes from the worker, returns those to pass on now (as latin1 text). */
  push(bytes: Buffer): string {
    if (this.done || this.fault) return '';
    this.out = '';
    this.splitter.push(bytes, this.take);
    if (this.splitter.pendingBytes > MAX_EVENT_BYTES) this.fault ??= { kind: 'garbage' };
    return this.out;
  }

  /** The worker closed the stream; an event without its blank line still counts. */
  end(): string {
    if (this.done || this.fault) return '';
    this.out = '';
    const rest = this.splitter.end();
    if (rest !== '') this.takeEvent(`${rest.replace(/[\r\n]+$/, '')}\n\n`);
    return this.out;
  }

  /** Every choice ended: nothing is missing but, at most, the closing usage and `[DONE]`. */
  get isWhole(): boolean {
    return this.fault === null && !this.finishReasons.includes(null);
  }

  /**
   * For a worker that fell over behind the end of its last choice: nobody can go on with such an answer, and what it
   * counted up to there is the whole. A usage that it never told at all is not made up.
   */
  get endMark(): string {
    let rest = this.ending;
    if (this.closing === null && this.promptTokens !== null) {
      const usage = openAiUsage(this.counts);
      if (rest !== '') rest = withUsage(rest, usage);
      else if (this.options.usage === 'final' || this.options.usage === 'every') {
        rest = closingOf(this.endChunk, usage);
      }
    }
    return `${rest}data: [DONE]\n\n`;
  }

  get counts(): TokenCounts {
    if (this.closing) return this.closing;
    let completionTokens = 0;
    for (const count of this.completions) completionTokens += count;
    const counts = {
      promptTokens: this.promptTokens,
      cachedTokens: null,
      completionTokens,
      reasoningTokens: Math.min(this.reasoningTokens, completionTokens),
      final: false,
    };
    return this.from === null ? counts : joinCounts(this.from, counts);
  }

  private takeEvent(event: string): boolean {
    const span = this.splitter.hasSeenCr ? null : (this.template?.match(event) ?? null);
    if (span !== null) return this.takeLike(event, span, this.template!);
    const data = dataOf(event);
    if (data === null) {
      if (this.events > 0) this.out += event;
      return true;
    }
    if (data === '[DONE]') {
      // A choice that never ended is not whole, whatever follows.
      if (this.events > 0 && this.finishReasons.includes(null)) return this.fail({ kind: 'garbage' });
      this.done = true;
      this.last += this.ending + event;
      this.ending = '';
      return false;
    }
    if (data.startsWith('{"error"') || data.startsWith('{"object":"error"'))
      return this.fail({ kind: 'error_event', error: readError(data) });
    if (!data.startsWith('{') || !data.endsWith('}')) return this.fail({ kind: 'garbage' });
    // An event of several data lines is legal and no engine sends it: made one line, so that it can be edited.
    return this.takeChunk(event.startsWith('data: {') && !data.includes('\n') ? event : oneLine(data));
  }

  /** A chunk like the one before it but for its text and its counts. */
  private takeLike(event: string, span: UsageSpan, template: ChunkTemplate): true {
    this.takeRunningUsage(event, span);
    this.events++;
    this.answerEvents++;
    const text = template.textOf(event);
    this.transcript?.addText(text, this.promptTokens === null ? null : this.completions[0]!, this.reasoningTokens);
    this.out += template.shown(text);
    return true;
  }

  private takeChunk(event: string): boolean {
    let text = this.shaper.clean(event);
    let span = findUsage(text);
    if (span === null && text.includes('"usage"') && !text.includes('"usage":null')) {
      text = compact(text);
      span = findUsage(text);
    }
    const isClosing = text.includes('"choices":[]');
    if (span !== null && isClosing) return this.takeClosing(text, span);
    if (span !== null) this.takeRunningUsage(text, span);
    const ends = text.includes('"finish_reason":"');
    const calls = this.tools !== null && text.includes('"tool_calls":[');
    if (this.tools !== null && text.includes('"content":"<tool_call>')) this.unreadCalls.add(choiceIndex(text));
    if (ends || calls || this.check !== null) {
      const healed = this.takeChoices(text);
      if (healed === null) return false;
      if (healed !== text) {
        text = healed;
        span = findUsage(text);
      }
    }
    this.events++;
    if (this.from !== null) {
      const rest = rewriteResumed(text, this.from, this.counts);
      if (rest === null) return true;
      text = rest;
      span = findUsage(text);
    }
    this.answerEvents++;
    if (this.transcript !== null) {
      // One choice, whose counts need no object of their own while nothing was resumed.
      const { completionTokens, reasoningTokens } =
        this.from === null
          ? { completionTokens: this.completions[0]!, reasoningTokens: this.reasoningTokens }
          : this.counts;
      this.transcript.add(text, this.promptTokens === null ? null : completionTokens, reasoningTokens);
    }
    const whole = text;
    const counted = span;
    const inFinish = this.options.usage === 'finish_chunk';
    if (span !== null && (inFinish || this.options.usage === 'hidden')) text = cutUsage(text, span);
    else if (this.options.usage === 'final') text = span === null ? withNullUsage(text) : nullUsage(text, span);
    const shaped = this.shaper.apply(text, ends, calls);
    if (ends) this.endChunk = shaped;
    if (counted !== null && !ends && !calls && whole === event) this.template?.learn(event, counted, shaped);
    if (inFinish && ends) this.takeEnd(shaped);
    else this.out += shaped;
    return true;
  }

  /** Where usage goes with the finish reason, that chunk carries nothing else, and the last of them waits for the usage. */
  private takeEnd(shaped: string): void {
    const [text, end] = apartFromEnd(shaped);
    this.out += text;
    if (this.finishReasons.includes(null)) this.out += end;
    else this.ending = end;
  }

  /** The chunk with no choices and the whole usage: shown last, and only to who asked. */
  private takeClosing(event: string, span: UsageSpan): boolean {
    let usage: WireUsage;
    try {
      usage = parseUsage(event, span);
    } catch {
      return this.fail({ kind: 'garbage' });
    }
    const counts = finalCounts(usage);
    if (counts !== null) this.closing = this.from === null ? counts : joinCounts(this.from, counts);
    this.events++;
    if (this.options.usage === 'finish_chunk' && this.ending !== '') this.endWithUsage();
    else if (this.options.usage !== 'hidden') this.last += this.closingChunk(event, span);
    return true;
  }

  private closingChunk(event: string, span: UsageSpan): string {
    const text = this.shaper.closing(event, span, this.closing);
    return this.from === null ? text : sameCreated(text, this.from);
  }

  /** Usage goes into the chunk that ended the last choice; what came after it is empty. */
  private endWithUsage(): void {
    this.last += this.closing === null ? this.ending : withUsage(this.ending, openAiUsage(this.closing));
    this.ending = '';
  }

  private takeRunningUsage(event: string, span: UsageSpan): void {
    if (this.promptTokens === null) {
      const prompt = readCount(event, '"prompt_tokens":', span);
      if (prompt >= 0) this.promptTokens = prompt;
    }
    const choice = this.completions.length === 1 ? 0 : choiceIndex(event);
    const count = readCount(event, '"completion_tokens":', span);
    if (count > (this.completions[choice] ?? Number.MAX_VALUE)) this.completions[choice] = count;
    const reasoning = readCount(event, '"reasoning_tokens":', span);
    if (reasoning > this.reasoningTokens) this.reasoningTokens = reasoning;
  }

  /** Parses a chunk that carries tool calls, text to be checked, or an end; returns it healed, null = it failed. */
  private takeChoices(event: string): string | null {
    let chunk: WireStreamChunk;
    try {
      chunk = JSON.parse(utf8(dataOf(event) ?? '')) as WireStreamChunk;
    } catch {
      this.fail({ kind: 'garbage' });
      return null;
    }
    let text = event;
    for (const choice of chunk.choices ?? []) {
      const index = choice.index ?? 0;
      const content = choice.delta?.content ?? choice.text;
      if (this.check !== null && content && !this.check.push(index, content)) {
        this.fail({ kind: 'runaway' });
        return null;
      }
      if (content && this.options.onText?.(content) === false) {
        return this.refuse({ kind: 'invalid_output', violation: NO_DOCUMENT });
      }
      if (choice.delta?.tool_calls) this.tools?.add(index, choice.delta.tool_calls);
      const reason = choice.finish_reason;
      if (typeof reason !== 'string') continue;
      const honest = this.endOfChoice(index, reason, choice.stop_reason ?? choice.matched_stop);
      if (honest === null) return null;
      this.finishReasons[index] = honest;
      if (honest !== reason) text = text.replace(`"finish_reason":"${reason}"`, `"finish_reason":"${honest}"`);
    }
    return text;
  }

  /** The finish reason that is true; null when the choice may not end like this at all (`fault` says why). */
  private endOfChoice(choice: number, reason: string, stopReason: unknown): string | null {
    if (reason === 'abort') return this.refuse({ kind: 'aborted_by_worker' });
    if (!FINISH_REASONS.has(reason)) return 'length';
    if (this.tools !== null && reason !== 'length') {
      if (!this.tools.has(choice) && (reason === 'tool_calls' || this.unreadCalls.has(choice)))
        return this.refuse({ kind: 'invalid_output', violation: UNREAD_CALL });
      const limitReached = (this.completions[choice] ?? 0) >= this.options.maxTokens;
      const verdict = this.tools.judge(choice, limitReached, this.check);
      if (verdict.kind === 'cut') return 'length';
      if (verdict.kind === 'invalid') return this.refuse({ kind: 'invalid_output', violation: verdict.violation });
    }
    const verdict = this.check?.finish(choice, reason, stopReason);
    if (verdict?.kind === 'cut') return 'length';
    if (verdict?.kind === 'invalid') return this.refuse({ kind: 'invalid_output', violation: verdict.violation });
    return reason;
  }

  private refuse(fault: StreamFault): null {
    this.fault = fault;
    return null;
  }

  private fail(fault: StreamFault): false {
    this.fault = fault;
    return false;
  }
}

/** Index of the choice in a chunk of one choice, as engines write it; 0 when it is not there. */
function choiceIndex(event: string): number {
  const key = '"choices":[{"index":';
  const at = event.indexOf(key);
  return at === -1 ? 0 : Number.parseInt(event.slice(at + key.length, at + key.length + 4), 10) || 0;
}

/** The chunk with this usage and no choices that follows `event`. */
function closingOf(event: string, usage: WireUsage): string {
  const { choices: _, usage: __, ...about } = JSON.parse(dataOf(event) ?? '{}') as WireStreamChunk;
  return `data: ${JSON.stringify({ ...about, choices: [], usage })}\n\n`;
}

function readError(data: string): WireError {
  try {
    const parsed = JSON.parse(utf8(data)) as { error?: WireError | string };
    return typeof parsed.error === 'object' && parsed.error !== null ? parsed.error : { message: String(parsed.error) };
  } catch {
    return {};
  }
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

function oneLine(data: string): string {
  return `data: ${data.replaceAll('\n', ' ')}\n\n`;
}

/** A chunk with white space between its tokens, written compactly; left as it is when it does not parse. */
function compact(event: string): string {
  try {
    const text = JSON.stringify(JSON.parse(utf8(dataOf(event) ?? '')));
    return `data: ${Buffer.from(text, 'utf8').toString('latin1')}\n\n`;
  } catch {
    return event;
  }
}
