import { encodeIntent, encodeProgress } from '@tollgate/shared/contracts/money';
import type { Beat } from '@tollgate/shared/redis/money-scripts';
import type { RequestContext } from '../context.ts';

/** The heartbeat of an admitted request as it stands now. */
export function beatOf(ctx: RequestContext): Beat {
  const { intent } = ctx.admission!;
  const counts = ctx.reader?.counts ?? ctx.counts;
  return {
    accountId: intent.accountId,
    keyId: intent.keyId,
    model: intent.model,
    requestId: ctx.requestId,
    leaseId: intent.leaseId,
    history: intent.history,
    admittedAtMs: intent.admittedAtMs,
    amountNusd: intent.heldNusd,
    intent: encodeIntent({ ...intent, workerUrl: ctx.workerUrl }),
    progress: encodeProgress({
      promptTokens: counts.promptTokens,
      completionTokens: counts.completionTokens,
      source: 'heartbeat',
    }),
  };
}
