/**
 * THE HOT PATH. One chat request from its headers to its bill:
 *
 *   authenticate -> receive -> validate (schema gate) -> admit -> (choose -> forward -> relay) -> settle
 *
 * One context is opened at the top and closed once at the bottom, whatever happens in between; the answer to an error,
 * the bill, the log line and the metrics come from it.
 */
import type { ServerResponse } from 'node:http';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { AppError, toAppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import { type AdmitParts, admit } from './admission/admit.ts';
import {
  type AuthenticateParts,
  type AuthHeaders,
  authenticate,
  checkScope,
  mayUseModel,
} from './admission/authenticate.ts';
import type { RequestSize } from './admission/hold-bound.ts';
import { type AnswerForm, asksForForm } from './answer-form.ts';
import type { RequestContext } from './context.ts';
import type { ContractProfile, HeaderOf } from './contract/profile.ts';
import type { ChatRequest } from './contract/request.ts';
import { outcomeOf } from './outcomes.ts';
import { ClientLeft, type DeliverParts, deliver } from './relay/deliver.ts';
import type { Settlement } from './settlement/settle.ts';
import { requestText } from './upstream/body.ts';

/** One HTTP exchange, as far as the pipeline needs to know. */
export interface Exchange {
  headers: AuthHeaders;
  header: HeaderOf;
  /** The JSON value of the body. Throws 400, 413, 415, or ClientLeft. */
  readJson(): Promise<unknown>;
  response: ServerResponse;
  /** Tells the client of the error: as an answer, or as an event inside one that has begun. */
  sendError(ctx: RequestContext, error: AppError): void;
}

export interface PipelineParts {
  auth: AuthenticateParts;
  /** Refuses when this router can take no new request at all (draining, spool not writable). */
  checkOpen: () => void;
  catalogModel: (id: string) => CatalogModel | undefined;
  catalogModels: () => readonly CatalogModel[];
  /** The schema gate: refuses what cannot be promised, before anything is charged. */
  form: (ctx: RequestContext, request: ChatRequest) => Promise<AnswerForm>;
  admit: AdmitParts;
  deliver: DeliverParts;
  settlement: Pick<Settlement, 'settle'>;
  /** True when some worker could serve the model now. */
  canServe: (model: string) => boolean;
  /** The end of the request: its hold needs no more heartbeats, its figures are noted. */
  closed: (ctx: RequestContext) => void;
}

export async function serveChat(ctx: RequestContext, exchange: Exchange, parts: PipelineParts): Promise<void> {
  try {
    ctx.key = ctx.profile.identify(await authenticate(exchange.headers, parts.auth), exchange.header);
    checkScope(ctx.key, 'chat');
    parts.checkOpen();
    const body = await exchange.readJson();
    const request = validate(ctx, body);
    request.model ||= defaultModel(ctx.key, parts);
    ctx.model = sellableModel(request.model, ctx.key, parts);
    checkFits(request, ctx.model, ctx.profile);
    if (asksForForm(request)) ctx.form = await parts.form(ctx, request);
    if (!parts.canServe(request.model)) throw new AppError('no_worker', { retryAfterMs: 2_000 });
    ctx.admission = await admit(ctx, sizeOf(ctx, request), parts.admit);
    await deliver(ctx, exchange.response, parts.deliver);
  } catch (error) {
    noteFailure(ctx, error);
  } finally {
    await close(ctx, exchange, parts);
  }
}

function validate(ctx: RequestContext, body: unknown): ChatRequest {
  const request = ctx.profile.parseChat(body);
  ctx.request = request;
  ctx.text = requestText(request);
  return request;
}

/** A model that exists, is sold, and may be used with this key; its name alone tells a stranger nothing. */
function sellableModel(id: string, key: KeyRecord, parts: PipelineParts): CatalogModel {
  const model = parts.catalogModel(id);
  if (!model?.enabled) throw new AppError('model_not_found', { param: 'model' });
  if (!mayUseModel(key, id)) throw new AppError('model_not_allowed', { param: 'model' });
  return model;
}

/** The first model that is sold and that the key may use: some contracts let a client leave the choice to us. */
function defaultModel(key: KeyRecord, parts: PipelineParts): string {
  const model = parts.catalogModels().find(({ id, enabled }) => enabled && mayUseModel(key, id));
  if (model === undefined) throw new AppError('model_not_found', { param: 'model' });
  return model.id;
}

function checkFits(request: ChatRequest, model: CatalogModel, profile: ContractProfile): void {
  const end = model.maxModelLen - profile.contextMargin;
  if (request.maxTokens === null || request.maxTokens < end) return;
  if (request.maxTokensIsDefault) {
    request.maxTokens = Math.max(1, end - 1);
    return;
  }
  throw new AppError('context_length_exceeded', {
    param: 'max_tokens',
    message: `'max_tokens' must be below ${end}: the context length of this model is ${model.maxModelLen}.`,
  });
}

function sizeOf(ctx: RequestContext, request: ChatRequest): RequestSize {
  const messageBytes = Buffer.byteLength(ctx.text!.messages);
  const toolBytes = ctx.text!.tools === null ? 0 : Buffer.byteLength(ctx.text!.tools);
  ctx.promptBytes = messageBytes + toolBytes;
  return { messageBytes, toolBytes, messages: request.messages.length, choices: request.choices };
}

function noteFailure(ctx: RequestContext, error: unknown): void {
  if (error instanceof ClientLeft) {
    ctx.outcome = error.outcome;
    return;
  }
  ctx.error = toAppError(error);
  // `served` was noted before its bill failed: it is not.
  if (ctx.outcome === null || ctx.outcome === 'served') ctx.outcome = outcomeOf(ctx.error.code);
}

/** Bill first, then the last bytes: an error event ends a stream only once what it delivered is safe. */
async function close(ctx: RequestContext, exchange: Exchange, parts: PipelineParts): Promise<void> {
  try {
    await parts.settlement.settle(ctx);
  } catch (error) {
    ctx.error ??= toAppError(error);
  }
  if (ctx.error !== null) exchange.sendError(ctx, ctx.error);
  else if (ctx.outcome !== 'served') exchange.response.destroy();
  parts.closed(ctx);
}
