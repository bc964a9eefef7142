/**
 * Routers, keeper, reaper and drain of one account on two Redis servers, driven step by step. After each step the money
 * is counted: what Postgres has left, what it has posted, what routers have delivered or may deliver, and what any
 * server would still admit, can never be more than was credited.
 */
import type { AccountId, KeyId, RequestId } from '@tollgate/shared/domain/ids';
import { NO_LIMITS } from '@tollgate/shared/domain/limits';
import { compareStreamIds } from '@tollgate/shared/redis/drain';
import { bucketKeys, bucketOf } from '@tollgate/shared/redis/keys';
import type { LeaseRead, MoneyScripts, SettleInput, SettleResult } from '@tollgate/shared/redis/money-scripts';
import { type LeaseRow, Ledger, least, type Posting } from './ledger.ts';
import { type Fate, otherSide, type Side, type World } from './world.ts';

export const BUCKETS = 2;
const ACCOUNT: AccountId = 'acct_chaos';
const KEY: KeyId = 'key_chaos';
const MODEL = 'm';
const PLACE = { accountId: ACCOUNT, keyId: KEY, model: MODEL };
const BUCKET = bucketOf(ACCOUNT, BUCKETS);
const KEYS = bucketKeys(BUCKET);
const ROUTER = 'router1';

const LEASE_MS = 900_000;
const SKEW_MS = 60_000;
const GRACE_MS = 30_000;
const CREATE_WINDOW_MS = 5_000;

/** Bugs on the Postgres side. */
export type KeeperBug = 'books_returned_first' | 'pushes_again' | 'releases_at_once' | 'extends_redis_first';

interface Work {
  requestId: RequestId;
  amount: bigint;
  leaseId: `lease_${string}`;
  history: string;
  admittedAtMs: number;
  /** `dead` = its router is gone; `lost` = so is every trace of it. */
  state: 'running' | 'settled' | 'voided' | 'dead' | 'lost';
  /** What it costs: known when settled, decided by the reaper when dead. */
  cost: bigint;
}

interface Spooled {
  input: SettleInput;
  answer: SettleResult | null;
}

export class Machine {
  readonly world: World;
  readonly ledger = new Ledger();
  readonly #bug: KeeperBug | undefined;
  readonly #works = new Map<RequestId, Work>();
  /** Admissions whose answer never came, with what they ask for. */
  readonly #pending = new Map<RequestId, bigint>();
  readonly #reaped = new Map<RequestId, bigint>();
  readonly #spool = new Map<RequestId, Spooled>();
  readonly #lastReads: (LeaseRead | undefined)[] = [];
  #count = 0;

  constructor(world: World, bug?: KeeperBug) {
    this.world = world;
    this.#bug = bug;
  }

  async #try<T>(fates: readonly Fate[], call: () => Promise<T>): Promise<T | undefined> {
    this.world.fates = [...fates];
    try {
      return await call();
    } catch {
      // Lost, or a replica that refused: either way the caller does not know.
      return undefined;
    } finally {
      this.world.fates = [];
    }
  }

  #money(side: Side): MoneyScripts {
    return this.world.money[side];
  }

  // Routers

  async admit(side: Side, amount: bigint, fate: Fate): Promise<void> {
    const requestId: RequestId = `req_${++this.#count}`;
    await this.#admit(side, requestId, amount, fate);
  }

  async retryAdmit(side: Side, pick: number, fate: Fate): Promise<void> {
    const found = nth([...this.#pending], pick);
    if (found) await this.#admit(side, found[0], found[1], fate);
  }

  async #admit(side: Side, requestId: RequestId, amount: bigint, fate: Fate): Promise<void> {
    const answer = await this.#try([fate], () =>
      this.#money(side).admit({
        ...PLACE,
        requestId,
        amountNusd: amount,
        limits: { key: NO_LIMITS, account: NO_LIMITS, model: NO_LIMITS },
        tokenCharge: { key: 0, account: 0, model: 0 },
        capDayNusd: null,
        capMonthNusd: null,
        outboxBound: 1_000_000,
        lowWaterNusd: 0n,
      }),
    );
    if (!answer) {
      this.#pending.set(requestId, amount);
      return;
    }
    this.#pending.delete(requestId);
    if (answer.kind !== 'ok' && answer.kind !== 'held') return;
    const { leaseId, history, admittedAtMs } = answer;
    this.#works.set(requestId, { requestId, amount, leaseId, history, admittedAtMs, state: 'running', cost: 0n });
  }

  async settle(side: Side, pick: number, percent: number, fate: Fate): Promise<void> {
    const work = nth(this.#in('running'), pick);
    if (!work) return;
    work.state = 'settled';
    work.cost = (work.amount * BigInt(percent)) / 100n;
    const posting = { requestId: work.requestId, leaseId: work.leaseId, amountNusd: String(work.cost) };
    const input: SettleInput = {
      ...PLACE,
      requestId: work.requestId,
      routerId: ROUTER,
      leaseId: work.leaseId,
      amountNusd: work.cost,
      tokens: 0,
      record: JSON.stringify(posting),
    };
    const answer = await this.#try([fate], () => this.#money(side).settle(input));
    if (!answer?.confirmed) this.#spool.set(work.requestId, { input, answer: answer ?? null });
  }

  /** The router gives up a request that has delivered nothing; or one whose admission it never heard of. */
  async giveUp(side: Side, pick: number, fate: Fate): Promise<void> {
    const candidates = [...this.#in('running').map((work) => work.requestId), ...this.#pending.keys()];
    const requestId = nth(candidates, pick);
    if (!requestId) return;
    const work = this.#works.get(requestId);
    if (work) work.state = 'voided';
    this.#pending.delete(requestId);
    await this.#try([fate], () => this.#money(side).voidHold({ ...PLACE, requestId, tokens: 0 }));
  }

  async heartbeat(side: Side, fate: Fate): Promise<void> {
    const beats = this.#in('running').map((work) => ({
      ...PLACE,
      requestId: work.requestId,
      leaseId: work.leaseId,
      history: work.history,
      admittedAtMs: work.admittedAtMs,
      amountNusd: work.amount,
      intent: '{}',
      progress: '{}',
    }));
    if (beats.length > 0) await this.#try([fate], () => this.#money(side).heartbeat(BUCKET, beats));
  }

  /** A router dies: its request will cost what the reaper decides. */
  crash(pick: number, percent: number): void {
    const work = nth(this.#in('running'), pick);
    if (!work) return;
    work.state = 'dead';
    work.cost = (work.amount * BigInt(percent)) / 100n;
  }

  /** Sends everything again that is not confirmed. */
  async resend(side: Side, fates: readonly Fate[]): Promise<void> {
    let at = 0;
    for (const [id, entry] of this.#spool) {
      const fate = fates[at++] ?? 'ok';
      entry.answer = (await this.#try([fate], () => this.#money(side).settle(entry.input))) ?? entry.answer;
      if (entry.answer?.confirmed) this.#spool.delete(id);
    }
  }

  /** Drops what is confirmed. */
  async readConfirmations(side: Side): Promise<void> {
    const confirmed = (await this.#money(side).readConfirmations(ROUTER, [BUCKET])).get(BUCKET);
    if (!confirmed) return;
    for (const [id, { answer }] of this.#spool) {
      if (!answer || answer.history !== confirmed.history) continue;
      if (compareStreamIds(answer.streamId, confirmed.streamId) <= 0) this.#spool.delete(id);
    }
  }

  // Metering

  /** The reaper ends holds of dead routers, and admissions that nobody knows of. */
  async reap(side: Side, fate: Fate): Promise<void> {
    const read = await this.#try([], () => this.#money(side).readHolds(BUCKET));
    for (const hold of read?.holds ?? []) {
      const work = this.#works.get(hold.requestId);
      // A hold that a router still knows is renewed in time, or settled from its spool; the reaper leaves it.
      if (work?.state === 'running' || work?.state === 'settled') continue;
      this.#pending.delete(hold.requestId);
      if (!this.#reaped.has(hold.requestId)) {
        // Once, although another history may show other heartbeats.
        this.#reaped.set(hold.requestId, hold.beats === 0 ? 0n : (work?.cost ?? 0n));
        if (work) work.cost = this.#reaped.get(hold.requestId)!;
      }
      const cost = this.#reaped.get(hold.requestId)!;
      const posting = { requestId: hold.requestId, leaseId: hold.leaseId, amountNusd: String(cost) };
      await this.#try([fate], () =>
        this.#money(side).reap({
          ...PLACE,
          requestId: hold.requestId,
          leaseId: hold.leaseId,
          history: read!.history,
          expectedBeats: hold.beats,
          routerId: ROUTER,
          tokens: 0,
          amountNusd: cost,
          record: cost === 0n ? null : JSON.stringify(posting),
        }),
      );
    }
  }

  async drain(side: Side, fate: Fate): Promise<void> {
    const read = await this.#try([], () => this.#money(side).drainRead(BUCKET, 100));
    if (!read || read.entries.length === 0) return;
    for (const entry of read.entries) {
      const { amountNusd, ...posting } = JSON.parse(entry.text) as Omit<Posting, 'amountNusd'> & { amountNusd: string };
      this.ledger.post({ ...posting, amountNusd: BigInt(amountNusd) });
    }
    await this.#try([fate], () => this.#money(side).drainAck(BUCKET, read.history, read.entries));
  }

  /** One look of the keeper at the account, with one action. `stale` = it acts on what it saw last time. */
  async keep(
    side: Side,
    action: 'grant' | 'extend' | 'reclaim' | 'close' | 'discard',
    amount: bigint,
    stale: boolean,
    fates: readonly Fate[],
    eraFate: Fate = 'ok',
  ): Promise<void> {
    const money = this.#money(side);
    if (!stale || !this.#lastReads[side]) {
      const read = await this.#try([eraFate], async () => {
        await money.ensureEra(BUCKET, `era${++this.#count}`);
        return money.readLease(ACCOUNT);
      });
      if (!read) return;
      this.#lastReads[side] = read;
    }
    const read = this.#lastReads[side]!;
    if (read.role !== 'master' || read.era === null) return;
    let row = this.ledger.open();
    if (row && read.lease?.leaseId === row.leaseId) this.ledger.bookReturned(row, read.lease.returnedNusd);
    if (row && this.#isDead(row, read)) {
      if (this.#bug === 'pushes_again' && row.history === read.history && row.era === read.era) {
        row.seq += 1n;
        await this.#grant(side, row, read, true, fates);
        return;
      }
      row.state = 'quarantined';
      if (this.#bug === 'releases_at_once') this.ledger.release(row, 0n);
      row = undefined;
    }
    if (!row) {
      const granted = least(amount, this.ledger.available);
      if (granted === 0n) return;
      const fresh = this.ledger.openLease(read.history, read.era, granted, read.nowMs + LEASE_MS);
      await this.#grant(side, fresh, read, true, fates);
      return;
    }
    const ref = { accountId: ACCOUNT, leaseId: row.leaseId, history: row.history };
    if (action === 'grant') {
      this.ledger.grant(row, least(amount, this.ledger.available));
      await this.#grant(side, row, read, false, fates);
    } else if (action === 'extend') {
      const expMs = read.nowMs + LEASE_MS;
      if (this.#bug !== 'extends_redis_first') row.expMs = Math.max(row.expMs, expMs);
      await this.#try(fates, () => money.extend({ ...ref, expMs }));
    } else if (action === 'reclaim') {
      const returnedNusd = row.returned + least(amount, row.granted - row.returned);
      if (this.#bug === 'books_returned_first') {
        this.ledger.bookReturned(row, least(returnedNusd, row.granted - row.settled));
      }
      const answer = await this.#try(fates, () => money.reclaim({ ...ref, returnedNusd }));
      if (answer?.how === 'reclaimed' && answer.lease) this.ledger.bookReturned(row, answer.lease.returnedNusd);
    } else if (action === 'close') {
      const answer = await this.#try(fates, () => money.closeLease(ref));
      if (answer?.how === 'closed' && answer.lease) {
        // The hash is gone for good, a grant under way included: what was not spent is back.
        this.ledger.bookReturned(row, row.granted - answer.lease.spentNusd);
        row.state = 'quarantined';
      }
    } else if (action === 'discard') {
      const dead = this.ledger.leases.find((each) => each.state === 'quarantined');
      if (dead) await this.#try(fates, () => money.discardLease({ accountId: ACCOUNT, leaseId: dead.leaseId }));
    }
  }

  #isDead(row: LeaseRow, read: LeaseRead): boolean {
    return row.history !== read.history || row.era !== read.era || read.lease?.leaseId !== row.leaseId;
  }

  async #grant(side: Side, row: LeaseRow, read: LeaseRead, create: boolean, fates: readonly Fate[]): Promise<void> {
    await this.#try(fates, () =>
      this.#money(side).grant({
        accountId: ACCOUNT,
        leaseId: row.leaseId,
        seq: row.seq,
        history: row.history,
        era: row.era,
        grantedNusd: row.granted,
        expMs: row.expMs,
        create,
        notAfterMs: read.nowMs + CREATE_WINDOW_MS,
        caps: [],
      }),
    );
  }

  /**
   * Quarantined leases past exp, skew and grace give back what no live request holds. Within the grace, routers have
   * registered their requests with the present master again and sent their records there.
   */
  async release(): Promise<void> {
    const due = this.ledger.leases.filter(
      (row) => row.state === 'quarantined' && this.world.nowMs > row.expMs + SKEW_MS + GRACE_MS,
    );
    if (due.length === 0) return;
    const side = this.world.active;
    await this.heartbeat(side, 'ok');
    await this.resend(side, []);
    await this.drain(side, 'ok');
    const read = await this.#try([], () => this.#money(side).readHolds(BUCKET));
    if (!read) return;
    for (const row of due) {
      const holds = read.holds.filter((hold) => hold.leaseId === row.leaseId);
      // A tombstone hides a live request only if its hold was ended by mistake: then it is counted below all the same.
      const reserve = holds.reduce((sum, hold) => sum + hold.amountNusd, 0n);
      this.ledger.release(row, least(reserve, this.ledger.rest(row)));
      for (const work of this.#in('dead')) {
        const traced = holds.some((hold) => hold.requestId === work.requestId);
        if (work.leaseId === row.leaseId && !traced && !this.ledger.settlements.has(work.requestId))
          work.state = 'lost';
      }
    }
  }

  // The world

  async deliver(pick: number | 'newest'): Promise<void> {
    const { delayed } = this.world;
    if (delayed.length === 0) return;
    const [call] = delayed.splice(pick === 'newest' ? delayed.length - 1 : pick % delayed.length, 1);
    await call!();
  }

  async loseLease(side: Side): Promise<void> {
    if (await this.world.isMaster(side)) await this.world.servers[side].client.del(KEYS.lease(ACCOUNT));
  }

  async loseOutbox(side: Side): Promise<void> {
    if (await this.world.isMaster(side)) await this.world.servers[side].client.del(KEYS.outbox);
  }

  /** Takes every request's hold or tombstone away, as their expiry would in time. */
  async loseHolds(side: Side): Promise<void> {
    const holds = [...this.#works.keys()].map((id) => KEYS.hold(id));
    if (holds.length > 0 && (await this.world.isMaster(side))) await this.world.servers[side].client.del(holds);
  }

  async flush(side: Side): Promise<void> {
    if (await this.world.isMaster(side)) await this.world.servers[side].client.flushall();
  }

  async deleteKey(side: Side, pick: number): Promise<void> {
    if (!(await this.world.isMaster(side))) return;
    const holds = [...this.#works.keys(), ...this.#pending.keys()].map((id) => KEYS.hold(id));
    const { state, lease, outbox, confirm, holds: list, need } = KEYS;
    const kinds = [[lease(ACCOUNT)], [state], holds, holds, [outbox], [confirm], [list], [need]];
    const key = nth(nth(kinds, pick)!, Math.floor(pick / kinds.length));
    if (key === undefined) return;
    await this.world.servers[side].client.del(key);
  }

  // What must hold

  #in(state: Work['state']): Work[] {
    return [...this.#works.values()].filter((work) => work.state === state);
  }

  /** Null, or what is wrong now. Reads both servers. */
  async fault(): Promise<string | null> {
    const wrong = this.ledger.fault();
    if (wrong) return wrong;
    const known = new Set(this.#in('lost').map((work) => work.requestId as string));
    const short = this.ledger.short.find((posting) => !known.has(posting.requestId));
    if (short) return `lease ${short.leaseId} could not pay ${short.requestId}`;

    let exposed = this.ledger.available + this.ledger.posted;
    for (const work of this.#works.values()) {
      if (this.ledger.settlements.has(work.requestId)) continue;
      if (work.state === 'running') exposed += work.amount;
      if (work.state === 'settled' || work.state === 'dead') exposed += work.cost;
    }
    for (const read of await Promise.all(this.world.money.map((money) => money.readLease(ACCOUNT)))) {
      const { lease } = read;
      if (!lease) continue;
      const parts = [lease.freeNusd, lease.heldNusd, lease.spentNusd, lease.returnedNusd];
      if (parts.some((part) => part < 0n)) return `a total of ${lease.leaseId} is below zero`;
      if (parts.reduce((sum, part) => sum + part) !== lease.grantedNusd) return `${lease.leaseId} does not add up`;
      const row = this.ledger.leases.find((each) => each.leaseId === lease.leaseId);
      if (!row || lease.grantedNusd > row.granted) return `${lease.leaseId} has more in Redis than in Postgres`;
      if (lease.expMs > row.expMs) return `${lease.leaseId} lives longer in Redis than in Postgres`;
      const admissible = read.role === 'master' && read.history === lease.history && read.nowMs < lease.expMs;
      if (admissible) exposed += lease.freeNusd;
    }
    const credited = this.ledger.credited + this.ledger.uncollected;
    return exposed > credited ? `${exposed} may be spent of ${credited} credited` : null;
  }

  /** Everything ends and every record arrives. Null, or what is wrong then. */
  async finish(): Promise<string | null> {
    const side = this.world.active;
    while (this.#in('running').length > 0) await this.settle(side, 0, 100, 'ok');
    for (let round = 0; round < 3; round++) {
      await this.readConfirmations(side);
      await this.resend(side, []);
      await this.drain(side, 'ok');
      await this.readConfirmations(side);
    }
    if (this.#spool.size > 0) return `${this.#spool.size} records were never confirmed`;
    for (const work of this.#in('settled')) {
      if (this.ledger.settlements.get(work.requestId) !== work.cost)
        return `${work.requestId} is not billed as it ended`;
    }
    if (this.ledger.posted > this.ledger.credited) return 'more was posted than credited';
    return this.fault();
  }

  /** A server to talk to: the active one, or (rarely) the one that clients should have left. */
  side(wrong: boolean): Side {
    return wrong ? otherSide(this.world.active) : this.world.active;
  }
}

function nth<T>(list: readonly T[], pick: number): T | undefined {
  return list.length === 0 ? undefined : list[pick % list.length];
}
