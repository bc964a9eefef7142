/**
 * Byte-level byte-pair encoding as Qwen's tokenizer does it: special tokens are cut out first, the rest is split by
 * a regular expression, every piece is merged by rank. Ids: 0-6 special tokens, 7-262 the 256 bytes in the order of
 * GPT-2's byte alphabet, then one id per learned merge (`data/merges.txt`, trained by `scripts/train-bpe.ts`).
 */
import { readFileSync } from 'node:fs';

export const SPECIAL_TOKENS = [
  '<|endoftext|>',
  '<|im_start|>',
  '<|im_end|>',
  '<think>',
  '</think>',
  '<tool_call>',
  '</tool_call>',
] as const;

export const TOKEN = {
  endOfText: 0,
  imStart: 1,
  imEnd: 2,
  think: 3,
  endThink: 4,
  toolCall: 5,
  endToolCall: 6,
} as const;

const FIRST_BYTE_ID = SPECIAL_TOKENS.length;
const FIRST_MERGE_ID = FIRST_BYTE_ID + 256;
const SPECIAL_PATTERN = /<\|endoftext\|>|<\|im_start\|>|<\|im_end\|>|<think>|<\/think>|<tool_call>|<\/tool_call>/g;
/** Qwen2's pre-tokenizer: contractions, words with one leading mark, single digits, marks, white space. */
export const PIECE_PATTERN =
  /'(?:[sdmtSDMT]|ll|ve|re|LL|VE|RE)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/gu;
const MAX_CACHED_PIECES = 20_000;
/** Merging takes time in the square of a piece's length: longer ones (a blob of base64) are merged in parts. */
const MAX_PIECE_CHARS = 128;

function* boundedParts(piece: string): Generator<string> {
  for (let from = 0; from < piece.length; ) {
    let to = Math.min(piece.length, from + MAX_PIECE_CHARS);
    const last = piece.charCodeAt(to - 1);
    // Never between the halves of a surrogate pair.
    if (to < piece.length && last >= 0xd800 && last <= 0xdbff) to--;
    yield to - from === piece.length ? piece : piece.slice(from, to);
    from = to;
  }
}

/** GPT-2's map of bytes to printable characters: printable latin-1 stands for itself, the rest moves to U+0100 on. */
function byteAlphabet(): { charOf: string[]; idOf: Uint16Array } {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  const charOf: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) charOf[byte] = String.fromCharCode(printable(byte) ? byte : next++);
  const sorted = [...charOf.keys()].sort((a, b) => charOf[a]!.charCodeAt(0) - charOf[b]!.charCodeAt(0));
  const idOf = new Uint16Array(256);
  for (const [rank, byte] of sorted.entries()) idOf[byte] = FIRST_BYTE_ID + rank;
  return { charOf, idOf };
}

export const BYTE_ALPHABET: { charOf: string[]; idOf: Uint16Array } = byteAlphabet();

export interface Tokenizer {
  readonly vocabSize: number;
  /** Longest token in characters (vLLM derives its character limit of a prompt from it). */
  readonly maxTokenChars: number;
  /** Token ids of a text; special tokens written out in it become their ids, as in the real server. */
  encode(text: string): number[];
  /** Token ids of a text in which nothing is special (how a model spells `<tool_call>` under a grammar). */
  encodePlain(text: string): number[];
  /** Bytes of one token; empty for ids outside the vocabulary. */
  bytesOf(id: number): Uint8Array;
  /** Text of ids; broken UTF-8 becomes U+FFFD, unknown ids vanish. */
  decode(ids: readonly number[]): string;
  /** Text of one token on its own. */
  textOf(id: number): string;
  /** The token as its vocabulary file spells it, e.g. `Ġthe`. */
  spellingOf(id: number): string;
}

/** Builds a tokenizer from merge lines `left right` in rank order, in the byte alphabet. */
export function createTokenizer(mergeLines: readonly string[]): Tokenizer {
  const encoder = new TextEncoder();
  const { charOf, idOf } = BYTE_ALPHABET;
  const bytes: Uint8Array[] = SPECIAL_TOKENS.map((token) => encoder.encode(token));
  const spelling: string[] = [...SPECIAL_TOKENS];
  const idBySpelling = new Map<string, number>();
  for (let byte = 0; byte < 256; byte++) {
    bytes[idOf[byte]!] = Uint8Array.of(byte);
    spelling[idOf[byte]!] = charOf[byte]!;
    idBySpelling.set(charOf[byte]!, idOf[byte]!);
  }
  /** (left id * 65536 + right id) -> merged id; a lower id is a higher rank. */
  const merges = new Map<number, number>();
  for (const [rank, line] of mergeLines.entries()) {
    const space = line.indexOf(' ');
    const left = idBySpelling.get(line.slice(0, space));
    const right = idBySpelling.get(line.slice(space + 1));
    if (left === undefined || right === undefined) throw new Error(`merge ${rank} uses an unknown token`);
    const id = FIRST_MERGE_ID + rank;
    merges.set(left * 65_536 + right, id);
    bytes[id] = Uint8Array.of(...bytes[left]!, ...bytes[right]!);
    spelling[id] = line.slice(0, space) + line.slice(space + 1);
    idBySpelling.set(spelling[id]!, id);
  }
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const texts = bytes.map((raw) => decoder.decode(raw));
  const empty = new Uint8Array(0);
  const cache = new Map<string, readonly number[]>();

  function encodePiece(piece: string): readonly number[] {
    const known = cache.get(piece);
    if (known) return known;
    const ids = Array.from(encoder.encode(piece), (byte) => idOf[byte]!);
    for (;;) {
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i + 1 < ids.length; i++) {
        const merged = merges.get(ids[i]! * 65_536 + ids[i + 1]!);
        if (merged !== undefined && merged < best) best = merged;
      }
      if (best === Number.POSITIVE_INFINITY) break;
      let kept = 0;
      for (let i = 0; i < ids.length; kept++) {
        if (i + 1 < ids.length && merges.get(ids[i]! * 65_536 + ids[i + 1]!) === best) {
          ids[kept] = best;
          i += 2;
        } else ids[kept] = ids[i++]!;
      }
      ids.length = kept;
    }
    if (cache.size >= MAX_CACHED_PIECES) cache.clear();
    // Long pieces rarely come twice and would pin much memory.
    if (piece.length <= 32) cache.set(piece, ids);
    return ids;
  }

  function encodePlain(text: string, into: number[] = []): number[] {
    for (const match of text.matchAll(PIECE_PATTERN)) {
      for (const part of boundedParts(match[0])) for (const id of encodePiece(part)) into.push(id);
    }
    return into;
  }

  return {
    vocabSize: bytes.length,
    maxTokenChars: Math.max(...texts.map((text) => text.length)),
    encodePlain: (text) => encodePlain(text),
    encode(text) {
      const ids: number[] = [];
      let from = 0;
      for (const match of text.matchAll(SPECIAL_PATTERN)) {
        if (match.index > from) encodePlain(text.slice(from, match.index), ids);
        ids.push(SPECIAL_TOKENS.indexOf(match[0] as (typeof SPECIAL_TOKENS)[number]));
        from = match.index + match[0].length;
      }
      if (from < text.length) encodePlain(from === 0 ? text : text.slice(from), ids);
      return ids;
    },
    bytesOf: (id) => bytes[id] ?? empty,
    textOf: (id) => texts[id] ?? '',
    spellingOf: (id) => spelling[id] ?? '',
    decode(ids) {
      const parts = ids.map((id) => bytes[id] ?? empty);
      return decoder.decode(Buffer.concat(parts));
    },
  };
}

let shared: Tokenizer | undefined;

/** The package's own tokenizer, loaded once. */
export function defaultTokenizer(): Tokenizer {
  shared ??= createTokenizer(
    readFileSync(new URL('../../data/merges.txt', import.meta.url), 'utf8')
      .trimEnd()
      .split('\n'),
  );
  return shared;
}
