/** What the two typed APIs (responses, messages) share: the pieces of an answer as they come out of one choice. */
import type { ChoiceState } from '../../generation/choice.ts';
import { createHermesReader } from '../../generation/hermes.ts';
import { isObject } from './pydantic.ts';

/** The text of a message's content: itself, or all of its parts. */
export const textOf = (content: unknown): string =>
  typeof content === 'string'
    ? content
    : Array.isArray(content)
      ? content.map((part) => (isObject(part) && typeof part.text === 'string' ? part.text : '')).join('')
      : '';

export type Piece =
  | { kind: 'thought'; text: string }
  | { kind: 'text'; text: string }
  | { kind: 'call'; name: string }
  | { kind: 'arguments'; text: string };

/** Cuts what each token adds into pieces; calls are read only where there are tools. */
export function createPieces(hasTools: boolean): (choice: ChoiceState) => Piece[] {
  const reader = hasTools ? createHermesReader() : undefined;
  return ({ deltaReasoning, deltaContent }) => {
    const pieces: Piece[] = [];
    if (deltaReasoning !== '') pieces.push({ kind: 'thought', text: deltaReasoning });
    if (deltaContent === '') return pieces;
    if (!reader) return [...pieces, { kind: 'text', text: deltaContent }];
    for (const event of reader.feed(deltaContent)) {
      if (event.kind === 'content') pieces.push({ kind: 'text', text: event.text });
      else if (event.kind === 'start') pieces.push({ kind: 'call', name: event.name });
      else pieces.push({ kind: 'arguments', text: event.text });
    }
    return pieces;
  };
}

/** Pieces that follow each other and belong together, as one. */
export interface Block {
  kind: 'thought' | 'text' | 'call';
  /** Of a call. */
  name: string;
  text: string;
}

/** Whether the piece goes on with the block. */
export function continues(block: Block | undefined, piece: Piece): boolean {
  return (
    block !== undefined &&
    (piece.kind === 'arguments' ? block.kind === 'call' : piece.kind === block.kind && piece.kind !== 'call')
  );
}

/** The blocks of a whole answer. */
export function blocksOf(pieces: readonly Piece[]): Block[] {
  const blocks: Block[] = [];
  for (const piece of pieces) {
    const last = blocks.at(-1);
    if (continues(last, piece) && piece.kind !== 'call') last!.text += piece.text;
    else if (piece.kind === 'call') blocks.push({ kind: 'call', name: piece.name, text: '' });
    else if (piece.kind !== 'arguments') blocks.push({ kind: piece.kind, name: '', text: piece.text });
  }
  return blocks.filter(({ kind, text }) => kind === 'call' || text.trim() !== '' || blocks.length === 1);
}

/** What a typed API does with one request. */
export interface TypedAnswer {
  /** Events before the first token. */
  begin(): string[];
  onPieces(pieces: readonly Piece[]): string[];
  end(counts: TypedCounts, finish: string): string[];
  plain(blocks: readonly Block[], counts: TypedCounts, finish: string): string;
}

export interface TypedCounts {
  prompt: number;
  completion: number;
  cached: number;
  reasoning: number;
}

export interface TypedOptions {
  id: string;
  createdS: number;
  model: string;
  /** The request's own fields, echoed by some answers. */
  body: Record<string, unknown>;
  promptTokens: number;
  randomId(): string;
}

export const typedEvent = (type: string, data: object): string => `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
