/**
 * Leases, Postgres side (MONEY.md section 1). Every method that moves money locks the account's balance first, then the
 * lease; its idempotency is the cumulative total: booking a total twice changes nothing.
 */
import { sql } from 'kysely';
import type { AccountId, KeyId, LeaseId } from '../domain/ids.ts';
import { type Balance, giveBack, leaseOut, quarantine } from './balance.ts';
import type { Executor, Tx } from './client.ts';
import { type LeaseRow, leaseRest, releaseLease, restColumn, returnOnLease } from './lease-money.ts';
import { LedgerStore } from './ledger-store.ts';
import type { LeaseState, QuarantineWhy } from './schema.ts';
import { inTx } from './tx.ts';

export interface Lease {
  id: LeaseId;
  seq: bigint;
  accountId: AccountId;
  bucket: number;
  history: string;
  era: string;
  grantedNusd: bigint;
  returnedNusd: bigint;
  releasedNusd: bigint;
  settledNusd: bigint;
  overdrawnNusd: bigint;
  /** What it still holds back: in `leased` while open, in `quarantined` while quarantined. */
  restNusd: bigint;
  /** Redis clock; never below what Redis holds. */
  expMs: number;
  state: LeaseState;
  quarantineWhy: QuarantineWhy | null;
  quarantinedAtMs: number | null;
}

export interface NewLease {
  id: LeaseId;
  accountId: AccountId;
  bucket: number;
  history: string;
  era: string;
  amountNusd: bigint;
  expMs: number;
}

/** What a key has spent in its UTC day and month of admission. */
export interface KeySpend {
  keyId: KeyId;
  dayNusd: bigint;
  monthNusd: bigint;
}

/** Each becomes four fields of a Redis hash. */
const CAP_SEEDS_MAX = 1_000;

export class LeaseStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async get(id: string): Promise<Lease | null> {
    const row = await this.#db.selectFrom('leases').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? view(row) : null;
  }

  /** The account's open lease; there is one at most. */
  async openOf(accountId: string): Promise<Lease | null> {
    const row = await this.#db
      .selectFrom('leases')
      .selectAll()
      .where('account_id', '=', accountId)
      .where('state', '=', 'open')
      .executeTakeFirst();
    return row ? view(row) : null;
  }

  /** Leases in a state, by ascending id, starting after `afterId`. */
  async list(state: 'open' | 'quarantined', afterId: string | null, limit: number): Promise<Lease[]> {
    let query = this.#db.selectFrom('leases').selectAll().where('state', '=', state);
    if (afterId !== null) query = query.where('id', '>', afterId);
    return (await query.orderBy('id').limit(limit).execute()).map(view);
  }

  /** Open leases of accounts with a debt: their free part is to be recalled (MONEY.md 3.4). */
  async openOfDebtors(limit: number): Promise<Lease[]> {
    const rows = await this.#db
      .selectFrom('leases as l')
      .innerJoin('balances as b', 'b.account_id', 'l.account_id')
      .selectAll('l')
      .where('l.state', '=', 'open')
      .where('b.receivable', '>', 0n)
      .limit(limit)
      .execute();
    return rows.map(view);
  }

  /**
   * Opens a lease over available money. The caller holds the account's balance lock and has seen that no lease is open.
   * @throws {BalanceError} when the amount is not available.
   */
  open(lease: NewLease): Promise<{ lease: Lease; balance: Balance }> {
    return inTx(this.#db, async (trx) => {
      const { balance } = await new LedgerStore(trx).post(
        { kind: 'lease_grant', idemKey: `${lease.id}:${lease.amountNusd}`, accountId: lease.accountId },
        (before) => leaseOut(before, lease.amountNusd),
      );
      const { rows } = await sql<LeaseRow>`
        INSERT INTO leases (id, seq, account_id, bucket, history, era, granted, exp_ms)
        SELECT ${lease.id}, coalesce(max(seq), 0) + 1, ${lease.accountId}, ${lease.bucket}, ${lease.history}, ${lease.era},
               ${lease.amountNusd}, ${lease.expMs}
        FROM leases WHERE account_id = ${lease.accountId} RETURNING *`.execute(trx);
      return { lease: view(rows[0]!), balance };
    });
  }

  /** Adds to an open lease and extends it. Null when it is not open any more. */
  add(
    accountId: string,
    leaseId: string,
    amountNusd: bigint,
    expMs: number,
  ): Promise<{ lease: Lease; balance: Balance } | null> {
    return inTx(this.#db, async (trx) => {
      const locked = await this.#lock(trx, accountId, leaseId);
      if (locked?.state !== 'open') return null;
      const granted = locked.granted + amountNusd;
      const { balance } = await new LedgerStore(trx).post(
        { kind: 'lease_grant', idemKey: `${leaseId}:${granted}`, accountId },
        (before) => leaseOut(before, amountNusd),
      );
      const row = await trx
        .updateTable('leases')
        .set({ granted, exp_ms: sql<bigint>`greatest(exp_ms, ${expMs})` })
        .where('id', '=', leaseId)
        .returningAll()
        .executeTakeFirstOrThrow();
      return { lease: view(row), balance };
    });
  }

  /** Writes a later expiry to an open lease: before Redis gets it (MONEY.md 1.2). Null when it is not open. */
  async extend(leaseId: string, expMs: number): Promise<Lease | null> {
    const row = await this.#db
      .updateTable('leases')
      .set({ exp_ms: sql<bigint>`greatest(exp_ms, ${expMs})` })
      .where('id', '=', leaseId)
      .where('state', '=', 'open')
      .returningAll()
      .executeTakeFirst();
    return row ? view(row) : null;
  }

  /** Books Redis's cumulative `returned` of an open lease, as read on the lease's own history. Null: not open. */
  bookReturned(
    accountId: string,
    leaseId: string,
    returnedTotalNusd: bigint,
  ): Promise<{ lease: Lease; balance: Balance | null } | null> {
    return inTx(this.#db, async (trx) => {
      const locked = await this.#lock(trx, accountId, leaseId);
      if (locked?.state !== 'open') return null;
      const { lease, freed } = returnOnLease(locked, returnedTotalNusd);
      if (lease.returned === locked.returned) return { lease: view(locked), balance: null };
      const { balance } = await new LedgerStore(trx).post(
        { kind: 'lease_return', idemKey: `${leaseId}:${lease.returned}`, accountId },
        (before) => giveBack(before, freed, 'leased'),
      );
      return { lease: view(await this.#write(trx, lease)), balance };
    });
  }

  /** Ends a lease whose hash is gone or whose history is not the present one. Idempotent; null when it is unknown. */
  quarantine(accountId: string, leaseId: string, why: QuarantineWhy): Promise<Lease | null> {
    return inTx(this.#db, async (trx) => {
      const locked = await this.#lock(trx, accountId, leaseId);
      if (!locked) return null;
      if (locked.state !== 'open') return view(locked);
      await new LedgerStore(trx).post(
        { kind: 'lease_quarantine', idemKey: leaseId, accountId, reason: why },
        (before) => quarantine(before, leaseRest(locked)),
      );
      const row = await trx
        .updateTable('leases')
        .set({ state: 'quarantined', quarantine_why: why, quarantined_at: sql<Date>`now()` })
        .where('id', '=', leaseId)
        .returningAll()
        .executeTakeFirstOrThrow();
      return view(row);
    });
  }

  /**
   * Gives the rest of a quarantined lease back but for `keepNusd` (its live holds); with nothing kept the lease is
   * closed. The caller has made sure that nothing can spend it any more (MONEY.md 1.5).
   */
  release(accountId: string, leaseId: string, keepNusd: bigint): Promise<Lease | null> {
    return inTx(this.#db, async (trx) => {
      const locked = await this.#lock(trx, accountId, leaseId);
      if (!locked) return null;
      if (locked.state !== 'quarantined') return view(locked);
      const { lease, freed } = releaseLease(locked, keepNusd);
      const close = keepNusd === 0n;
      if (freed > 0n) {
        await new LedgerStore(trx).post(
          { kind: 'lease_release', idemKey: `${leaseId}:${lease.released}`, accountId },
          (before) => giveBack(before, freed, restColumn(locked)),
        );
      }
      if (freed === 0n && !close) return view(locked);
      const row = await trx
        .updateTable('leases')
        .set({
          released: lease.released,
          ...(close ? { state: 'closed' as const, closed_at: sql<Date>`now()` } : {}),
        })
        .where('id', '=', leaseId)
        .returningAll()
        .executeTakeFirstOrThrow();
      return view(row);
    });
  }

  /**
   * Spend of the account's keys in the UTC day and month of `nowMs`, those with a cap first: a cap may also be set while
   * the lease is in use. Keys that spent nothing are absent; of a great many keys only those that spent most are told.
   */
  async capSpend(accountId: string, nowMs: number): Promise<KeySpend[]> {
    const day = new Date(nowMs).toISOString().slice(0, 10);
    const month = `${day.slice(0, 7)}-01`;
    const { rows } = await sql<{ id: string; day_nusd: bigint; month_nusd: bigint }>`
      SELECT k.id, coalesce(sum(s.amount_nusd) FILTER (WHERE s.day = ${day}::date), 0) AS day_nusd,
             sum(s.amount_nusd) AS month_nusd
      FROM api_keys k JOIN key_spend s ON s.key_id = k.id AND s.day >= ${month}::date
      WHERE k.account_id = ${accountId} AND k.revoked_at IS NULL
      GROUP BY k.id
      ORDER BY (k.cap_day_nusd IS NULL AND k.cap_month_nusd IS NULL), sum(s.amount_nusd) DESC
      LIMIT ${CAP_SEEDS_MAX}`.execute(this.#db);
    return rows.map((row) => ({ keyId: row.id as KeyId, dayNusd: row.day_nusd, monthNusd: row.month_nusd }));
  }

  async #lock(trx: Tx, accountId: string, leaseId: string): Promise<LeaseRow | undefined> {
    await new LedgerStore(trx).lockBalance(trx, accountId);
    return trx
      .selectFrom('leases')
      .selectAll()
      .where('id', '=', leaseId)
      .where('account_id', '=', accountId)
      .forUpdate()
      .executeTakeFirst();
  }

  #write(trx: Tx, lease: LeaseRow): Promise<LeaseRow> {
    return trx
      .updateTable('leases')
      .set({ returned: lease.returned, released: lease.released, settled: lease.settled, overdrawn: lease.overdrawn })
      .where('id', '=', lease.id)
      .returningAll()
      .executeTakeFirstOrThrow();
  }
}

function view(row: LeaseRow): Lease {
  return {
    id: row.id as LeaseId,
    seq: row.seq,
    accountId: row.account_id as AccountId,
    bucket: row.bucket,
    history: row.history,
    era: row.era,
    grantedNusd: row.granted,
    returnedNusd: row.returned,
    releasedNusd: row.released,
    settledNusd: row.settled,
    overdrawnNusd: row.overdrawn,
    restNusd: leaseRest(row),
    expMs: Number(row.exp_ms),
    state: row.state,
    quarantineWhy: row.quarantine_why,
    quarantinedAtMs: row.quarantined_at?.getTime() ?? null,
  };
}
