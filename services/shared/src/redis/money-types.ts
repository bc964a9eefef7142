/**
 * Inputs and answers of the money scripts. Money is bigint nano-USD, times are milliseconds of the Redis clock,
 * tokens and counts are numbers. docs/internals.md section 3 says what each script does.
 */
import type { AccountId, KeyId, LeaseId, RequestId, RouterId } from '../domain/ids.ts';
import type { LimitKind, LimitScope, LimitState, RateLimits } from '../domain/limits.ts';

/** Numbers inside Redis's Lua are doubles: nothing above this may reach a script. */
export const MAX_SCRIPT_INTEGER = 9_007_199_254_740_991n;

/** How long a finished request's id is remembered, so that a late admit or a repeated settle is recognised. */
export const TOMBSTONE_MS = 600_000;

export interface AdmitInput {
  accountId: AccountId;
  keyId: KeyId;
  model: string;
  requestId: RequestId;
  amountNusd: bigint;
  limits: Record<LimitScope, RateLimits>;
  /** Tokens charged per scope: `tokenRateEstimate` with that scope's capacity; ignored where the scope has no limit. */
  tokenCharge: Record<LimitScope, number>;
  capDayNusd: bigint | null;
  capMonthNusd: bigint | null;
  /** With more records than this waiting in the bucket's outbox the answer is `metering_behind`. */
  outboxBound: number;
  /** With less than this free after the admission the keeper is asked for a refill. */
  lowWaterNusd: bigint;
}

/** Of the scope with the smallest remaining share; null = no scope has such a limit. */
export interface LimitStates {
  requests: LimitState | null;
  tokens: LimitState | null;
}

export type NeedReason = 'missing' | 'expired' | 'history' | 'short';

export type AdmitResult = { limits: LimitStates } & (
  | {
      /** `held` = a repeat of the same id while it is held: the same answer. */
      kind: 'ok' | 'held';
      leaseId: LeaseId;
      history: string;
      admittedAtMs: number;
    }
  | { kind: 'resolved' }
  | { kind: 'need_lease'; why: NeedReason; nowMs: number; lease: LeaseView | null; verdict: StoredVerdict | null }
  | {
      kind: 'limited';
      scope: LimitScope;
      limit: LimitKind;
      /** Wait after which no rate limit stands in the way; for `concurrency`, which has no such time, 1000. */
      retryAfterMs: number;
    }
  | { kind: 'capped'; cap: 'day' | 'month'; usedNusd: bigint; resetsInMs: number }
  /** Also when Redis is at `maxmemory`: then without limit states. */
  | { kind: 'metering_behind' }
  | { kind: 'not_master' }
);

/** The keeper's answer as it lies in Redis; `text` is the JSON of a `Verdict` (contracts/money.ts). */
export interface StoredVerdict {
  version: bigint;
  text: string;
}

/** A lease as Redis has it. free + held + spent + returned = granted. */
export interface LeaseView {
  leaseId: LeaseId;
  seq: bigint;
  history: string;
  expMs: number;
  grantedNusd: bigint;
  freeNusd: bigint;
  heldNusd: bigint;
  spentNusd: bigint;
  returnedNusd: bigint;
}

/** One running request in a heartbeat. `intent` and `progress` are JSON (contracts/money.ts). */
export interface Beat {
  accountId: AccountId;
  keyId: KeyId;
  model: string;
  requestId: RequestId;
  leaseId: LeaseId;
  /** `history` and `admittedAtMs` of the admit answer. */
  history: string;
  admittedAtMs: number;
  amountNusd: bigint;
  intent: string;
  progress: string;
}

/** `recreated` = the hold was gone (flush, failover) and stands again, holding no money; `resolved` = it has ended. */
export type BeatResult = 'held' | 'recreated' | 'resolved';

interface HoldRef {
  accountId: AccountId;
  keyId: KeyId;
  model: string;
  requestId: RequestId;
}

export interface SettleInput extends HoldRef {
  routerId: RouterId;
  /** The lease that admitted the request and that `record` names. */
  leaseId: LeaseId;
  amountNusd: bigint;
  /** Prompt and completion tokens really used; corrects the token buckets. */
  tokens: number;
  /** JSON of the `UsageRecord`; reaches Postgres as it is. */
  record: string;
}

/**
 * `settled` = the hold's money moved; `appended` = only the record was written (no hold, a hold of another lease, or
 * one that the reaper had ended); `repeated` = the record was there already.
 * `history` names the outbox that `streamId` belongs to: compare it with a confirmation's `history`, nothing else.
 */
export interface SettleResult {
  how: 'settled' | 'appended' | 'repeated';
  streamId: string;
  history: string;
  /** True = this record is in Postgres already: drop it. A repeat finds that out even where a confirmation was lost. */
  confirmed: boolean;
}

export interface VoidInput extends HoldRef {
  /** Tokens that stay charged to the token rate; 0 = all are given back. */
  tokens: number;
}

/** `absent` leaves a tombstone too, which a late admit of that id obeys. */
export type VoidResult = 'voided' | 'absent' | 'resolved';

export interface ReapInput extends VoidInput {
  /** Whose record it is. */
  routerId: RouterId;
  /** As `readHolds` told; anything else there now = `moved`. */
  expectedBeats: number;
  leaseId: LeaseId;
  /** Current history as `readHolds` told, not the hold's own. */
  history: string;
  amountNusd: bigint;
  /** JSON of an estimated `UsageRecord`; null = void. */
  record: string | null;
}

export type ReapResult = 'reaped' | 'voided' | 'moved' | 'resolved';

export interface HoldView extends HoldRef {
  leaseId: LeaseId;
  /** History that admitted it. */
  history: string;
  amountNusd: bigint;
  admittedAtMs: number;
  /** 0 = never heartbeaten. Only good for comparing with itself. */
  beats: number;
  /** Made by a heartbeat after a loss: holds no money of the lease in Redis. */
  recreated: boolean;
  intent: string | null;
  progress: string | null;
}

export interface HoldsRead {
  history: string;
  nowMs: number;
  holds: HoldView[];
  /** Ids in the list of live holds whose hash is gone; `dropOrphans` takes them off. */
  orphans: RequestId[];
}

/** What a key has spent in its UTC day and month, posted + estimated, when its account's lease is made. */
export interface CapSeed {
  keyId: KeyId;
  /** Days since 1970-01-01. */
  day: number;
  dayNusd: bigint;
  /** year * 12 + month (0..11). */
  month: number;
  monthNusd: bigint;
}

export interface GrantInput {
  accountId: AccountId;
  leaseId: LeaseId;
  /** From Postgres, growing per account. */
  seq: bigint;
  /** `run_id:master_replid` that the lease row names. */
  history: string;
  /** The bucket's era when the row was written; needed to create. */
  era: string;
  /** Cumulative: Redis takes max(granted, this). */
  grantedNusd: bigint;
  /** Already written to the row: Redis never holds a later one than Postgres. */
  expMs: number;
  /** Whether the hash may be made; false = add to an existing one only. */
  create: boolean;
  /** Redis time after which the call does nothing: a call delayed beyond the keeper's patience is void. */
  notAfterMs: number;
  /** Only used on creation. */
  caps: readonly CapSeed[];
}

export interface GrantResult {
  how: 'created' | 'added' | 'stale' | 'no_era' | 'not_master';
  lease: LeaseView | null;
}

interface LeaseRef {
  accountId: AccountId;
  leaseId: LeaseId;
  /** Current history as the caller knows it. */
  history: string;
}

export interface ExtendInput extends LeaseRef {
  /** Already written to the row, after it was read as open. Never lowers what Redis has. */
  expMs: number;
}

export interface ReclaimInput extends LeaseRef {
  /** Cumulative: free money moves to `returned` until it reaches this, or nothing is free. A repeat takes no more. */
  returnedNusd: bigint;
}

export interface ReclaimResult {
  how: 'reclaimed' | 'stale';
  lease: LeaseView | null;
}

/** `closed` tells the last totals: book `returned` from them. A lost answer looks like a lease that is gone. */
export interface CloseResult {
  how: 'closed' | 'busy' | 'stale';
  lease: LeaseView | null;
}

export interface LeaseRead {
  history: string;
  role: 'master' | 'replica';
  nowMs: number;
  era: string | null;
  lease: LeaseView | null;
}

export interface EraRead {
  era: string;
  created: boolean;
  history: string;
  nowMs: number;
}

export interface OutboxEntry {
  id: string;
  text: string;
  routerId: RouterId;
}

export interface DrainRead {
  /** `run_id:master_replid:outbox`; hand it to `drainAck`. */
  history: string;
  entries: OutboxEntry[];
  /** Records waiting, these included. */
  length: number;
}

/** The newest record of a router that Postgres holds: those with an id up to it, of the same history, are safe. */
export interface Confirmation {
  history: string;
  streamId: string;
}

/** What `GET /v1/key` shows; nothing is charged. */
export interface LimitsPeek {
  limits: LimitStates;
  /** Live holds per scope. */
  live: Record<LimitScope, number>;
  /** Held and spent by the key in the present UTC day and month, as the present lease counts it; null = no lease. */
  usedDayNusd: bigint | null;
  usedMonthNusd: bigint | null;
}
