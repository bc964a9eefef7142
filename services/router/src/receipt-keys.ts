/** The public keys of receipts, for whoever holds one: the console tells them, this router keeps them for a while. */
import type { Clock } from '@tollgate/shared/runtime/clock';

const KEEP_MS = 60_000;
const TIMEOUT_MS = 2_000;

/** JSON text of the key set; an old one while the console is away, null when there never was one. */
export function receiptKeys(consoleUrl: string | undefined, clock: Clock): () => Promise<string | null> {
  let kept: string | null = null;
  let atMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (consoleUrl === undefined || clock.monotonicMs() - atMs < KEEP_MS) return kept;
    try {
      const answer = await fetch(`${consoleUrl.replace(/\/+$/, '')}/.well-known/jwks.json`, {
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await answer.text();
      if (answer.ok) {
        kept = text;
        atMs = clock.monotonicMs();
      }
    } catch {
      // The console is away: what was told before still holds.
    }
    return kept;
  };
}
