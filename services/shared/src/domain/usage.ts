import type { AccountId, KeyId, LeaseId, PriceId, RequestId, RouterId } from './ids.ts';
import type { Nusd, UnitPrices } from './money.ts';
import type { Outcome } from './outcome.ts';

/** Work that the fleet did and nobody is billed for, by cause (MONEY.md 6): billed + absorbed = the workers' counters. */
export const ABSORBED_CAUSES = ['retry', 'resume', 'abort_plain', 'invalid_retry', 'router_lost'] as const;
export type AbsorbedCause = (typeof ABSORBED_CAUSES)[number];

/** Where a token count came from; `estimated` = nobody told us, counted from bytes (MONEY.md 6, last row). */
export type CountSource = 'engine' | 'heartbeat' | 'estimated';

/**
 * What is known of an admitted request before it ends. It stands in the hold (as text), in the router's memory and in
 * every heartbeat, so that whoever survives can bill the request at the prices of its admission.
 */
export interface Intent {
  requestId: RequestId;
  accountId: AccountId;
  keyId: KeyId;
  projectId: string | null;
  userId: string | null;
  model: string;
  leaseId: LeaseId;
  /** The Redis history that granted the hold: `run_id:master_replid`. */
  history: string;
  heldNusd: Nusd;
  priceId: PriceId;
  /** What is charged: the price of that id, or its part. */
  prices: UnitPrices;
  /** The part, in per cent; absent = all of it. */
  pricePercent?: number;
  /** Redis clock at admission. */
  admittedAtMs: number;
  routerId: RouterId;
  workerUrl: string | null;
  /** Bound used for the hold and for an estimate when no usage was ever seen. */
  promptBytes: number;
  stream: boolean;
}

/** Latest counts of a running request, renewed by heartbeats. */
export interface Progress {
  promptTokens: number | null;
  completionTokens: number;
  source: CountSource;
}

/**
 * A finished request as billed. The unit of the outbox stream, of the router's spool and of the `settlements` table:
 * one per request id, whoever wrote it. `final: false` = written by the reaper from heartbeats; a router's own record
 * replaces it once.
 */
export interface UsageRecord extends Intent {
  version: 1;
  final: boolean;
  outcome: Outcome;
  status: number;
  finishReason: string | null;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  reasoningTokens: number;
  countSource: CountSource;
  /** `costNusd` of the three counts, clipped to `heldNusd`; `clipped` says so. */
  amountNusd: Nusd;
  clipped: boolean;
  absorbed: Partial<Record<AbsorbedCause, number>>;
  finishedAtMs: number;
  queueMs: number | null;
  firstTokenMs: number | null;
  durationMs: number;
  endpoint: string;
  clientRequestId: string | null;
  /** SHA-256 (base64url) of the request's body, for its receipt; absent where nobody saw the whole of it. */
  requestDigest?: string;
  /** Engine and version that answered, such as `vllm 0.32`. */
  engine?: string;
  /** What the client called the conversation and its own user; absent where it said nothing. */
  chatId?: string;
  endUser?: string;
  /** The program that asked, as it calls itself. */
  userAgent?: string;
}
