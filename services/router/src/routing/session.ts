/**
 * A client's name of its conversation, as policies see it: of a fixed length whatever the name's, and another one for
 * every account (`salt` is the account's own secret), so that two accounts' equal names are two sessions.
 */
import { hash } from 'node:crypto';

export function sessionOf(salt: string, name: string): string {
  return hash('sha256', `${salt}\n${name}`, 'base64url');
}
