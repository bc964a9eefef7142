/**
 * THE HOT PATH. One generation from its headers to its bill:
 *
 *   authenticate -> receive -> validate -> (ground) -> measure (schema gate) -> admit -> (choose -> forward -> relay) -> settle
 *
 * It is the same for every endpoint; how each of them speaks is an `Endpoint` (endpoints/endpoint.ts).
 * One context is opened at the top and closed once at the bottom, whatever happens in between; the answer to an error,
 * the bill, the log line and the metrics come from it.
 */
import { hash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { AppError, toAppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import { pricesAt } from '@tollgate/shared/domain/money';
import { type AdmitParts, admit } from './admission/admit.ts';
import {
  type AuthenticateParts,
  type AuthHeaders,
  authenticate,
  checkScope,
  mayUseModel,
} from './admission/authenticate.ts';
import { type AnswerForm, asksForForm } from './answer-form.ts';
import type { BodyCourier } from './bodies/courier.ts';
import type { RequestContext } from './context.ts';
import type { ContractProfile, HeaderOf } from './contract/profile.ts';
import type { GenerationRequest } from './contract/request.ts';
import type { Endpoint, EndpointSize } from './endpoints/endpoint.ts';
import { outcomeOf } from './outcomes.ts';
import { readQueueTerms } from './queue/terms.ts';
import { ClientLeft, type DeliverParts, deliver } from './relay/deliver.ts';
import { patchForm } from './relay/patch-form.ts';
import { endRecording, type Repeats } from './repeats/repeats.ts';
import { mayExplain } from './route-explain.ts';
import { sessionHeader } from './session-name.ts';
import type { Settlement } from './settlement/settle.ts';
import type { Tracing } from './tracing/tracing.ts';
import { withoutMediaMarks } from './upstream/media-marks.ts';

/** One HTTP exchange, as far as the pipeline needs to know. */
export interface Exchange {
  headers: AuthHeaders;
  header: HeaderOf;
  /** The JSON value of the body. Throws 400, 413, 415, or ClientLeft. */
  readJson(received?: (body: Buffer) => void): Promise<unknown>;
  response: ServerResponse;
  /** Tells the client of the error: as an answer, or as an event inside one that has begun. */
  sendError(ctx: RequestContext, error: AppError): void;
}

export interface ValidateParts {
  catalogModel: (id: string) => CatalogModel | undefined;
  catalogModels: () => readonly CatalogModel[];
}

export interface MeasureParts {
  /** The schema gate: refuses what cannot be promised, before anything is charged. */
  form: (ctx: RequestContext, request: GenerationRequest) => Promise<AnswerForm>;
  /** True when some worker could serve the model at this endpoint now. */
  canServe: (model: string, endpoint: Endpoint) => boolean;
  /** True when the model's workers do not have the endpoint at all. */
  lacks: (model: string, endpoint: Endpoint) => boolean;
}

export interface PipelineParts extends ValidateParts, MeasureParts {
  auth: AuthenticateParts;
  /** Refuses when this router can take no new request at all (draining, spool not writable). */
  checkOpen: () => void;
  /** Puts passages into the prompt where the request asks for it; after it the request is what the worker will get. */
  ground?: (ctx: RequestContext) => Promise<void>;
  /** Answers a repeat under an Idempotency-Key from what is kept of the first request, or lets it run as the first. */
  repeats: Repeats;
  /** Copies bodies for accounts that have them kept; absent where nobody takes them. */
  bodies?: Pick<BodyCourier, 'begin' | 'end'> | null;
  /** Absent where no collector is configured. */
  tracing?: Tracing | null;
  admit: AdmitParts;
  deliver: DeliverParts;
  settlement: Pick<Settlement, 'settle'>;
  /** The end of the request: its hold needs no more heartbeats, its figures are noted. */
  closed: (ctx: RequestContext) => void;
}

export async function serve(
  ctx: RequestContext,
  endpoint: Endpoint,
  exchange: Exchange,
  parts: PipelineParts,
): Promise<void> {
  ctx.generation = endpoint;
  ctx.trace = parts.tracing?.begin(ctx, exchange.header) ?? null;
  try {
    ctx.key = ctx.profile.identify(await authenticate(exchange.headers, parts.auth), exchange.header);
    checkScope(ctx.key, endpoint.scope);
    parts.checkOpen();
    ctx.queueTerms = readQueueTerms(exchange.header);
    ctx.session = sessionHeader(exchange.header);
    ctx.wantsExplanation = mayExplain(ctx.key, exchange.header);
    const body = await exchange.readJson((bytes) => {
      ctx.requestDigest = hash('sha256', bytes, 'base64url');
      if (ctx.key!.keepsBodies === true) parts.bodies?.begin(ctx, bytes, exchange.response);
    });
    if (await parts.repeats.answered(ctx, exchange, body)) return;
    const request = validate(ctx, endpoint, body, parts);
    if (request.patch) ctx.patchForm = patchForm(exchange.header('accept'));
    await parts.ground?.(ctx);
    const size = await measure(ctx, endpoint, parts);
    ctx.admission = await admit(ctx, size, parts.admit);
    await deliver(ctx, exchange.response, parts.deliver);
  } catch (error) {
    noteFailure(ctx, error);
  } finally {
    await close(ctx, exchange, parts);
  }
}

/** What the contract and the catalogue allow. Sets `ctx.request` and `ctx.model`. Throws 400, 403, 404. */
export function validate(
  ctx: RequestContext,
  endpoint: Endpoint,
  body: unknown,
  parts: ValidateParts,
): GenerationRequest {
  const request = endpoint.parse(body, ctx.profile);
  request.model ||= defaultModel(ctx.key!, parts);
  ctx.request = request;
  ctx.model = atKeyPrice(sellableModel(request.model, ctx.key!, parts), ctx.key!);
  return request;
}

/** Nothing is charged before this: the bounds of the hold, the form of the answer, a worker that has the endpoint. */
export async function measure(ctx: RequestContext, endpoint: Endpoint, parts: MeasureParts): Promise<EndpointSize> {
  const request = ctx.request!;
  ctx.text = withoutMediaMarks(endpoint.text(request));
  checkFits(request, ctx.model!, ctx.profile);
  if (asksForForm(request)) ctx.form = await parts.form(ctx, request);
  if (parts.lacks(request.model, endpoint)) throw new AppError('endpoint_not_supported', { param: 'model' });
  if (!parts.canServe(request.model, endpoint)) throw new AppError('no_worker', { retryAfterMs: 2_000 });
  const size = endpoint.size(request, ctx.text);
  ctx.promptBytes = size.promptBytes;
  return size;
}

/** A model that exists, is sold, and may be used with this key; its name alone tells a stranger nothing. */
function sellableModel(id: string, key: KeyRecord, parts: ValidateParts): CatalogModel {
  const model = parts.catalogModel(id);
  if (!model?.enabled) throw new AppError('model_not_found', { param: 'model' });
  if (!mayUseModel(key, id)) throw new AppError('model_not_allowed', { param: 'model' });
  return model;
}

/** A batch's lines pay a part of the price: hold, bill and record alike. */
function atKeyPrice(model: CatalogModel, { pricePercent }: KeyRecord): CatalogModel {
  return pricePercent === undefined ? model : { ...model, prices: pricesAt(model.prices, pricePercent) };
}

/** The first model that is sold and that the key may use: some contracts let a client leave the choice to us. */
function defaultModel(key: KeyRecord, parts: ValidateParts): string {
  const model = parts.catalogModels().find(({ id, enabled }) => enabled && mayUseModel(key, id));
  if (model === undefined) throw new AppError('model_not_found', { param: 'model' });
  return model.id;
}

function checkFits(request: GenerationRequest, model: CatalogModel, profile: ContractProfile): void {
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
  else if (ctx.outcome !== 'served' && ctx.outcome !== 'replayed') exchange.response.destroy();
  endRecording(ctx);
  if (ctx.bodyCopy !== null) parts.bodies?.end(ctx);
  ctx.trace?.end(ctx);
  parts.closed(ctx);
}
