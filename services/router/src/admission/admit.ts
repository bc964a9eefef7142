/**
 * Rates, concurrency, caps and credit in one Redis round trip; a lease that is missing or short is waited for, at most
 * `waitMs` (MONEY.md 1.6, 5.1).
 */
import { parseVerdict } from '@tollgate/shared/contracts/money';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import { type CreditDecision, decideCredit } from '@tollgate/shared/domain/credit';
import { AppError } from '@tollgate/shared/domain/errors';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import { type LimitScope, NO_LIMITS, type RateLimits, tokenRateEstimate } from '@tollgate/shared/domain/limits';
import type { Nusd } from '@tollgate/shared/domain/money';
import type { AdmitInput, AdmitResult, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Admission, RequestContext } from '../context.ts';
import type { GenerationRequest } from '../contract/request.ts';
import type { Voids } from '../settlement/voids.ts';
import type { Answers } from './answers.ts';
import { holdAmount, outputLimit, type RequestSize } from './hold-bound.ts';

/** What `admit` would answer a request now. */
export type Foreseen =
  | { kind: 'admitted'; tokens: number; amountNusd: Nusd; clamped: boolean }
  /** The credit must be fetched from the ledger first: a request would wait for it. */
  | { kind: 'fetches_credit'; tokens: number; amountNusd: Nusd }
  | { kind: 'refused'; error: AppError; tokens: number; amountNusd: Nusd };

/** One read of Redis; nothing is held, charged or asked for. Sets `ctx.limits`. Throws 503 when Redis does not answer. */
export async function foresee(
  ctx: RequestContext,
  size: RequestSize,
  money: Pick<MoneyScripts, 'wouldAdmit'>,
  outboxBound: number,
): Promise<Foreseen> {
  const { key, model, request } = ctx;
  if (!key || !model || !request) throw new AppError('internal_error', { internal: 'foresee before validate' });
  const { tokens } = outputLimit(request.maxTokens, size, model);
  const amountNusd = holdAmount(size, model, tokens);
  const input = admitInput(ctx, key, model, size, tokens, amountNusd, outboxBound);
  let result: AdmitResult;
  try {
    result = await money.wouldAdmit(input);
  } catch (cause) {
    if (cause instanceof RangeError) throw new AppError('invalid_request', { param: 'max_tokens', cause });
    throw new AppError('store_unavailable', { retryAfterMs: 1_000, cause });
  }
  ctx.limits = result.limits;
  if (result.kind === 'ok' || result.kind === 'held') return { kind: 'admitted', tokens, amountNusd, clamped: false };
  if (result.kind !== 'need_lease')
    return { kind: 'refused', error: refusal(result as Refused, input), tokens, amountNusd };
  const decision = decide(result, result.nowMs, request, size, model, tokens);
  if (decision.kind === 'wait') return { kind: 'fetches_credit', tokens, amountNusd };
  if (decision.kind === 'clamp') {
    return { kind: 'admitted', tokens: decision.maxTokens, amountNusd: decision.amountNusd, clamped: true };
  }
  return { kind: 'refused', error: creditRefusal(decision, amountNusd), tokens, amountNusd };
}

export interface AdmitParts {
  money: Pick<MoneyScripts, 'admit'>;
  answers: Pick<Answers, 'wait'>;
  voids: Pick<Voids, 'give'>;
  clock: Clock;
  routerId: string;
  outboxBound: number;
  /** Patience with the keeper. */
  waitMs: number;
  /** Asked again this often even when no answer is heard: pushes may be lost. */
  pollMs: number;
}

/** An admission leaves at least this many of its kind in the lease, else the keeper is asked early for more. */
const LOW_WATER_REQUESTS = 8n;

/** Sets `ctx.limits` and returns the admission. Throws 402, 429, 503; then nothing is held. */
export async function admit(ctx: RequestContext, size: RequestSize, parts: AdmitParts): Promise<Admission> {
  const { key, model, request } = ctx;
  if (!key || !model || !request) throw new AppError('internal_error', { internal: 'admit before validate' });
  // A request that is taken over finds the hold of its first router: it asks for what that one was given.
  const limit = outputLimit(ctx.takenOver?.outputLimit ?? request.maxTokens, size, model);
  const fullNusd = holdAmount(size, model, limit.tokens);
  const input = admitInput(ctx, key, model, size, limit.tokens, fullNusd, parts.outboxBound);
  const startedMs = parts.clock.monotonicMs();
  let tokens = limit.tokens;
  let firstAnswerMs: number | null = null;
  for (;;) {
    const askedMs = parts.clock.monotonicMs();
    const result = await ask(input, parts);
    ctx.limits = result.limits;
    if (result.kind === 'ok' || result.kind === 'held') {
      return {
        intent: {
          requestId: ctx.requestId,
          accountId: key.accountId,
          keyId: key.keyId,
          projectId: key.projectId,
          userId: key.userId,
          model: model.id,
          leaseId: result.leaseId,
          history: result.history,
          heldNusd: input.amountNusd,
          priceId: model.priceId,
          prices: model.prices,
          ...(key.pricePercent === undefined ? {} : { pricePercent: key.pricePercent }),
          admittedAtMs: result.admittedAtMs,
          routerId: parts.routerId,
          workerUrl: null,
          promptBytes: ctx.promptBytes,
          stream: request.stream,
        },
        outputLimit: tokens,
        clamped: tokens < limit.tokens,
        limitIsGuess: limit.isGuess,
      };
    }
    if (result.kind !== 'need_lease') throw refusal(result as Refused, input);
    firstAnswerMs ??= result.nowMs;
    const decision = decide(result, firstAnswerMs, request, size, model, limit.tokens);
    if (decision.kind === 'clamp') {
      const lowered = decision.amountNusd < input.amountNusd;
      tokens = decision.maxTokens;
      input.amountNusd = decision.amountNusd;
      if (lowered) continue;
    } else if (decision.kind !== 'wait') throw creditRefusal(decision, fullNusd);
    const leftMs = parts.waitMs - (parts.clock.monotonicMs() - startedMs);
    if (leftMs <= 0)
      throw new AppError('credit_unavailable', { retryAfterMs: 1_000, internal: 'no answer of the keeper' });
    await parts.answers.wait(key.accountId, askedMs, Math.min(leftMs, parts.pollMs));
  }
}

async function ask(input: AdmitInput, parts: AdmitParts): Promise<AdmitResult> {
  try {
    return await parts.money.admit(input);
  } catch (cause) {
    if (cause instanceof RangeError) throw new AppError('invalid_request', { param: 'max_tokens', cause });
    // It may have run: its tombstone stops it, or its hold is given back.
    parts.voids.give({ ...input, tokens: 0 });
    throw new AppError('credit_unavailable', { retryAfterMs: 1_000, cause });
  }
}

function admitInput(
  ctx: RequestContext,
  key: KeyRecord,
  model: CatalogModel,
  size: RequestSize,
  tokens: number,
  amountNusd: Nusd,
  outboxBound: number,
): AdmitInput {
  const limits: Record<LimitScope, RateLimits> = {
    key: key.limits,
    account: key.accountLimits,
    model: key.modelLimits[model.id] ?? NO_LIMITS,
  };
  const charge = (scope: LimitScope): number =>
    tokenRateEstimate(ctx.promptBytes, tokens * size.choices, limits[scope].tokensPerMinute ?? Number.MAX_SAFE_INTEGER);
  return {
    accountId: key.accountId,
    keyId: key.keyId,
    model: model.id,
    requestId: ctx.requestId,
    amountNusd,
    limits,
    tokenCharge: { key: charge('key'), account: charge('account'), model: charge('model') },
    capDayNusd: key.capDayNusd === null ? null : BigInt(key.capDayNusd),
    capMonthNusd: key.capMonthNusd === null ? null : BigInt(key.capMonthNusd),
    outboxBound,
    lowWaterNusd: amountNusd * LOW_WATER_REQUESTS,
  };
}

function decide(
  result: AdmitResult & { kind: 'need_lease' },
  askedAtMs: number,
  request: GenerationRequest,
  size: RequestSize,
  model: CatalogModel,
  maxTokens: number,
): CreditDecision {
  return decideCredit(
    { why: result.why, lease: result.lease, verdict: readVerdict(result), askedAtMs },
    {
      maxTokens,
      minTokens: request.minTokens,
      wholeAnswerOnly: request.needsWholeOutput,
      holdNusd: (limit) => holdAmount(size, model, limit),
    },
  );
}

function readVerdict({ verdict }: AdmitResult & { kind: 'need_lease' }) {
  if (verdict === null) return null;
  try {
    return parseVerdict(verdict.text);
  } catch {
    // A keeper of another version: as if it had not answered.
    return null;
  }
}

type Refused = Extract<AdmitResult, { kind: 'limited' | 'capped' | 'metering_behind' | 'not_master' | 'resolved' }>;

function refusal(result: Refused, input: AdmitInput): AppError {
  switch (result.kind) {
    case 'limited':
      return new AppError(result.limit === 'concurrency' ? 'concurrency_limit_exceeded' : 'rate_limit_exceeded', {
        retryAfterMs: Math.max(1, result.retryAfterMs),
        metadata: { limit: result.limit, scope: result.scope },
      });
    case 'capped': {
      const cap = result.cap === 'day' ? input.capDayNusd : input.capMonthNusd;
      const left = (cap ?? 0n) - result.usedNusd;
      return new AppError('key_limit_reached', {
        metadata: {
          limit_source: `key_cap_${result.cap}`,
          required: String(input.amountNusd),
          available: String(left > 0n ? left : 0n),
          unit: 'nano_usd',
          resets_in_ms: result.resetsInMs,
        },
      });
    }
    case 'metering_behind':
      return new AppError('metering_behind', { retryAfterMs: 2_000 });
    case 'not_master':
      return new AppError('credit_unavailable', { retryAfterMs: 1_000, internal: 'Redis is not master' });
    case 'resolved':
      // Only an id that is taken over can have ended already: its router died after the bill.
      return new AppError('answer_not_kept', { internal: 'the request id was resolved already' });
  }
}

type CreditRefused = Exclude<CreditDecision, { kind: 'wait' | 'clamp' }>;

function creditRefusal(decision: CreditRefused, fullNusd: Nusd): AppError {
  switch (decision.kind) {
    case 'insufficient':
      return new AppError('insufficient_credits', {
        metadata: {
          limit_source: 'account_credit',
          required: String(decision.requiredNusd),
          required_in_full: String(fullNusd),
          available: String(decision.availableNusd > 0n ? decision.availableNusd : 0n),
          unit: 'nano_usd',
        },
      });
    case 'in_use':
      return new AppError('credit_in_use', { retryAfterMs: 1_000 });
    case 'unavailable':
      return new AppError('credit_unavailable', { retryAfterMs: 5_000, internal: 'credit is quarantined' });
  }
}
