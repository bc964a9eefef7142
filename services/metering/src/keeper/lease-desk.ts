/**
 * All that is done to one account's lease. The order between the stores is the safety (MONEY.md 1.4): what is granted is
 * in Postgres before Redis has it, what is given back has left Redis before Postgres books it. Both sides keep
 * cumulative totals, so any step may be repeated, by this process or by another one that does the same.
 */
import { encodeVerdict } from '@tollgate/shared/contracts/money';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Balance } from '@tollgate/shared/db/balance';
import type { Db } from '@tollgate/shared/db/client';
import { type Lease, LeaseStore } from '@tollgate/shared/db/lease-store';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import type { QuarantineWhy } from '@tollgate/shared/db/schema';
import { tx } from '@tollgate/shared/db/tx';
import { type AccountId, newId } from '@tollgate/shared/domain/ids';
import type { RedisClient } from '@tollgate/shared/redis/client';
import { bucketOf, channels } from '@tollgate/shared/redis/keys';
import type { CapSeed, LeaseRead, LeaseView, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { MeteringMetrics } from '../metrics.ts';
import { BurnMeter, grantSize } from './sizing.ts';

export interface LeaseDeskOptions {
  leaseMs: number;
  minLeaseNusd: bigint;
  /** A created or raised lease must reach Redis within this time (by its clock). */
  createWindowMs: number;
  verdictTtlMs: number;
  /** One Redis process behind the address and no replica: a new run id proves the old process dead (MONEY.md 1.5). */
  standalone: boolean;
}

export interface LeaseDeskDeps {
  db: Db;
  redis: RedisClient;
  scripts: MoneyScripts;
  clock: Clock;
  random: Random;
  logger: Logger;
  metrics: MeteringMetrics;
  options: LeaseDeskOptions;
}

/** An account as both stores have it after `align`: either no lease at all, or the same one on both sides. */
export interface Aligned {
  row: Lease | null;
  lease: LeaseView | null;
  history: string;
  era: string;
  /** Redis clock. */
  nowMs: number;
}

/** Redis cannot be used for leases at present; the caller tries again later. */
export class NotNow extends Error {
  override readonly name = 'NotNow';
}

const ATTEMPTS = 5;

export class LeaseDesk {
  readonly #deps: LeaseDeskDeps;
  readonly #leases: LeaseStore;
  readonly burn = new BurnMeter();

  constructor(deps: LeaseDeskDeps) {
    this.#deps = deps;
    this.#leases = new LeaseStore(deps.db);
  }

  /**
   * Makes both sides agree on the account's lease. The row is read before Redis, so what Redis says is never older
   * than the row: a history or an era that differs is gone for good, a hash that is missing was lost or never made.
   */
  async align(accountId: AccountId): Promise<Aligned> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const row = await this.#leases.openOf(accountId);
      const read = await this.#read(accountId);
      if (!row) return { row, lease: null, history: read.history, era: read.era, nowMs: read.nowMs };
      const gone = this.#whyGone(row, read);
      if (gone) {
        await this.quarantine(row, gone);
        continue;
      }
      if (read.lease?.leaseId !== row.id) {
        // Creating is inert for a lease id that was ever made (`made` in the bucket's state): this completes a creation
        // whose call was lost, and cannot bring a lost hash back (MONEY.md 1.3).
        const lease = await this.#push(row, read, true);
        if (lease) return { row, lease, history: read.history, era: read.era, nowMs: read.nowMs };
        await this.quarantine(row, 'missing');
        continue;
      }
      const agreed = await this.#agree(row, read.lease, read);
      if (agreed) return { ...agreed, history: read.history, era: read.era, nowMs: read.nowMs };
    }
    throw new NotNow('the lease did not come to rest');
  }

  #whyGone(row: Lease, read: LeaseRead): QuarantineWhy | null {
    if (row.history !== read.history) {
      const newProcess = runIdOf(row.history) !== runIdOf(read.history);
      return this.#deps.options.standalone && newProcess ? 'restart' : 'history';
    }
    return row.era === read.era ? null : 'era';
  }

  /** The same lease on both sides: brings the totals together. Null = it changed meanwhile. */
  async #agree(row: Lease, lease: LeaseView, read: LeaseRead): Promise<{ row: Lease; lease: LeaseView } | null> {
    const { logger } = this.#deps;
    if (lease.grantedNusd > row.grantedNusd) {
      // Either another keeper has raised it since our read of the row, or somebody wrote into Redis by hand.
      const now = await this.#leases.get(row.id);
      if (now?.state === 'open' && lease.grantedNusd > now.grantedNusd) {
        logger.error({ leaseId: row.id }, 'Redis has more granted than Postgres: lease taken out of use');
        await this.quarantine(row, 'replaced');
      }
      return null;
    }
    let agreed = lease;
    if (lease.grantedNusd < row.grantedNusd) {
      const raised = await this.#push(row, read, false);
      if (!raised) return null;
      agreed = raised;
    }
    if (agreed.returnedNusd <= row.returnedNusd) return { row, lease: agreed };
    const booked = await this.#leases.bookReturned(row.accountId, row.id, agreed.returnedNusd);
    return booked ? { row: booked.lease, lease: agreed } : null;
  }

  /** Tells Redis what the row says. Null when Redis refuses for good. */
  async #push(row: Lease, read: { nowMs: number }, create: boolean): Promise<LeaseView | null> {
    const { scripts, options } = this.#deps;
    const result = await scripts.grant({
      accountId: row.accountId,
      leaseId: row.id,
      seq: row.seq,
      history: row.history,
      era: row.era,
      grantedNusd: row.grantedNusd,
      expMs: row.expMs,
      create,
      notAfterMs: read.nowMs + options.createWindowMs,
      caps: create ? await this.#capSeeds(row.accountId, read.nowMs) : [],
    });
    if (result.how === 'not_master') throw new NotNow('Redis is not a master');
    return result.how === 'created' || result.how === 'added' ? result.lease : null;
  }

  async #capSeeds(accountId: AccountId, nowMs: number): Promise<CapSeed[]> {
    const now = new Date(nowMs);
    const day = Math.floor(nowMs / 86_400_000);
    const month = now.getUTCFullYear() * 12 + now.getUTCMonth();
    const spend = await this.#leases.capSpend(accountId, nowMs);
    return spend.map(({ keyId, dayNusd, monthNusd }) => ({ keyId, day, dayNusd, month, monthNusd }));
  }

  async #read(accountId: AccountId): Promise<LeaseRead & { era: string }> {
    const { scripts, random, logger } = this.#deps;
    let read = await scripts.readLease(accountId);
    if (read.role !== 'master') throw new NotNow('Redis is not a master');
    if (read.era === null) {
      const bucket = bucketOf(accountId, scripts.bucketCount);
      const made = await scripts.ensureEra(bucket, random.uuid());
      if (made.created) logger.warn({ bucket }, 'bucket without an era: new, flushed or lost; its leases are dead');
      read = await scripts.readLease(accountId);
    }
    if (read.era === null) throw new NotNow('the bucket has no era');
    return { ...read, era: read.era };
  }

  /**
   * Answers a need: aligns, extends, grants what the sizing says. `covered` = the lease now has `neededNusd` free;
   * `short`: the verdict in
   * Redis tells the router why not.
   */
  async serve(accountId: AccountId, neededNusd: bigint): Promise<'covered' | 'short' | 'unchanged'> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const aligned = await this.#extended(await this.align(accountId));
      const step = await this.#grant(accountId, neededNusd, aligned);
      if (step.kind === 'changed') continue;
      // Running low, and no more to be had: nobody waits for an answer.
      if (step.kind === 'nothing' && neededNusd === 0n) return 'unchanged';
      if (step.kind === 'granted') {
        const lease = await this.#push(step.row, aligned, aligned.row === null);
        // Refused: history or era changed under us; the next round quarantines the row.
        if (!lease) continue;
        aligned.lease = lease;
        aligned.row = step.row;
      } else if (step.kind === 'full') {
        await this.#replace(aligned.row!, aligned);
        continue;
      }
      const returnedNusd = step.kind === 'granted' ? step.row.returnedNusd : step.returnedNusd;
      return this.#answer(accountId, neededNusd, aligned, step.balance, returnedNusd);
    }
    throw new NotNow('the lease did not come to rest');
  }

  async #grant(accountId: AccountId, neededNusd: bigint, aligned: Aligned): Promise<GrantStep> {
    const { db, scripts, random, metrics, options, clock } = this.#deps;
    const { row, lease } = aligned;
    if (lease) this.burn.see(accountId, lease.leaseId, lease.heldNusd + lease.spentNusd, clock.monotonicMs());
    const step = await tx(db, async (trx): Promise<GrantStep> => {
      const balance = await new LedgerStore(trx).lockBalance(trx, accountId);
      if (!balance) return { kind: 'nothing', balance: null, returnedNusd: 0n };
      const leases = new LeaseStore(trx);
      const open = await leases.openOf(accountId);
      if (open?.id !== row?.id || open?.grantedNusd !== row?.grantedNusd) return { kind: 'changed' };
      const returnedNusd = open?.returnedNusd ?? 0n;
      const account = await new AccountStore(trx).get(accountId);
      // No grants to a frozen account nor while something is owed (MONEY.md 3.4).
      if (account?.status !== 'active' || balance.receivable > 0n) return { kind: 'nothing', balance, returnedNusd };
      const sizing = {
        availableNusd: balance.available,
        freeNusd: lease?.freeNusd ?? 0n,
        neededNusd,
        burnPerMinuteNusd: this.burn.perMinuteNusd(accountId),
        minLeaseNusd: options.minLeaseNusd,
      };
      const amount = grantSize({ ...sizing, grantedNusd: row?.grantedNusd ?? 0n });
      if (amount === 0n) {
        const atLimit = row !== null && grantSize({ ...sizing, grantedNusd: 0n }) > 0n;
        return atLimit ? { kind: 'full', balance } : { kind: 'nothing', balance, returnedNusd };
      }
      const expMs = aligned.nowMs + options.leaseMs;
      const granted = open
        ? await leases.add(accountId, open.id, amount, expMs)
        : await leases.open({
            id: newId('lease', random.bytes),
            accountId,
            bucket: bucketOf(accountId, scripts.bucketCount),
            history: aligned.history,
            era: aligned.era,
            amountNusd: amount,
            expMs,
          });
      return granted ? { kind: 'granted', row: granted.lease, balance: granted.balance, amount } : { kind: 'changed' };
    });
    if (step.kind === 'granted') {
      metrics.grantsTotal.inc({ kind: row ? 'raised' : 'opened' });
      metrics.grantedNusdTotal.inc(Number(step.amount));
    }
    return step;
  }

  async #answer(
    accountId: AccountId,
    neededNusd: bigint,
    { lease, nowMs }: Aligned,
    balance: Balance | null,
    returnedNusd: bigint,
  ): Promise<'covered' | 'short'> {
    const { scripts, redis, options } = this.#deps;
    if (lease && lease.freeNusd >= neededNusd) {
      // A grant publishes by itself; an extension, or money that came free meanwhile, does not.
      await redis.publish(channels.answer, accountId);
      return 'covered';
    }
    if (balance) {
      await scripts.setVerdict({
        accountId,
        version: balance.version,
        ttlMs: options.verdictTtlMs,
        text: encodeVerdict({
          version: balance.version,
          leaseId: lease ? lease.leaseId : null,
          grantedNusd: lease?.grantedNusd ?? 0n,
          // Of the same moment as `available`, which grows by what is returned: an older one would count that twice.
          returnedNusd,
          availableNusd: balance.available,
          quarantinedNusd: balance.quarantined,
          atMs: nowMs,
        }),
      });
    }
    return 'short';
  }

  /** Extends a lease of which more than a third of its time is over: Postgres first. */
  async #extended(aligned: Aligned): Promise<Aligned> {
    const { row, lease, nowMs } = aligned;
    const { scripts, options } = this.#deps;
    if (!row || !lease || lease.expMs - nowMs > (options.leaseMs * 2) / 3) return aligned;
    const expMs = nowMs + options.leaseMs;
    const extended = await this.#leases.extend(row.id, expMs);
    if (!extended) throw new NotNow('the lease was closed meanwhile');
    await scripts.extend({
      accountId: row.accountId,
      leaseId: row.id,
      history: aligned.history,
      expMs: extended.expMs,
    });
    return { ...aligned, row: extended, lease: { ...lease, expMs: extended.expMs } };
  }

  /** The same for the sweep. */
  async keepAlive(aligned: Aligned): Promise<void> {
    await this.#extended(aligned);
  }

  /** Takes all free money out of the account's lease and books it. Returns the lease in Redis afterwards. */
  async recall(aligned: Aligned): Promise<LeaseView | null> {
    const { row, lease, history } = aligned;
    const { scripts } = this.#deps;
    if (!row || !lease) return null;
    const result = await scripts.reclaim({
      accountId: row.accountId,
      leaseId: row.id,
      history,
      returnedNusd: lease.returnedNusd + lease.freeNusd,
    });
    if (result.how !== 'reclaimed' || !result.lease) return null;
    await this.#leases.bookReturned(row.accountId, row.id, result.lease.returnedNusd);
    return result.lease;
  }

  /**
   * Ends a lease that nobody uses: free money back, hash gone, row quarantined as `closed`; the release finishes it when
   * its last records are drained. False when requests hold money of it.
   */
  async retire(aligned: Aligned): Promise<boolean> {
    const { row, history } = aligned;
    const lease = await this.recall(aligned);
    if (!row || !lease || lease.heldNusd > 0n) return false;
    const result = await this.#deps.scripts.closeLease({ accountId: row.accountId, leaseId: row.id, history });
    if (result.how !== 'closed' || !result.lease) return false;
    await this.#leases.bookReturned(row.accountId, row.id, result.lease.returnedNusd);
    await this.quarantine(row, 'closed');
    this.burn.forget(row.accountId);
    return true;
  }

  /** A lease that has reached the largest amount that scripts count exactly makes room for a new one. */
  async #replace(row: Lease, aligned: Aligned): Promise<void> {
    await this.recall(aligned);
    await this.quarantine(row, 'replaced');
    await this.#deps.scripts.discardLease({ accountId: row.accountId, leaseId: row.id });
  }

  async quarantine(row: Lease, why: QuarantineWhy): Promise<void> {
    const { metrics, logger } = this.#deps;
    await this.#leases.quarantine(row.accountId, row.id, why);
    metrics.quarantinesTotal.inc({ why });
    if (why !== 'closed') logger.warn({ leaseId: row.id, accountId: row.accountId, why }, 'lease quarantined');
  }
}

type GrantStep =
  | { kind: 'changed' }
  /** `returnedNusd`: of the open lease, read with the balance. */
  | { kind: 'nothing'; balance: Balance | null; returnedNusd: bigint }
  | { kind: 'full'; balance: Balance }
  | { kind: 'granted'; row: Lease; balance: Balance; amount: bigint };

/** `run_id` of a history `run_id:master_replid`. */
function runIdOf(history: string): string {
  return history.slice(0, history.indexOf(':'));
}
