/**
 * Answers wait in Redis only sealed: AES-256-GCM under a key that derives from the pepper, which lies outside Redis. A
 * part opens only at its own place of its own entry.
 */
import { createHmac } from 'node:crypto';
import type { Random } from '@tollgate/shared/runtime/random';
import { deriveKey, openBytes, sealBytes } from '@tollgate/shared/runtime/seal';

export interface Seal {
  /** Name of an entry, or of a body: tells nothing of either. */
  digest(...parts: readonly string[]): string;
  /** Bytes as latin1 text -> base64. `place`: entry and index. */
  close(text: string, place: string): string;
  /** Throws when it was changed, moved, or sealed under another pepper. */
  open(sealed: string, place: string): string;
}

export function createSeal(pepper: string, random: Pick<Random, 'bytes'>): Seal {
  const cipherKey = deriveKey(pepper, 'tollgate repeats cipher');
  const digestKey = deriveKey(pepper, 'tollgate repeats digest');
  return {
    digest(...parts) {
      const hmac = createHmac('sha256', digestKey);
      // Lengths keep the parts apart: ('ab', 'c') is not ('a', 'bc').
      for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part);
      return hmac.digest('base64url');
    },
    close: (text, place) => sealBytes(cipherKey, Buffer.from(text, 'latin1'), place, random).toString('base64'),
    open: (sealed, place) => openBytes(cipherKey, Buffer.from(sealed, 'base64'), place).toString('latin1'),
  };
}
