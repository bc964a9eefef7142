/** Secrets that must be read again (second factors, webhook secrets) lie in Postgres sealed: AES-256-GCM. */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import type { Random } from './random.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface Sealer {
  /** `place` says what the secret belongs to: it opens only there. */
  close(text: string, place: string): string;
  /** Throws when it was changed, moved, or sealed under another key. */
  open(sealed: string, place: string): string;
  /** Keyed digest (base64url) of a text for one use; tells nothing of the text. */
  digest(use: string, text: string): string;
}

/** A key for one purpose alone, from any secret text of the installation. */
export function deriveKey(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', purpose, 32));
}

/** Nonce, AES-256-GCM ciphertext and tag in one. `key`: 32 bytes. */
export function sealBytes(key: Buffer, bytes: Buffer, place: string, random: Pick<Random, 'bytes'>): Buffer {
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(place));
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** Throws when it was changed, moved to another place, or sealed under another key. */
export function openBytes(key: Buffer, sealed: Buffer, place: string): Buffer {
  const end = sealed.length - TAG_BYTES;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(place)).setAuthTag(sealed.subarray(Math.max(end, 0)));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()]);
}

/** `key`: any secret text of the installation; what is used derives from it, for this purpose alone. */
export function createSealer(key: string, random: Pick<Random, 'bytes'>): Sealer {
  const cipherKey = deriveKey(key, 'tollgate seal cipher');
  const digestKey = deriveKey(key, 'tollgate seal digest');
  return {
    close: (text, place) => sealBytes(cipherKey, Buffer.from(text), place, random).toString('base64url'),
    open: (sealed, place) => openBytes(cipherKey, Buffer.from(sealed, 'base64url'), place).toString('utf8'),
    digest: (use, text) => createHmac('sha256', digestKey).update(`${use.length}:${use}${text}`).digest('base64url'),
  };
}
