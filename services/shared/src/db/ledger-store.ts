/**
 * The ledger. `post` is the only way in which a balance changes: it writes the transaction, its entries and the balance
 * row together, once per (kind, idemKey). (`settlement-store` writes many at a time in the same form.)
 */
import { type Selectable, sql } from 'kysely';
import type { TransactionId } from '../domain/ids.ts';
import { type Balance, credit, debit, type Entry, entriesBetween, refund } from './balance.ts';
import type { Executor, Tx } from './client.ts';
import { decodeCursor, type Page, type PageRequest, pageLimit, toPage } from './page.ts';
import type { MoneyBucket, Schema, TransactionKind } from './schema.ts';
import { inTx } from './tx.ts';

export interface Posting {
  kind: TransactionKind;
  /** Unique per kind; repeating it does nothing and answers as the first time. */
  idemKey: string;
  accountId: string;
  reason?: string | null;
  actor?: string | null;
}

export interface PostResult {
  transactionId: TransactionId;
  /** False when this (kind, idemKey) had been posted before: nothing changed now. */
  applied: boolean;
  /** The balance now. */
  balance: Balance;
}

export interface CreditOperation {
  accountId: string;
  /** Greater than zero. */
  amountNusd: bigint;
  /** Payment event id, admin operation id, refund id ... */
  idemKey: string;
  reason: string;
  actor?: string | null;
}

export interface LedgerEntry extends Entry {}

export interface LedgerTransaction {
  id: TransactionId;
  kind: TransactionKind;
  idemKey: string;
  reason: string | null;
  actor: string | null;
  createdAtMs: number;
  entries: LedgerEntry[];
}

/** The account does not exist, or the idempotency key was used for something else. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';
  readonly code: 'no_account' | 'idempotency_conflict';

  constructor(code: 'no_account' | 'idempotency_conflict', message: string) {
    super(message);
    this.code = code;
  }
}

export class LedgerStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async balance(accountId: string): Promise<Balance | null> {
    const row = await this.#db
      .selectFrom('balances')
      .selectAll()
      .where('account_id', '=', accountId)
      .executeTakeFirst();
    return row ? balanceOf(row) : null;
  }

  /** The balance, locked until the end of the transaction. Take this lock before any other (see `tx.ts`). */
  async lockBalance(trx: Tx, accountId: string): Promise<Balance | null> {
    return (await this.lockBalances(trx, [accountId])).get(accountId) ?? null;
  }

  /** Several balances, locked in ascending order of account id. Accounts without one are absent. */
  async lockBalances(trx: Tx, accountIds: readonly string[]): Promise<Map<string, Balance>> {
    const { rows } = await sql<Selectable<Schema['balances']>>`
      SELECT * FROM balances WHERE account_id = ANY(${[...new Set(accountIds)]}::text[])
      ORDER BY account_id FOR UPDATE`.execute(trx);
    return new Map(rows.map((row) => [row.account_id, balanceOf(row)]));
  }

  /**
   * Posts one transaction. `change` maps the locked balance to the new one; a change that moves nothing still
   * writes the transaction, so that a repeat is known.
   * @throws {LedgerError} unknown account; (kind, idemKey) used by another account.
   */
  post(posting: Posting, change: (balance: Balance) => Balance): Promise<PostResult> {
    return inTx(this.#db, async (trx) => {
      const before = await this.lockBalance(trx, posting.accountId);
      if (!before) throw new LedgerError('no_account', 'the account does not exist');
      // Two posts of one key for one account meet at the lock above. The ON CONFLICT is for two different accounts.
      const inserted = await trx
        .insertInto('transactions')
        .values({
          kind: posting.kind,
          idem_key: posting.idemKey,
          account_id: posting.accountId,
          reason: posting.reason ?? null,
          actor: posting.actor ?? null,
        })
        .onConflict((conflict) => conflict.columns(['kind', 'idem_key']).doNothing())
        .returning('id')
        .executeTakeFirst();
      if (!inserted) return { ...(await this.#earlier(trx, posting)), balance: before };
      const after = { ...change(before), version: before.version + 1n };
      const entries = entriesBetween(before, after);
      if (entries.length > 0) {
        await trx
          .insertInto('entries')
          .values(
            entries.map((entry) => ({
              transaction_id: inserted.id,
              bucket_kind: entry.bucket,
              account_id: posting.accountId,
              amount_nusd: entry.amountNusd,
            })),
          )
          .execute();
      }
      await trx
        .updateTable('balances')
        .set({ ...after })
        .where('account_id', '=', posting.accountId)
        .execute();
      return { transactionId: transactionId(inserted.id), applied: true, balance: after };
    });
  }

  async #earlier(trx: Tx, posting: Posting): Promise<{ transactionId: TransactionId; applied: false }> {
    const row = await trx
      .selectFrom('transactions')
      .select(['id', 'account_id'])
      .where('kind', '=', posting.kind)
      .where('idem_key', '=', posting.idemKey)
      .executeTakeFirstOrThrow();
    if (row.account_id !== posting.accountId) {
      throw new LedgerError('idempotency_conflict', 'the idempotency key was used for another account');
    }
    return { transactionId: transactionId(row.id), applied: false };
  }

  /** Adds credit: repays receivable, then uncollected, the rest is available at once. */
  credit(operation: CreditOperation): Promise<PostResult> {
    return this.post({ ...operation, kind: 'credit_grant' }, (balance) => credit(balance, operation.amountNusd));
  }

  /**
   * Takes credit back (negative adjustment, chargeback). The caller first recalls the free part of the account's lease
   * (`MoneyScripts.reclaim`, then `LeaseStore.bookReturned`); what is not available then becomes receivable.
   * @throws {BalanceError} when more is taken back than was credited.
   */
  debit(operation: CreditOperation): Promise<PostResult> {
    return this.post({ ...operation, kind: 'credit_adjust' }, (balance) => debit(balance, operation.amountNusd));
  }

  /**
   * Gives posted money back.
   * @throws {BalanceError} when more is refunded than was posted.
   */
  refund(operation: CreditOperation): Promise<PostResult> {
    return this.post({ ...operation, kind: 'refund' }, (balance) => refund(balance, operation.amountNusd));
  }

  /** Transactions of an account, newest first; optionally of some kinds only. */
  async list(
    accountId: string,
    page: PageRequest & { kinds?: readonly TransactionKind[]; fromMs?: number; toMs?: number },
  ): Promise<Page<LedgerTransaction>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    let query = this.#db.selectFrom('transactions').selectAll().where('account_id', '=', accountId);
    if (page.kinds) query = query.where('kind', 'in', [...page.kinds]);
    if (page.fromMs !== undefined) query = query.where('created_at', '>=', new Date(page.fromMs));
    if (page.toMs !== undefined) query = query.where('created_at', '<', new Date(page.toMs));
    if (after) query = query.where('id', '<', BigInt(/^\d{1,18}$/.test(after.id) ? after.id : 0));
    const rows = await query
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute();
    const entries = new Map<bigint, LedgerEntry[]>();
    if (rows.length > 0) {
      const ids = rows.map((row) => row.id);
      const { rows: found } = await sql<Selectable<Schema['entries']>>`
        SELECT * FROM entries WHERE transaction_id = ANY(${ids}::bigint[]) ORDER BY bucket_kind`.execute(this.#db);
      for (const row of found) {
        const list = entries.get(row.transaction_id) ?? [];
        list.push({ bucket: row.bucket_kind, amountNusd: row.amount_nusd });
        entries.set(row.transaction_id, list);
      }
    }
    return toPage(
      rows,
      limit,
      (row) => ({ atMs: 0, id: String(row.id) }),
      (row) => ({
        id: transactionId(row.id),
        kind: row.kind,
        idemKey: row.idem_key,
        reason: row.reason,
        actor: row.actor,
        createdAtMs: row.created_at.getTime(),
        entries: entries.get(row.id) ?? [],
      }),
    );
  }
}

export function transactionId(id: bigint): TransactionId {
  return `txn_${id}`;
}

export function balanceOf(row: Selectable<Schema['balances']>): Balance {
  const { account_id: _, ...balance } = row;
  return balance satisfies { version: bigint } & Record<MoneyBucket, bigint>;
}
