import type { LeaseId, RequestId } from '../domain/ids.ts';
import { LIMIT_SCOPES, type LimitKind, type LimitState, type RateLimits } from '../domain/limits.ts';
import { channels } from './keys.ts';
import { call, decodeLease, type MoneyContext, moneyArg, placesOf } from './money-context.ts';
import {
  type AdmitInput,
  type AdmitResult,
  type LimitStates,
  MAX_SCRIPT_INTEGER,
  type NeedReason,
  type StoredVerdict,
} from './money-types.ts';

const MINUTE_US = 60_000_000;
/** A bucket of so many tokens still counts exactly in Lua (60,000 units each). */
const MAX_TOKENS_PER_MINUTE = 100_000_000_000;

/** rpm, microseconds per request, tpm: as the scripts take a scope's rates; -1 = no limit. */
export function rateArgs(limits: RateLimits): [number, number, number] {
  const rpm = limits.requestsPerMinute ?? -1;
  const tpm = limits.tokensPerMinute ?? -1;
  // Rounded down: the burst is exactly rpm, and a minute never admits fewer than rpm.
  const intervalUs = rpm > 0 ? Math.max(1, Math.floor(MINUTE_US / rpm)) : 0;
  return [rpm, intervalUs, Math.min(tpm, MAX_TOKENS_PER_MINUTE)];
}

function charge(tokens: number, limits: RateLimits): number {
  return limits.tokensPerMinute === null ? 0 : Math.min(Math.max(0, Math.ceil(tokens)), limits.tokensPerMinute);
}

/** What `admit` would answer now: nothing is held, charged or asked for. One call. */
export function wouldAdmit(context: MoneyContext, input: Omit<AdmitInput, 'requestId'>): Promise<AdmitResult> {
  return admit(context, { ...input, requestId: NO_REQUEST });
}

/** Tells the script that it is only asked. */
const NO_REQUEST = '' as RequestId;

/** One call, all or nothing. Throws RangeError for an amount above 2^53 - 1, and what the client throws. */
export async function admit(context: MoneyContext, input: AdmitInput): Promise<AdmitResult> {
  const { keys, lease, verdict, limits, live } = placesOf(context, input);
  const terms = [
    input.outboxBound,
    // Only a hint for the keeper: no reason to refuse.
    moneyArg(input.lowWaterNusd > MAX_SCRIPT_INTEGER ? MAX_SCRIPT_INTEGER : input.lowWaterNusd),
    input.capDayNusd === null ? -1 : moneyArg(input.capDayNusd),
    input.capMonthNusd === null ? -1 : moneyArg(input.capMonthNusd),
  ];
  for (const scope of LIMIT_SCOPES) {
    const rates = input.limits[scope];
    terms.push(...rateArgs(rates), rates.concurrency ?? -1, charge(input.tokenCharge[scope], rates));
  }
  const reply = await call(
    context,
    'admit',
    [keys.state, lease, keys.hold(input.requestId), keys.holds, keys.outbox, keys.need, verdict, ...limits, ...live],
    // The numbers as one argument: each of its own costs the client as much as all of them here.
    [
      input.requestId,
      input.accountId,
      input.keyId,
      input.model,
      moneyArg(input.amountNusd),
      channels.need,
      `[${terms}]`,
    ],
  ).catch((error: unknown) => {
    // Redis at maxmemory refuses the script's first write, so nothing was written.
    if (error instanceof Error && error.message.startsWith('OOM')) return ['metering_behind', -1, 0, 0, -1, 0, 0];
    throw error;
  });
  return decodeAdmit(reply as unknown[]);
}

function state(reply: unknown[], at: number): LimitState | null {
  const limit = reply[at] as number;
  return limit < 0 ? null : { limit, remaining: reply[at + 1] as number, resetMs: reply[at + 2] as number };
}

/** Two triples from `at`: requests, tokens. */
export function decodeLimitStates(reply: unknown[], at: number): LimitStates {
  return { requests: state(reply, at), tokens: state(reply, at + 3) };
}

function decodeAdmit(reply: unknown[]): AdmitResult {
  const kind = reply[0] as AdmitResult['kind'];
  const limits = decodeLimitStates(reply, 1);
  switch (kind) {
    case 'ok':
    case 'held':
      return {
        kind,
        limits,
        leaseId: reply[7] as LeaseId,
        history: reply[8] as string,
        admittedAtMs: reply[9] as number,
      };
    case 'need_lease':
      return {
        kind,
        limits,
        why: reply[7] as NeedReason,
        nowMs: reply[8] as number,
        lease: decodeLease(reply[9]),
        verdict: decodeVerdict(reply[10], reply[11]),
      };
    case 'limited':
      return {
        kind,
        limits,
        scope: LIMIT_SCOPES[(reply[7] as number) - 1]!,
        limit: reply[8] as LimitKind,
        retryAfterMs: reply[9] as number,
      };
    case 'capped':
      return {
        kind,
        limits,
        cap: reply[7] as 'day' | 'month',
        usedNusd: BigInt(reply[8] as string),
        resetsInMs: reply[9] as number,
      };
    default:
      return { kind, limits };
  }
}

/** A cleared verdict keeps its version as a floor, with an empty text: nothing to read. */
function decodeVerdict(version: unknown, text: unknown): StoredVerdict | null {
  return typeof version === 'string' && typeof text === 'string' && text !== ''
    ? { version: BigInt(version), text }
    : null;
}
