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

/** `key`: any secret text of the installation; what is used derives from it, for this purpose alone. */
export function createSealer(key: string, random: Pick<Random, 'bytes'>): Sealer {
  const derive = (use: string) => Buffer.from(hkdfSync('sha256', key, '', `tollgate seal ${use}`, 32));
  const cipherKey = derive('cipher');
  const digestKey = derive('digest');
  return {
    close(text, place) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce).setAAD(Buffer.from(place));
      return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
        'base64url',
      );
    },
    open(sealed, place) {
      const bytes = Buffer.from(sealed, 'base64url');
      const end = bytes.length - TAG_BYTES;
      const decipher = createDecipheriv('aes-256-gcm', cipherKey, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(Math.max(end, 0)));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]).toString('utf8');
    },
    digest: (use, text) => createHmac('sha256', digestKey).update(`${use.length}:${use}${text}`).digest('base64url'),
  };
}
