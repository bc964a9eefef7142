/** The one place that says how an API key's text becomes its digest at rest. Console and router must agree on it. */
import { createHmac, createSecretKey } from 'node:crypto';

/** HMAC-SHA-256 under the pepper, in lower-case hex. A fast hash is right for 190 random bits. */
export function keyDigester(pepper: string): (keyText: string) => string {
  const secret = createSecretKey(pepper, 'utf8');
  return (keyText) => createHmac('sha256', secret).update(keyText).digest('hex');
}
