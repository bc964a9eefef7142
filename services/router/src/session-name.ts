/**
 * Which conversation a request belongs to, as its client names it: a hint of where to place it and nothing else, for the
 * policy `session-hash`, and for every policy while routers do not hear each other. The name is written to no log, record
 * or trace by being one, and reaches no worker; what policies see of it is salted by account (`routing/session.ts`).
 *
 * `user` does not count: it names a person, or a whole application, whose conversations should be spread.
 */
import type { HeaderOf } from './contract/profile.ts';
import type { RequestLabels } from './contract/request.ts';

const HEADERS = ['x-tollgate-session', 'x-session-id'] as const;
/** Characters that count; what comes behind them tells no sessions apart. */
export const MAX_SESSION_NAME = 256;

/** From the headers of a request; null = they name none. */
export function sessionHeader(header: HeaderOf): string | null {
  for (const name of HEADERS) {
    const value = header(name);
    if (value) return value.slice(0, MAX_SESSION_NAME);
  }
  return null;
}

/** What the headers name goes before what the body does: `prompt_cache_key`, else the contract's id of the chat. */
export function sessionName(fromHeaders: string | null, labels: RequestLabels | null | undefined): string | null {
  return fromHeaders ?? labels?.session ?? labels?.chatId ?? null;
}
