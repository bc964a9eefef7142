/**
 * `POST /quote`: what a request would cost at most and whether it would pass, now. The body is that of the endpoint,
 * which `endpoint` names (chat when it is absent). Free: nothing is held, charged or sent to a worker.
 */
import { AppError } from '@tollgate/shared/domain/errors';
import { nusdToUsd } from '@tollgate/shared/domain/money';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { type Foreseen, foresee } from './admission/admit.ts';
import { checkScope } from './admission/authenticate.ts';
import { promptBound } from './admission/hold-bound.ts';
import type { RequestContext } from './context.ts';
import { checkString, invalid, isAbsent, isObject, wrongType } from './contract/checks.ts';
import type { ChatRequest } from './contract/request.ts';
import type { Endpoint, EndpointName } from './endpoints/endpoint.ts';
import { ENDPOINTS } from './endpoints/index.ts';
import { groundingBytesBound } from './grounding/ground.ts';
import { type MeasureParts, measure, type ValidateParts, validate } from './pipeline.ts';

export interface QuoteParts extends ValidateParts, MeasureParts {
  money: Pick<MoneyScripts, 'wouldAdmit'>;
  outboxBound: number;
  /** Milliseconds to the first token as things stand; null = nobody can say. */
  expectedFirstTokenMs: (ctx: RequestContext, outputTokens: number) => number | null;
}

/** `ctx.key` is set. Throws what the request itself would be refused with because of its body, its key or its model. */
export async function quote(ctx: RequestContext, whole: unknown, parts: QuoteParts): Promise<unknown> {
  if (!isObject(whole)) throw wrongType('body', 'an object', whole);
  const { endpoint: asked, ...body } = whole;
  const endpoint = endpointOf(ctx, asked);
  ctx.generation = endpoint;
  checkScope(ctx.key!, endpoint.scope);
  const request = validate(ctx, endpoint, body, parts);
  const size = await measure(ctx, endpoint, { ...parts, canServe: () => true });
  const groundingBytes = groundingBytesBound(request as ChatRequest);
  size.messageBytes += groundingBytes;
  ctx.promptBytes += groundingBytes;
  const foreseen = await foresee(ctx, size, parts.money, parts.outboxBound);
  const model = ctx.model!;
  const refused = refusalOf(foreseen, parts.canServe(request.model, endpoint));
  return {
    object: 'quote',
    endpoint: endpoint.name,
    model: model.id,
    prompt_tokens_bound: promptBound(size, model),
    /** Bytes that passages may add to the prompt; they are in the bound. The question's vector is billed by itself. */
    ...(groundingBytes === 0 ? {} : { grounding_bytes_bound: groundingBytes }),
    output_tokens_limit: foreseen.tokens,
    choices: size.choices,
    /** The hold: no bill is ever above it. */
    max_cost_nusd: String(foreseen.amountNusd),
    max_cost_usd: nusdToUsd(foreseen.amountNusd),
    price_id: model.priceId,
    would_pass: refused === null,
    /** The output limit would be lowered, because credit is short. */
    output_lowered: foreseen.kind === 'admitted' && foreseen.clamped,
    /** `ready`: at hand. `fetched`: taken from the ledger first, which a request waits for. */
    credit: foreseen.kind === 'fetches_credit' ? 'fetched' : foreseen.kind === 'admitted' ? 'ready' : 'not_reserved',
    refused_by: refused,
    first_token_ms_expected: refused === null ? rounded(parts.expectedFirstTokenMs(ctx, foreseen.tokens)) : null,
  };
}

function endpointOf({ profile }: RequestContext, asked: unknown): Endpoint {
  if (isAbsent(asked)) return ENDPOINTS['/chat/completions'];
  const path = checkString('endpoint', asked, 64);
  const name = path.startsWith(profile.basePath) ? path.slice(profile.basePath.length) : path;
  if (!profile.endpoints.includes(name as EndpointName)) throw invalid('endpoint', 'it is not one of this API.');
  return ENDPOINTS[name as EndpointName];
}

/** Which limit refuses, and when it frees. */
function refusalOf(foreseen: Foreseen, hasWorker: boolean): object | null {
  const error =
    foreseen.kind === 'refused'
      ? foreseen.error
      : hasWorker
        ? null
        : new AppError('no_worker', { retryAfterMs: 2_000 });
  if (error === null) return null;
  const frees = error.retryAfterMs ?? (error.metadata?.resets_in_ms as number | undefined) ?? null;
  return { code: error.code, status: error.spec.status, frees_in_ms: frees, ...error.metadata };
}

const rounded = (ms: number | null): number | null => (ms === null ? null : Math.round(ms));
