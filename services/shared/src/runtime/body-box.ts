/**
 * A request's body and its answer as they are kept: compressed, then sealed with AES-256-GCM under a key that derives
 * from the pepper. Routers close boxes, the console opens them; between the two nobody can.
 */
import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import type { Random } from './random.ts';
import { deriveKey, openBytes, sealBytes } from './seal.ts';

export interface BodyPair {
  /** Bytes as latin1 text, one character a byte; perhaps only their beginning. */
  request: string;
  /** Null: no byte of an answer was given. */
  answer: { status: number; contentType: string; text: string } | null;
}

export interface BodyBox {
  /** `place` says whose it is: it opens only there. */
  close(pair: BodyPair, place: string): Promise<Buffer>;
  /** Rejects when it was changed, moved, or closed under another pepper. */
  open(sealed: Buffer, place: string): Promise<BodyPair>;
}

/** No pair is larger: what opens to more was not made here. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Fast: bodies are text that falls to a fourth at any level. */
const LEVEL = 1;
const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

export function bodyPlace(accountId: string, requestId: string): string {
  return `${accountId}:${requestId}`;
}

export function createBodyBox(pepper: string, random: Pick<Random, 'bytes'>): BodyBox {
  const key = deriveKey(pepper, 'tollgate kept bodies');
  return {
    async close(pair, place) {
      const { request, answer } = pair;
      // The texts follow the head as bytes: latin1 in JSON would double what is not ASCII.
      const head = { r: request.length, ...(answer && { s: answer.status, t: answer.contentType }) };
      const plain = Buffer.from(`${JSON.stringify(head)}\n${request}${answer?.text ?? ''}`, 'latin1');
      return sealBytes(key, (await deflate(plain, { level: LEVEL })) as Buffer, place, random);
    },
    async open(sealed, place) {
      const plain = (
        (await inflate(openBytes(key, sealed, place), { maxOutputLength: MOST_BYTES })) as Buffer
      ).toString('latin1');
      const end = plain.indexOf('\n');
      const { r, s, t } = JSON.parse(plain.slice(0, end)) as { r: number; s?: number; t?: string };
      const from = end + 1;
      return {
        request: plain.slice(from, from + r),
        answer: s === undefined ? null : { status: s, contentType: t ?? '', text: plain.slice(from + r) },
      };
    },
  };
}
