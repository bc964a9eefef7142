/** The token by which services of one installation know each other. */
import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * True for the Authorization value of a service that knows the token. Both sides are hashed first, so that the comparison
 * takes the same time whatever was sent.
 */
export function serviceTokenCheck(token: string): (authorization: string | undefined) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (authorization) => timingSafeEqual(digest(authorization ?? ''), expected);
}
