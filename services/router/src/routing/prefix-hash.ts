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
 * CRC-32 runs in native code at gigabytes per second; two different lanes are mixed into 53 bits. It is not keyed and
 * need not be: a collision costs a bad pick within one's own account, nothing else.
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

/** Mixes a block's hash into the chain; the result is an integer below 2^53, usable as a Map key. */
export function chain(previous: number, block: number): number {
  const low = previous % 0x100000000;
  const high = Math.floor(previous / 0x100000000);
  let a = Math.imul(low ^ block, MULTIPLIER) >>> 0;
  a = Math.imul(a ^ (a >>> 15), 0x85ebca6b) >>> 0;
  let b = Math.imul(high ^ (block >>> 7) ^ a, 0xc2b2ae35) >>> 0;
  b = (b ^ (b >>> 13)) >>> 0;
  return (b & 0x1fffff) * 0x100000000 + ((a ^ (b << 3)) >>> 0);
}

/**
 * Hashes of the blocks of `bytes`, whose first `headBytes` (tools) are a message of their own; `salt` separates accounts
 * and models. What is left at the end is a block too, if it is long enough: a prompt ends where a message ends.
 */
export function prefixChain(salt: string, bytes: Buffer, headBytes = 0): PrefixChain {
  let hash = chain(0, crc32(salt));
  const hashes: number[] = [];
  const ends: number[] = [];
  let boundary = headBytes > 0 ? headBytes : messageEnd(bytes, 0);
  for (let start = 0; start < bytes.length; ) {
    while (boundary - start < LEAST_BYTES && boundary < bytes.length) boundary = messageEnd(bytes, boundary);
    const end = Math.min(start + blockBytes(start), boundary);
    if (end - start < LEAST_BYTES) break;
    hash = chain(hash, crc32(bytes.subarray(start, end)));
    hashes.push(hash);
    ends.push(end);
    start = end;
  }
  return { hashes, ends };
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
