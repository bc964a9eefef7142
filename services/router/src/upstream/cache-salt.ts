import { createHmac } from 'node:crypto';

const MAX_KEPT = 10_000;

/**
 * The prefix-cache salt of an account: its own, unguessable, the same on every router. One tenant can then neither
 * read nor time another's prefixes. In hex: later vLLMs allow few characters.
 */
export function cacheSalts(pepper: string): (accountId: string) => string {
  const kept = new Map<string, string>();
  return (accountId) => {
    let salt = kept.get(accountId);
    if (salt === undefined) {
      salt = createHmac('sha256', pepper).update(`cache-salt:${accountId}`).digest('hex');
      if (kept.size >= MAX_KEPT) kept.clear();
      kept.set(accountId, salt);
    }
    return salt;
  };
}
