/** Cuts blocks into chunks along the structure of the document: sections first, then paragraphs and rows, then sentences. */
import type { Block } from '../parse/block.ts';
import { estimateTokens } from './tokens.ts';

export interface Chunk {
  /** Headings above it, `Guide > Limits`. */
  heading: string;
  /** First and last place, such as `page 3` or `row 10 to row 19`. */
  place: string;
  text: string;
  tokens: number;
}

export interface ChunkRules {
  chunkTokens: number;
  /** Tokens of the end of a chunk that the next of the same section begins with. */
  overlapTokens: number;
}

const MAX_HEADING_CHARS = 120;
const MIN_PIECE_TOKENS = 40;
/** A new chunk begins at a heading only when the present one is at least this full: tiny sections stay together. */
const SMALL_SHARE = 0.25;

export function chunkBlocks(blocks: readonly Block[], rules: ChunkRules): Chunk[] {
  const chunks: Chunk[] = [];
  const path: string[] = [];
  let heading = '';
  let parts: Block[] = [];
  let tokens = 0;
  /** Parts at the beginning that the last chunk ended with: nothing new. */
  let repeated = 0;

  const close = (keepOverlap: boolean): void => {
    if (parts.length > repeated) {
      const text = parts.map((part) => part.text).join('\n');
      chunks.push({ heading, place: placeOf(parts.slice(repeated)), text, tokens: estimateTokens(text) });
    }
    const tail = keepOverlap ? overlapOf(parts, rules.overlapTokens) : [];
    parts = tail;
    repeated = tail.length;
    tokens = tail.reduce((sum, part) => sum + estimateTokens(part.text), 0);
  };

  const startFresh = (): void => {
    parts = [];
    repeated = 0;
    tokens = 0;
  };
  const push = (block: Block): void => {
    const size = estimateTokens(block.text) + 1;
    if (tokens + size > rules.chunkTokens) {
      close(true);
      heading = headingOf(path);
      // What is repeated may not crowd out what is new.
      if (tokens + size > rules.chunkTokens) startFresh();
    }
    parts.push(block);
    tokens += size;
  };

  // A piece leaves room for the overlap that comes before it.
  const pieceTokens = Math.max(MIN_PIECE_TOKENS, rules.chunkTokens - rules.overlapTokens);
  for (const block of blocks) {
    if (block.kind !== 'heading') {
      for (const piece of pieces(block, pieceTokens)) push(piece);
      continue;
    }
    const title = clip(block.text);
    if (tokens >= rules.chunkTokens * SMALL_SHARE) close(false);
    const level = block.level ?? 1;
    path.length = Math.min(path.length, level - 1);
    for (let i = path.length; i < level - 1; i++) path[i] ??= '';
    path[level - 1] = title;
    // What was too little for a chunk of its own goes on; the new heading is a line in it.
    if (parts.length > repeated) push({ kind: 'text', text: title, place: block.place });
    if (parts.length === repeated) {
      startFresh();
      heading = headingOf(path);
    }
  }
  close(false);
  return chunks;
}

const headingOf = (path: readonly string[]): string => clip(path.filter((part) => part !== '').join(' > '));
const clip = (text: string): string => text.slice(0, MAX_HEADING_CHARS).toWellFormed();

function placeOf(parts: readonly Block[]): string {
  const places = parts.map((part) => part.place).filter((place) => place !== '');
  const [first] = places;
  const last = places.at(-1);
  if (first === undefined || last === undefined) return '';
  return first === last ? first : `${first} to ${last}`;
}

/** The last parts that fit into the overlap. Rows stand for themselves and are not repeated. */
function overlapOf(parts: readonly Block[], overlapTokens: number): Block[] {
  const tail: Block[] = [];
  let left = overlapTokens;
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!;
    const size = estimateTokens(part.text) + 1;
    if (part.kind === 'row') break;
    if (size > left) {
      const sentence = lastSentences(part.text, left);
      if (sentence !== '') tail.unshift({ ...part, text: sentence });
      break;
    }
    tail.unshift(part);
    left -= size;
  }
  // A chunk is not repeated whole.
  return tail[0] === parts[0] ? [] : tail;
}

function lastSentences(text: string, tokens: number): string {
  const sentences = splitSentences(text);
  let kept = '';
  for (let i = sentences.length - 1; i > 0; i--) {
    const next = sentences[i]! + kept;
    if (estimateTokens(next) > tokens) break;
    kept = next;
  }
  return kept.trim();
}

/** A block that is too long for one chunk, cut at sentences, then at words, then anywhere between two characters. */
function pieces(block: Block, limit: number): Block[] {
  if (estimateTokens(block.text) + 1 <= limit) return [block];
  const found: Block[] = [];
  let text = '';
  const flush = (): void => {
    if (text.trim() !== '') found.push({ ...block, text: text.trim() });
    text = '';
  };
  for (const part of block.kind === 'code' ? block.text.split(/(?<=\n)/) : splitSentences(block.text)) {
    if (estimateTokens(text + part) + 1 > limit) flush();
    if (estimateTokens(part) + 1 <= limit) text += part;
    else for (const piece of splitWords(part, limit)) found.push({ ...block, text: piece });
  }
  flush();
  return found;
}

const splitSentences = (text: string): string[] =>
  text.split(/(?<=[.!?。！？]["')\]]?\s|\n)/u).filter((part) => part !== '');

function splitWords(text: string, limit: number): string[] {
  const found: string[] = [];
  let line = '';
  for (const word of text.split(/(?<=\s)/)) {
    if (estimateTokens(line + word) + 1 > limit && line !== '') {
      found.push(line.trim());
      line = '';
    }
    line += word;
    while (estimateTokens(line) + 1 > limit) {
      // An endless word. A cut never parts a surrogate pair.
      let at = Math.max(1, Math.min(line.length - 1, limit - 1));
      if (/[\ud800-\udbff]/.test(line[at - 1]!)) at++;
      found.push(line.slice(0, at));
      line = line.slice(at);
    }
  }
  if (line.trim() !== '') found.push(line.trim());
  return found.filter((part) => part !== '');
}
