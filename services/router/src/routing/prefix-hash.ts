import { crc32 } from 'node:zlib';

/**
 * A prompt as a chain of block hashes, without a tokenizer (routing notes 6.2): canonical bytes in the order in which a
 * chat template prints them, cut into blocks, each hash depending on all before. The client's JSON would not do: key
 * order, white space and sampling fields must not change it. The salt is per account, so that one tenant's prompts never
 * match another's, neither in the engine's cache nor in ours.
 *
 * Blocks are small at the head, where half a block is a large part of a short prompt, and end where a message ends: that
 * is where prompts part, and where the next turn of a conversation begins. A block's size depends only on where it
 * starts, so that prompts with a common start are cut alike for as long as they agree.
 *
 * The hash is made for speed in compiled JavaScript: words of four bytes in four lanes that do not wait for each other (a
 * native CRC-32 per block cost twice as much, most of it in calls). A hash is 31 bits of a state of 64, which
 * makes it a small integer and look-ups in a Map several times as fast. It is not keyed and need not be: a collision
 * costs a bad pick within one's own account, nothing else, and does not last beyond its block.
 */
export interface PrefixChain {
  hashes: number[];
  /** Byte at which each block ends. */
  ends: number[];
}

const KIB = 1024;
const MULTIPLIER = 0x9e3779b1;
/** A message shorter than this shares a block with the next one. */
const LEAST_BYTES = 64;
/** Where one message ends and the next begins. Within a text its quotes would be escaped. */
const NEXT_MESSAGE = Buffer.from('},{"role":"');

/** Bytes of the block that starts at `start`: about 32, then 64, then 256 tokens of English, and 1,024 far behind. */
export function blockBytes(start: number): number {
  if (start < 4 * KIB) return 128;
  if (start < 16 * KIB) return 256;
  return start < 64 * KIB ? KIB : 4 * KIB;
}

const mixed = (hash: number): number => {
  const product = Math.imul(hash, MULTIPLIER);
  return product ^ (product >>> 15);
};

/** What the blocks so far come to. */
class State {
  private low: number;
  private high: number;

  constructor(seed: number) {
    this.low = mixed(seed);
    this.high = mixed(this.low ^ seed);
  }

  /** Takes in the bytes of one block. Words are those of the whole prompt: where two agree, they are cut alike. */
  add(bytes: Uint8Array, words: Int32Array, start: number, end: number): void {
    let a = this.low;
    let b = this.high;
    let c = a ^ 0x5bd1e995;
    let d = b ^ (end - start);
    let at = start;
    for (; (at & 3) !== 0 && at < end; at++) a = mixed(a ^ bytes[at]!);
    let word = at >>> 2;
    const lastWord = end >>> 2;
    for (; word + 8 <= lastWord; word += 8) {
      a = Math.imul(a ^ words[word]!, MULTIPLIER) ^ words[word + 1]!;
      b = Math.imul(b ^ words[word + 2]!, MULTIPLIER) ^ words[word + 3]!;
      c = Math.imul(c ^ words[word + 4]!, MULTIPLIER) ^ words[word + 5]!;
      d = Math.imul(d ^ words[word + 6]!, MULTIPLIER) ^ words[word + 7]!;
      a = (a << 13) | (a >>> 19);
      b = (b << 13) | (b >>> 19);
      c = (c << 13) | (c >>> 19);
      d = (d << 13) | (d >>> 19);
    }
    for (; word < lastWord; word++) a = mixed(a ^ words[word]!);
    for (at = Math.max(at, lastWord << 2); at < end; at++) b = mixed(b ^ bytes[at]!);
    this.low = mixed(mixed(mixed(a) ^ b) ^ mixed(mixed(c) ^ d));
    this.high = mixed(mixed(mixed(d) ^ a) ^ mixed(mixed(b) ^ c));
  }

  /** A small integer, zero or more. */
  get hash(): number {
    return (this.low ^ (this.high >>> 7)) >>> 1;
  }
}

/**
 * Hashes of the blocks of `bytes`, whose first `headBytes` (tools) are a message of their own; `salt` separates accounts
 * and models. What is left at the end is a block too, if it is long enough: a prompt ends where a message ends.
 */
export function prefixChain(salt: string, bytes: Buffer, headBytes = 0): PrefixChain {
  const state = new State(crc32(salt));
  const words = wordsOf(bytes);
  const hashes: number[] = [];
  const ends: number[] = [];
  let boundary = headBytes > 0 ? headBytes : messageEnd(bytes, 0);
  for (let start = 0; start < bytes.length; ) {
    while (boundary - start < LEAST_BYTES && boundary < bytes.length) boundary = messageEnd(bytes, boundary);
    const end = Math.min(start + blockBytes(start), boundary);
    if (end - start < LEAST_BYTES) break;
    state.add(bytes, words, start, end);
    hashes.push(state.hash);
    ends.push(end);
    start = end;
  }
  return { hashes, ends };
}

/** Its whole words of four bytes. The kept buffer, and whatever Node allocates, begins where a word may. */
function wordsOf(bytes: Buffer): Int32Array {
  const { buffer, byteOffset, length } = (bytes.byteOffset & 3) === 0 ? bytes : Uint8Array.from(bytes);
  return new Int32Array(buffer, byteOffset, length >>> 2);
}

/** Where the message that `from` lies in ends; the end of all where it is the last one. */
function messageEnd(bytes: Buffer, from: number): number {
  const at = bytes.indexOf(NEXT_MESSAGE, from);
  return at === -1 ? bytes.length : at + 1;
}

/** The prompt as the worker is sent it: JSON text made anew from the request model, so that equal prompts are equal bytes. */
export interface PromptText {
  /** The template prints tools first. */
  tools: string | null;
  /** A JSON array. */
  messages: string;
}

/** Prompts up to this size are encoded into one buffer that is kept. */
const SCRATCH_BYTES = 1024 * KIB;
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/**
 * The chain of a prompt: tools, then messages, encoded once. `bytes` is the length of both texts in UTF-8. The array's
 * closing bracket is left out, so that a longer conversation begins with the bytes of the shorter one.
 */
export function promptChain(salt: string, { tools, messages }: PromptText, bytes: number): PrefixChain {
  const buffer = bytes <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafe(bytes);
  const head = tools === null ? 0 : buffer.write(tools, 0);
  const end = head + buffer.write(messages, head);
  return prefixChain(salt, buffer.subarray(0, end - 1), head);
}
