import { infoLine, type Logger } from '@tollgate/shared/runtime/logger';
import type { RequestContext } from './context.ts';

/** One line per request: who, what, how it ended, what it cost. No prompt, no key, no header. */
export function logAccess(logger: Logger, ctx: RequestContext, durationMs: number): void {
  const { error } = ctx;
  const line = {
    requestId: ctx.requestId,
    clientRequestId: ctx.clientRequestId ?? undefined,
    endpoint: ctx.endpoint,
    status: ctx.status,
    outcome: ctx.outcome ?? undefined,
    accountId: ctx.key?.accountId,
    keyId: ctx.key?.keyId,
    userId: ctx.key?.userId ?? undefined,
    projectId: ctx.key?.projectId ?? undefined,
    endUser: ctx.request?.labels?.user,
    chatId: ctx.request?.labels?.chatId,
    contract: ctx.profile.name,
    model: ctx.model?.id,
    stream: ctx.request?.stream,
    worker: ctx.workerUrl ?? undefined,
    attempts: ctx.attempts || undefined,
    durationMs: Math.round(durationMs * 10) / 10,
    firstTokenMs: ctx.firstTokenMs === null ? undefined : Math.round((ctx.firstTokenMs - ctx.startedMs) * 10) / 10,
    promptTokens: ctx.counts.promptTokens ?? undefined,
    completionTokens: ctx.counts.completionTokens || undefined,
    amountNusd: ctx.amountNusd === null ? undefined : String(ctx.amountNusd),
    code: error?.code,
    why: error?.internal,
  };
  if (error?.spec.blame === 'platform') logger.error({ ...line, err: error.cause ?? error }, 'request');
  else infoLine(logger, line, 'request');
}
