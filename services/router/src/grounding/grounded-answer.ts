/** A grounded answer on its way to the client: the plain body with its sources, the stream with one more chunk. */
import type { AnswerReader } from '../relay/answer-reader.ts';
import type { PlainAnswer } from '../relay/plain-answer.ts';
import type { StreamFault } from '../relay/stream-reader.ts';
import type { TokenCounts } from '../relay/token-counts.ts';
import { annotationsOf, type Grounding, sourcesOf, withGroundingTokens } from './sources.ts';

/** Text of bytes and back: bodies are latin1 texts, one character per byte. */
const fromLatin1 = (text: string): string => Buffer.from(text, 'latin1').toString('utf8');
const toLatin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** `sources` and `annotations` on each message. */
export function groundedPlain(
  read: (body: Buffer) => PlainAnswer | null,
  grounding: Grounding,
): (body: Buffer) => PlainAnswer | null {
  return (body) => {
    const answer = read(body);
    if (answer === null || answer.violation !== null) return answer;
    const parsed = JSON.parse(fromLatin1(answer.body)) as { choices: { message?: Record<string, unknown> }[] };
    const sources = sourcesOf(grounding);
    for (const { message } of parsed.choices) {
      if (message === undefined) continue;
      message.annotations = annotationsOf(typeof message.content === 'string' ? message.content : '', grounding);
      message.sources = sources;
    }
    return { ...answer, body: toLatin1(withGroundingTokens(JSON.stringify(parsed), grounding)) };
  };
}

interface Chunk {
  id?: string;
  created?: number;
  model?: string;
  choices?: { index?: number; delta?: { content?: string | null } }[];
}

/**
 * Passes a stream through and adds, once it is whole, one chunk with the sources: behind the last delta, before usage and
 * `[DONE]`. Its bytes wait for the bill like the rest of the end.
 */
export class GroundedReader implements AnswerReader {
  readonly #inner: AnswerReader;
  readonly #grounding: Grounding;

  constructor(inner: AnswerReader, grounding: Grounding) {
    this.#inner = inner;
    this.#grounding = grounding;
  }

  push(bytes: Buffer): string {
    return this.#follow(this.#inner.push(bytes));
  }

  end(): string {
    return this.#follow(this.#inner.end());
  }

  get events(): number {
    return this.#inner.events;
  }

  get done(): boolean {
    return this.#inner.done;
  }

  get isWhole(): boolean {
    return this.#inner.isWhole;
  }

  get fault(): StreamFault | null {
    return this.#inner.fault;
  }

  get last(): string {
    return this.#sourcesChunk() + withGroundingTokens(this.#inner.last, this.#grounding);
  }

  get endMark(): string {
    return this.#inner.endMark;
  }

  get answerEvents(): number {
    return this.#inner.answerEvents;
  }

  get finishReasons(): readonly (string | null)[] {
    return this.#inner.finishReasons;
  }

  get counts(): TokenCounts {
    return this.#inner.counts;
  }

  /** Keeps the text, for the places of citations, and how chunks begin. */
  #follow(out: string): string {
    const { told } = this.#grounding;
    for (const event of out.split('\n\n')) {
      if (!event.startsWith('data: {')) continue;
      const chunk = parse(fromLatin1(event.slice(6)));
      if (chunk === null) continue;
      told.head ??= { id: chunk.id ?? '', created: chunk.created ?? 0, model: chunk.model ?? '' };
      for (const { index = 0, delta } of chunk.choices ?? []) {
        if (delta?.content) told.texts[index] = (told.texts[index] ?? '') + delta.content;
      }
    }
    return out;
  }

  #sourcesChunk(): string {
    const { told } = this.#grounding;
    if (told.head === null) return '';
    const sources = sourcesOf(this.#grounding);
    const choices = this.#inner.finishReasons.map((_reason, index) => ({
      index,
      delta: { annotations: annotationsOf(told.texts[index] ?? '', this.#grounding), sources },
      finish_reason: null,
    }));
    const { id, created, model } = told.head;
    return `data: ${toLatin1(JSON.stringify({ id, object: 'chat.completion.chunk', created, model, choices }))}\n\n`;
  }
}

function parse(text: string): Chunk | null {
  try {
    return JSON.parse(text) as Chunk;
  } catch {
    return null;
  }
}
