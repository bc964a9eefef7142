/**
 * Requests that kill workers. Any request may crash an engine (facts/reliability.md 5); one that has brought down two
 * workers before either said a word is not sent to a third, and not again when its client repeats it. Remembered is a
 * hash per account, never the request.
 *
 * Only failures before the first token count: a crash comes from reading the prompt, its schema or its parameters. A
 * worker that dies in the middle of many answers is no witness against any of them.
 */
import { createHash } from 'node:crypto';
import type { RequestText } from './body.ts';
import type { WorkerFailure } from './failure.ts';

const REMEMBER_MS = 600_000;
const MAX_REMEMBERED = 1_000;
export const STRIKES = 2;

/** True when the failure may be the request's own doing. */
export function isStrike({ reason, status }: WorkerFailure, sawToken: boolean): boolean {
  if (sawToken) return false;
  return reason === 'cut' || reason === 'engine_error' || (reason === 'bad_status' && status === 500);
}

export class Poison {
  /** Hash of account and request -> until when it is refused (monotonic). */
  private readonly refused = new Map<string, number>();
  private readonly nowMs: () => number;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  /** The request has `STRIKES` strikes. */
  remember(accountId: string, request: object, text: RequestText): void {
    this.refused.set(hashOf(accountId, request, text), this.nowMs() + REMEMBER_MS);
    if (this.refused.size > MAX_REMEMBERED) this.refused.delete(this.refused.keys().next().value!);
  }

  /** Costs nothing while nothing is remembered. */
  isRefused(accountId: string, request: object, text: RequestText): boolean {
    if (this.refused.size === 0) return false;
    const hash = hashOf(accountId, request, text);
    const untilMs = this.refused.get(hash);
    if (untilMs === undefined) return false;
    if (this.nowMs() < untilMs) return true;
    this.refused.delete(hash);
    return false;
  }
}

/** Everything that reaches a worker; `stream` makes no difference to an engine. */
function hashOf(accountId: string, request: object, { messages, tools }: RequestText): string {
  const parameters = JSON.stringify({ ...request, messages: null, tools: null, stream: null, labels: null });
  return createHash('sha256').update(`${accountId}\n${parameters}\n${tools}\n`).update(messages).digest('base64');
}
