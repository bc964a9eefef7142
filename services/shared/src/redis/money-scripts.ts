/**
 * The Redis side of Tollgate's money, one method per script. Every method may throw what the client throws (connection,
 * deadline): then the call may or may not have run, and repeating it is safe.
 */
import type { AccountId, LeaseId, RequestId, RouterId } from '../domain/ids.ts';
import type { KeyRecord } from '../domain/key.ts';
import { type Random, systemRandom } from '../runtime/random.ts';
import { admit, wouldAdmit } from './admit.ts';
import { drainAck, drainRead, peekLimits, readConfirmations } from './drain.ts';
import { dropOrphans, heartbeat, readHolds, reap, settle, voidHold } from './holds.ts';
import {
  clearVerdict,
  closeLease,
  discardLease,
  ensureEra,
  extend,
  grant,
  readLease,
  reclaim,
  setFull,
  setVerdict,
  takeNeeds,
} from './leases.ts';
import type { CallGuard, MoneyClient, MoneyContext } from './money-context.ts';
import type * as T from './money-types.ts';
import { type LuaScript, loadScript } from './script-loader.ts';

export type { CallGuard, MoneyClient } from './money-context.ts';
export type * from './money-types.ts';

export interface MoneyScriptsOptions {
  /** Deadline and breaker around every call (`redis/client.ts`); none when absent. */
  guard?: CallGuard;
  random?: Random;
  /** Other texts for the scripts: tests plant bugs through it. */
  scripts?: (name: string) => LuaScript;
}

export class MoneyScripts {
  readonly bucketCount: number;
  readonly #context: MoneyContext;

  constructor(client: MoneyClient, bucketCount: number, options: MoneyScriptsOptions = {}) {
    this.bucketCount = bucketCount;
    const instance = (options.random ?? systemRandom).uuid();
    const scripts = new Map<string, LuaScript>();
    let count = 0;
    this.#context = {
      client,
      bucketCount,
      guard: options.guard ?? ((run) => run()),
      places: new Map(),
      freshText: () => `${instance}.${++count}`,
      script(name) {
        let script = scripts.get(name);
        if (!script) {
          script = (options.scripts ?? loadScript)(name);
          scripts.set(name, script);
        }
        return script;
      },
    };
  }

  /** Rates, concurrency, caps and the credit hold, all or nothing. */
  admit(input: T.AdmitInput): Promise<T.AdmitResult> {
    return admit(this.#context, input);
  }

  /** What `admit` would answer now; changes nothing. */
  wouldAdmit(input: Omit<T.AdmitInput, 'requestId'>): Promise<T.AdmitResult> {
    return wouldAdmit(this.#context, input);
  }

  /** Renews running requests of one bucket; answers in the same order. First sent at dispatch. */
  heartbeat(bucket: number, beats: readonly T.Beat[]): Promise<T.BeatResult[]> {
    return heartbeat(this.#context, bucket, beats);
  }

  /** Bills a request once: its hold becomes spent, its record enters the outbox. */
  settle(input: T.SettleInput): Promise<T.SettleResult> {
    return settle(this.#context, input);
  }

  /** Gives a hold back. Also for an admit whose answer never came: its tombstone stops a late one. */
  voidHold(input: T.VoidInput): Promise<T.VoidResult> {
    return voidHold(this.#context, input);
  }

  /** Ends a hold whose router is gone, unless it has moved since `readHolds`. */
  reap(input: T.ReapInput): Promise<T.ReapResult> {
    return reap(this.#context, input);
  }

  /** All live holds of a bucket. */
  readHolds(bucket: number): Promise<T.HoldsRead> {
    return readHolds(this.#context, bucket);
  }

  /** Takes ids without a hold off the list that `readHolds` reads. */
  dropOrphans(bucket: number, ids: readonly RequestId[]): Promise<void> {
    return dropOrphans(this.#context, bucket, ids);
  }

  /** Makes a lease or raises it to a cumulative total that Postgres has already written. */
  grant(input: T.GrantInput): Promise<T.GrantResult> {
    return grant(this.#context, input);
  }

  /** Raises a lease's exp to one that Postgres has already written. */
  extend(input: T.ExtendInput): Promise<'extended' | 'stale'> {
    return extend(this.#context, input);
  }

  /** Takes free money out; Postgres books the difference of `returned` afterwards. */
  reclaim(input: T.ReclaimInput): Promise<T.ReclaimResult> {
    return reclaim(this.#context, input);
  }

  /** Removes a lease with nothing free and nothing held; the answer has its last totals. */
  closeLease(input: { accountId: AccountId; leaseId: LeaseId; history: string }): Promise<T.CloseResult> {
    return closeLease(this.#context, input);
  }

  /** Removes the hash of a lease that Postgres has quarantined. */
  discardLease(input: { accountId: AccountId; leaseId: LeaseId }): Promise<'discarded' | 'absent'> {
    return discardLease(this.#context, input);
  }

  readLease(accountId: AccountId): Promise<T.LeaseRead> {
    return readLease(this.#context, accountId);
  }

  /** The bucket's era; if there is none, made of `freshEra` (random, new) and the server's time. Throws on a replica. */
  ensureEra(bucket: number, freshEra: string): Promise<T.EraRead> {
    return ensureEra(this.#context, bucket, freshEra);
  }

  /** False = a newer balance is known already. */
  setVerdict(input: { accountId: AccountId; version: bigint; text: string; ttlMs: number }): Promise<boolean> {
    return setVerdict(this.#context, input);
  }

  /** Forgets and from now on refuses verdicts on balances before `minVersion`. */
  clearVerdict(accountId: AccountId, minVersion: bigint): Promise<void> {
    return clearVerdict(this.#context, accountId, minVersion);
  }

  /** Accounts that asked for a lease or a refill, with the nano-USD that lacked (0 = running low); empties the list. */
  takeNeeds(bucket: number): Promise<Map<AccountId, bigint>> {
    return takeNeeds(this.#context, bucket);
  }

  /** While full, admissions of the bucket answer `metering_behind`. */
  setFull(bucket: number, full: boolean): Promise<void> {
    return setFull(this.#context, bucket, full);
  }

  /** The oldest records waiting in a bucket. */
  drainRead(bucket: number, count: number): Promise<T.DrainRead> {
    return drainRead(this.#context, bucket, count);
  }

  /** Removes committed records and confirms them. `entries` = what `drainRead` gave, or the first part of it. */
  drainAck(bucket: number, history: string, entries: readonly T.OutboxEntry[]): Promise<'acked' | 'history_changed'> {
    return drainAck(this.#context, bucket, history, entries);
  }

  /** Compare a record's `streamId` with `compareStreamIds`, and only where `history` equals the settle answer's. */
  readConfirmations(routerId: RouterId, buckets: readonly number[]): Promise<Map<number, T.Confirmation>> {
    return readConfirmations(this.#context, routerId, buckets);
  }

  /** For `GET /v1/key`; charges nothing. */
  peekLimits(record: KeyRecord, model: string): Promise<T.LimitsPeek> {
    return peekLimits(this.#context, record, model);
  }
}
