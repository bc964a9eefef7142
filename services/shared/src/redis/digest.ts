import { createHmac } from 'node:crypto';

/**
 * What is stored of an API key: HMAC-SHA-256 under the pepper, in hex. Without the pepper, which lies outside both
 * stores, a stolen copy of them cannot be tried against guesses; a fast hash is right for 190 bits of randomness.
 */
export function keyDigest(keyText: string, pepper: string): string {
  return createHmac('sha256', pepper).update(keyText).digest('hex');
}
