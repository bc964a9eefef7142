/**
 * Reads streams whose events have a type (`event: response.created`, `event: message_start`): OpenAI's responses and
 * Anthropic's messages. Bytes pass as they came; what ends the answer waits in `last` until the request is settled.
 * What is particular to each API is its `EventProtocol`.
 */
import type { WireError } from '@tollgate/shared/contracts/openai/chat';
import type { Violation } from '../schema-gate/validate.ts';
import type { AnswerReader } from './answer-reader.ts';
import { dataOf, MAX_EVENT_BYTES, SseSplitter } from './sse-splitter.ts';
import type { StreamFault } from './stream-reader.ts';
import type { TokenCounts } from './token-counts.ts';

/** What an event means for the answer. */
export type EventMeaning =
  /** Nothing that matters here. */
  | { kind: 'other' }
  /** The prompt's tokens, told at the start. */
  | { kind: 'started'; promptTokens: number }
  /** A piece of the answer; `text` is given where it is to be checked. */
  | { kind: 'piece'; characters: number; text?: string }
  /** The counts; from here on everything waits. `text`: the event as the client shall get it. */
  | { kind: 'counted'; counts: TokenCounts; finishReason: string; violation?: Violation; text?: string }
  /** The very last event. */
  | { kind: 'closed' }
  | { kind: 'failed'; error: WireError };

export interface EventProtocol {
  /** Reads one event. `data()` parses its JSON; most events are known by their type alone. */
  read(type: string, data: () => Record<string, unknown>, event: string): EventMeaning;
  /** Whether the counts come with the last event itself. */
  readonly closesWhenCounted: boolean;
}

/** Follows the text of an answer that was promised a form; false = it runs away, cancel it. */
export interface TextWatch {
  push(text: string): boolean;
}

const CHARACTERS_PER_TOKEN = 4;

export class TypedReader implements AnswerReader {
  readonly endMark = '';
  events = 0;
  done = false;
  fault: StreamFault | null = null;
  last = '';
  readonly finishReasons: (string | null)[] = [null];

  private readonly protocol: EventProtocol;
  private readonly watch: TextWatch | null;
  private readonly splitter = new SseSplitter();
  private readonly take = (event: string): boolean => this.takeEvent(event);
  private promptTokens: number | null = null;
  private closing: TokenCounts | null = null;
  private pieces = 0;
  private characters = 0;
  private out = '';

  constructor(protocol: EventProtocol, watch: TextWatch | null) {
    this.protocol = protocol;
    this.watch = watch;
  }

  push(bytes: Buffer): string {
    if (this.done || this.fault) return '';
    this.out = '';
    this.splitter.push(bytes, this.take);
    if (this.splitter.pendingBytes > MAX_EVENT_BYTES) this.fault ??= { kind: 'garbage' };
    return this.out;
  }

  end(): string {
    if (this.done || this.fault) return '';
    this.out = '';
    const rest = this.splitter.end();
    if (rest.trim() !== '') this.takeEvent(`${rest.replace(/[\r\n]+$/, '')}\n\n`);
    return this.out;
  }

  get isWhole(): boolean {
    return this.fault === null && this.closing !== null && this.done;
  }

  /** No such API tells counts while it streams: until the end, the output is a guess from what was passed on. */
  get answerEvents(): number {
    return Math.max(this.pieces, Math.ceil(this.characters / CHARACTERS_PER_TOKEN));
  }

  get counts(): TokenCounts {
    if (this.closing !== null) return this.closing;
    const completionTokens = this.promptTokens === null ? 0 : this.answerEvents;
    const counts = { promptTokens: this.promptTokens, cachedTokens: null, completionTokens, reasoningTokens: 0 };
    return { ...counts, final: false, ...(completionTokens > 0 ? { isGuess: true } : {}) };
  }

  private takeEvent(event: string): boolean {
    const data = dataOf(event);
    if (data === null) {
      if (this.events > 0 && this.closing === null) this.out += event;
      return true;
    }
    // vLLM ends some of these streams in chat's way too; no client of theirs waits for it.
    if (data === '[DONE]') return this.closing === null ? this.fail({ kind: 'garbage' }) : this.close();
    if (!data.startsWith('{') || !data.endsWith('}')) return this.fail({ kind: 'garbage' });
    let meaning: EventMeaning;
    try {
      meaning = this.protocol.read(typeOf(event, data), () => parse(data), event);
    } catch {
      return this.fail({ kind: 'garbage' });
    }
    return this.follow(meaning, event);
  }

  private follow(meaning: EventMeaning, event: string): boolean {
    switch (meaning.kind) {
      case 'failed':
        return this.fail({ kind: 'error_event', error: meaning.error });
      case 'started':
        this.promptTokens = meaning.promptTokens;
        return this.pass(event);
      case 'piece':
        this.pieces++;
        this.characters += meaning.characters;
        if (meaning.text !== undefined && this.watch?.push(meaning.text) === false)
          return this.fail({ kind: 'runaway' });
        return this.pass(event);
      case 'counted':
        return this.count(meaning, meaning.text ?? event);
      case 'closed':
        this.last += event;
        return this.closing === null ? this.fail({ kind: 'garbage' }) : this.close();
      case 'other':
        return this.pass(event);
    }
  }

  private count(meaning: EventMeaning & { kind: 'counted' }, event: string): boolean {
    const { violation, finishReason } = meaning;
    if (violation !== undefined) return this.fail({ kind: 'invalid_output', violation });
    this.finishReasons[0] = finishReason;
    this.closing = meaning.counts;
    this.events++;
    this.last += event;
    return this.protocol.closesWhenCounted ? this.close() : true;
  }

  private pass(event: string): boolean {
    this.events++;
    if (this.closing === null) this.out += event;
    else this.last += event;
    return true;
  }

  private close(): false {
    this.done = true;
    return false;
  }

  private fail(fault: StreamFault): false {
    this.fault = fault;
    return false;
  }
}

/** The event's type: from its `event:` line, else from its data. */
function typeOf(event: string, data: string): string {
  const line = /^event: ?([A-Za-z_.]+)/.exec(event);
  if (line !== null) return line[1]!;
  if (data.startsWith('{"error"')) return 'error';
  const { type } = parse(data);
  return typeof type === 'string' ? type : '';
}

function parse(data: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(data, 'latin1').toString('utf8')) as Record<string, unknown>;
}
