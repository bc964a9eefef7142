/** How far a kept request is: what a survivor needs to go on with it, or to end its bill. Holds counts, no text. */
import type { RequestContext } from '../context.ts';
import { NO_COUNTS, type TokenCounts } from '../relay/token-counts.ts';

export interface Progress {
  /** The output limit that it was admitted with (it may have been lowered); null = not admitted yet. */
  outputLimit: number | null;
  counts: TokenCounts;
}

/** A request whose router died, as the one that took it over finds it. */
export interface TakenOver extends Progress {
  /** Bytes of the answer that its client was given, as latin1 text. */
  text: string;
}

export function progressOf(ctx: RequestContext): string {
  const counts = ctx.reader?.counts ?? ctx.counts;
  return JSON.stringify({ outputLimit: ctx.admission?.outputLimit ?? null, counts } satisfies Progress);
}

/** Nothing known when it was never written. */
export function readProgress(text: string): Progress {
  return text === '' ? { outputLimit: null, counts: NO_COUNTS } : (JSON.parse(text) as Progress);
}
