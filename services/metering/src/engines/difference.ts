/** Why an engine counted other tokens than were billed: each difference by name (MONEY.md 6: billed + absorbed = counters). */
import type { EngineWork } from '@tollgate/shared/db/engine-counter-store';

export type DifferenceCause =
  /** Made for a client and billed to nobody, as the records say: retry, resume, abort_plain, invalid_retry, router_lost. */
  | 'absorbed'
  /** The engine ended more requests than this fleet's routers sent: somebody else uses the worker. */
  | 'foreign'
  /** Work of requests that were given up without a bill: clients that left before the first token. */
  | 'aborted'
  /** The engine began again and lost the end of what it had counted. */
  | 'restarted'
  /** More was billed than the engine counted, and it did not begin again: this must not be. */
  | 'overbilled';

export interface Difference {
  workerUrl: string;
  kind: 'prompt' | 'completion';
  cause: DifferenceCause;
  /** Engine minus bills: positive = made and not billed. Never 0. */
  tokens: number;
}

/** All that is not billed = counted. Empty where the books agree to the token. */
export function differencesOf(work: EngineWork): Difference[] {
  const { workerUrl, engine, billed } = work;
  const absorbed = Object.values(work.absorbed).reduce((sum, tokens) => sum + tokens, 0);
  const found: Difference[] = [];
  const note = (kind: Difference['kind'], cause: DifferenceCause, tokens: number) => {
    if (tokens !== 0) found.push({ workerUrl, kind, cause, tokens });
  };
  const restOf = (kind: Difference['kind'], rest: number) => {
    if (rest > 0) note(kind, engine.requests > billed.requests ? foreignOrAborted(work, kind, rest) : 'aborted', rest);
    else note(kind, engine.restarts > 0 ? 'restarted' : 'overbilled', rest);
  };
  // Absorbed tokens are output tokens; more than the engine made beyond the bills they cannot explain.
  const beyond = engine.completionTokens - billed.completionTokens;
  const explained = Math.max(0, Math.min(absorbed, beyond));
  note('completion', 'absorbed', explained);
  restOf('completion', beyond - explained);
  restOf('prompt', engine.promptTokens - billed.promptTokens);
  return found;
}

/** An aborted request of ours makes next to no output; a stranger's makes as much as any. */
function foreignOrAborted({ engine, billed }: EngineWork, kind: Difference['kind'], rest: number): DifferenceCause {
  const extra = engine.requests - billed.requests;
  const usual = billed.requests === 0 ? 0 : billed.completionTokens / billed.requests;
  const madeByExtra = (engine.completionTokens - billed.completionTokens) / extra;
  if (kind === 'completion') return rest / extra > usual / 10 ? 'foreign' : 'aborted';
  return madeByExtra > usual / 10 ? 'foreign' : 'aborted';
}
