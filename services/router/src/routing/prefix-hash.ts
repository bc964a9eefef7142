import { crc32 } from 'node:zlib';

/**
 * A prompt as a chain of block hashes, without a tokenizer (routing notes 6.2): canonical bytes in the order in which a
 * chat template prints them, cut into blocks of 1 KiB (about 256 tokens of English), each hash depending on all before.
 * The client's JSON would not do: key order, white space and sampling fields must not change it. The salt is per account, so
 * that one tenant's prompts never match another's, neither in the engine's cache nor in ours.
 *
 * CRC-32 runs in native code at gigabytes per second; two different lanes are mixed into 53 bits. It is not keyed and
 * need not be: a collision costs a bad pick within one's own account, nothing else.
 */
export const BLOCK_BYTES = 1024;

const MULTIPLIER = 0x9e3779b1;

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

/** Hashes of all full blocks of `bytes`; `salt` separates accounts and models. */
export function prefixChain(salt: string, bytes: Buffer): number[] {
  let hash = chain(0, crc32(salt));
  const count = Math.floor(bytes.length / BLOCK_BYTES);
  const hashes = new Array<number>(count);
  for (let i = 0; i < count; i++) {
    hash = chain(hash, crc32(bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES)));
    hashes[i] = hash;
  }
  return hashes;
}

/** The prompt as the worker is sent it: JSON text made anew from the request model, so that equal prompts are equal bytes. */
export interface PromptText {
  /** The template prints tools first. */
  tools: string | null;
  /** A JSON array. */
  messages: string;
}

/** Prompts up to this size are encoded into one buffer that is kept. */
const SCRATCH_BYTES = 1024 * 1024;
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/**
 * The chain of a prompt: tools, then messages, encoded once. `bytes` is the length of both texts in UTF-8. The array's
 * closing bracket is left out, so that a longer conversation begins with the bytes of the shorter one.
 */
export function promptChain(salt: string, { tools, messages }: PromptText, bytes: number): number[] {
  const buffer = bytes <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafe(bytes);
  let end = tools === null ? 0 : buffer.write(tools, 0);
  end += buffer.write(messages, end);
  return prefixChain(salt, buffer.subarray(0, end - 1));
}
