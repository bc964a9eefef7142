/**
 * One call of an opened worker endpoint, from its key to its bill: the same limits, hold and settlement as a generation,
 * and a fixed price. The body is not looked at: it goes to a worker as it came.
 */
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { AppError, toAppError } from '@tollgate/shared/domain/errors';
import { admit } from '../admission/admit.ts';
import { authenticate, checkScope, mayUseModel } from '../admission/authenticate.ts';
import type { RequestContext } from '../context.ts';
import type { GenerationRequest } from '../contract/request.ts';
import { CHAT_NEED, type Ticket } from '../fleet/worker.ts';
import { outcomeOf } from '../outcomes.ts';
import type { Exchange, PipelineParts } from '../pipeline.ts';
import { ClientLeft } from '../relay/deliver.ts';
import type { PassThroughRoute } from './routes.ts';

/** Brings the call to a worker and its answer to the client; `settle` comes before the last bytes of a good answer. */
export type Carry = (worker: string, settle: () => Promise<void>) => Promise<'answered' | 'refused'>;

/** The endpoint's name in logs, records and metrics: the paths are the operator's own. */
export const PASS_THROUGH = '/pass-through';

/** A call counts as one token of input: the sold model's input price is that of a million calls. */
const ONE_CALL = { promptTokens: 1, cachedTokens: 0, completionTokens: 0, reasoningTokens: 0, final: true };
const SIZE = { messageBytes: 1, toolBytes: 0, messages: 0, choices: 1 };

export async function passThrough(
  ctx: RequestContext,
  route: PassThroughRoute,
  exchange: Exchange,
  carry: Carry,
  parts: PipelineParts,
): Promise<void> {
  let ticket: Ticket | null = null;
  try {
    ctx.key = ctx.profile.identify(await authenticate(exchange.headers, parts.auth), exchange.header);
    checkScope(ctx.key, route.scope);
    parts.checkOpen();
    ctx.model = callModel(route, ctx, parts);
    ctx.request = requestOf(route.soldAs);
    ctx.promptBytes = SIZE.messageBytes;
    ctx.admission = await admit(ctx, SIZE, parts.admit);
    ticket = take(ctx, route, parts);
    parts.deliver.begun(ctx, () => exchange.response.destroy());
    ctx.dispatched = true;
    ctx.attempts = 1;
    ctx.workerUrl = ticket.worker;
    // A client that leaves has had its call.
    ctx.counts = ONE_CALL;
    const end = await carry(ticket.worker, () => {
      ctx.outcome = 'served';
      ctx.answerStarted = true;
      return parts.settlement.settle(ctx);
    });
    if (end === 'refused') ctx.outcome = 'worker_refused';
  } catch (error) {
    if (error instanceof ClientLeft) ctx.outcome = error.outcome;
    else {
      ctx.error = toAppError(error);
      ctx.outcome = outcomeOf(ctx.error.code);
    }
  } finally {
    ticket?.end(null);
    await close(ctx, exchange, parts);
  }
}

async function close(ctx: RequestContext, exchange: Exchange, parts: PipelineParts): Promise<void> {
  try {
    await parts.settlement.settle(ctx);
  } catch (error) {
    ctx.error ??= toAppError(error);
  }
  if (ctx.error !== null && !exchange.response.headersSent) exchange.sendError(ctx, ctx.error);
  else if (!exchange.response.writableEnded) exchange.response.destroy();
  parts.closed(ctx);
}

function callModel({ soldAs }: PassThroughRoute, { key }: RequestContext, parts: PipelineParts): CatalogModel {
  const model = parts.catalogModel(soldAs);
  if (!model?.enabled) throw new AppError('model_not_found', { internal: `${soldAs} is not sold` });
  if (!mayUseModel(key!, soldAs)) throw new AppError('model_not_allowed');
  return { ...model, templateTokens: 0, templateTokensPerMessage: 0 };
}

function requestOf(model: string): GenerationRequest {
  return {
    model,
    stream: false,
    usageInStream: 'hidden',
    choices: 1,
    maxTokens: 0,
    minTokens: 0,
    tools: null,
    toolChoice: null,
    structured: null,
    needsWholeOutput: true,
  };
}

function take(
  ctx: RequestContext,
  { model }: PassThroughRoute,
  { deliver: { fleet, cacheSalt } }: PipelineParts,
): Ticket {
  const { requestId: id, promptBytes } = ctx;
  const { accountId } = ctx.key!;
  const asked = { id, model, accountId, text: { messages: '', tools: null }, promptBytes, maxOutputTokens: 0 };
  const offer = fleet.offer(fleet.route({ ...asked, salt: cacheSalt(accountId) }, CHAT_NEED), [], false);
  if (offer.kind === 'taken') return offer.ticket;
  throw new AppError('no_worker', { retryAfterMs: 2_000 });
}
