/** What decides over one delivery and is not the delivery: its times, and whether it may be tried again. */
import type { Admission, RequestContext } from '../context.ts';
import { isReplaySafe, type WorkerFailure } from '../upstream/failure.ts';
import type { RelayLimits } from './relay.ts';

/** A contract that holds its clients instead of refusing them has times of its own. */
export function limitsOf({ profile: { keepAlive } }: RequestContext, limits: RelayLimits): RelayLimits {
  if (keepAlive === null) return limits;
  const { afterMs, everyMs } = keepAlive;
  const totalMs = Math.min(keepAlive.totalMs, limits.totalMs);
  return {
    ...limits,
    earlyAnswerMs: afterMs,
    pingMs: everyMs,
    blankLines: true,
    firstTokenMs: totalMs,
    plainMs: totalMs,
    totalMs,
  };
}

/** A document that broke its schema is tried again only where the contract says so; nothing of it was passed on. */
export function mayRepeat(ctx: RequestContext, failure: WorkerFailure): boolean {
  if (failure.reason !== 'invalid_output') return isReplaySafe(failure, ctx.answerStarted);
  return ctx.form?.checks.onInvalid === 'retry' && !ctx.request!.stream && !ctx.answerStarted;
}

/** The output limit was our own guess and did not fit: asks the tokenizer and lowers it, once. */
export async function lowerGuess(
  ctx: RequestContext,
  admission: Admission,
  countPrompt: (ctx: RequestContext) => Promise<number | null>,
): Promise<boolean> {
  if (!admission.limitIsGuess) return false;
  admission.limitIsGuess = false;
  const promptTokens = await countPrompt(ctx);
  if (promptTokens === null) return false;
  const rest = ctx.model!.maxModelLen - promptTokens;
  if (rest < 1 || rest >= admission.outputLimit) return false;
  admission.outputLimit = rest;
  return true;
}
