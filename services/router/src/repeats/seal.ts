/**
 * Answers wait in Redis only sealed: AES-256-GCM under a key that derives from the pepper, which lies outside Redis. A
 * part opens only at its own place of its own entry.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import type { Random } from '@tollgate/shared/runtime/random';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface Seal {
  /** Name of an entry, or of a body: tells nothing of either. */
  digest(...parts: readonly string[]): string;
  /** Bytes as latin1 text -> base64. `place`: entry and index. */
  close(text: string, place: string): string;
  /** Throws when it was changed, moved, or sealed under another pepper. */
  open(sealed: string, place: string): string;
}

export function createSeal(pepper: string, random: Pick<Random, 'bytes'>): Seal {
  const derive = (use: string) => Buffer.from(hkdfSync('sha256', pepper, '', `tollgate repeats ${use}`, 32));
  const cipherKey = derive('cipher');
  const digestKey = derive('digest');
  return {
    digest(...parts) {
      const hmac = createHmac('sha256', digestKey);
      // Lengths keep the parts apart: ('ab', 'c') is not ('a', 'bc').
      for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part);
      return hmac.digest('base64url');
    },
    close(text, place) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce).setAAD(Buffer.from(place));
      const bytes = [nonce, cipher.update(text, 'latin1'), cipher.final(), cipher.getAuthTag()];
      return Buffer.concat(bytes).toString('base64');
    },
    open(sealed, place) {
      const bytes = Buffer.from(sealed, 'base64');
      const end = bytes.length - TAG_BYTES;
      const decipher = createDecipheriv('aes-256-gcm', cipherKey, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(end));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]).toString('latin1');
    },
  };
}
