/** Accounts, their limits, and their limits per model. */

import type { Selectable } from 'kysely';
import type { AccountId } from '../domain/ids.ts';
import type { RateLimits } from '../domain/limits.ts';
import type { Executor } from './client.ts';
import { decodeCursor, olderThan, type Page, type PageRequest, pageLimit, toPage } from './page.ts';
import type { Schema } from './schema.ts';
import { inTx } from './tx.ts';

export type AccountStatus = 'active' | 'frozen';

export interface Account {
  id: AccountId;
  name: string;
  email: string | null;
  status: AccountStatus;
  plan: string;
  weight: number;
  limits: RateLimits;
  createdAtMs: number;
}

export interface NewAccount {
  id: AccountId;
  name: string;
  email?: string | null;
  plan?: string;
  weight?: number;
  limits?: Partial<RateLimits>;
  createdAtMs: number;
}

export interface AccountPatch {
  name?: string;
  email?: string | null;
  status?: AccountStatus;
  plan?: string;
  weight?: number;
  /** Only the limits named change; null removes one. */
  limits?: Partial<RateLimits>;
}

export class AccountStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Creates the account with its empty balance. */
  create(account: NewAccount): Promise<Account> {
    return inTx(this.#db, async (trx) => {
      const row = await trx
        .insertInto('accounts')
        .values({
          id: account.id,
          name: account.name,
          email: account.email ?? null,
          status: 'active',
          plan: account.plan ?? 'standard',
          weight: account.weight ?? 1,
          rpm: account.limits?.requestsPerMinute ?? null,
          tpm: account.limits?.tokensPerMinute ?? null,
          concurrency: account.limits?.concurrency ?? null,
          created_at: new Date(account.createdAtMs),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      await trx.insertInto('balances').values({ account_id: account.id }).execute();
      return view(row);
    });
  }

  async get(id: string): Promise<Account | null> {
    const row = await this.#db.selectFrom('accounts').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? view(row) : null;
  }

  /** Newest first. */
  async list(page: PageRequest): Promise<Page<Account>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    let query = this.#db.selectFrom('accounts').selectAll();
    if (after) query = query.where(olderThan(after));
    const rows = await query
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute();
    return toPage(rows, limit, (row) => ({ atMs: row.created_at.getTime(), id: row.id }), view);
  }

  /** The account after the change, or null when there is none. */
  async update(id: string, patch: AccountPatch): Promise<Account | null> {
    const changes = {
      ...(patch.name === undefined ? {} : { name: patch.name }),
      ...(patch.email === undefined ? {} : { email: patch.email }),
      ...(patch.status === undefined ? {} : { status: patch.status }),
      ...(patch.plan === undefined ? {} : { plan: patch.plan }),
      ...(patch.weight === undefined ? {} : { weight: patch.weight }),
      ...limitColumns(patch.limits),
    };
    if (Object.keys(changes).length === 0) return this.get(id);
    const row = await this.#db
      .updateTable('accounts')
      .set(changes)
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    return row ? view(row) : null;
  }

  /** Sets the limits of one (account, model); all null removes them. */
  async setModelLimits(accountId: string, model: string, limits: RateLimits): Promise<void> {
    const { requestsPerMinute: rpm, tokensPerMinute: tpm, concurrency } = limits;
    if (rpm === null && tpm === null && concurrency === null) {
      await this.#db
        .deleteFrom('account_model_limits')
        .where('account_id', '=', accountId)
        .where('model', '=', model)
        .execute();
      return;
    }
    await this.#db
      .insertInto('account_model_limits')
      .values({ account_id: accountId, model, rpm, tpm, concurrency })
      .onConflict((conflict) => conflict.columns(['account_id', 'model']).doUpdateSet({ rpm, tpm, concurrency }))
      .execute();
  }

  async modelLimits(accountId: string): Promise<Record<string, RateLimits>> {
    const rows = await this.#db
      .selectFrom('account_model_limits')
      .selectAll()
      .where('account_id', '=', accountId)
      .orderBy('model')
      .execute();
    return Object.fromEntries(rows.map((row) => [row.model, limitsOf(row)]));
  }
}

interface LimitColumns {
  rpm: number | null;
  tpm: number | null;
  concurrency: number | null;
}

/** The three limit columns as the words of the domain. */
export function limitsOf(row: LimitColumns): RateLimits {
  return { requestsPerMinute: row.rpm, tokensPerMinute: row.tpm, concurrency: row.concurrency };
}

/** The columns of the limits that `limits` names. */
export function limitColumns(limits: Partial<RateLimits> | undefined): Partial<LimitColumns> {
  return {
    ...(limits?.requestsPerMinute === undefined ? {} : { rpm: limits.requestsPerMinute }),
    ...(limits?.tokensPerMinute === undefined ? {} : { tpm: limits.tokensPerMinute }),
    ...(limits?.concurrency === undefined ? {} : { concurrency: limits.concurrency }),
  };
}

function view(row: Selectable<Schema['accounts']>): Account {
  return {
    id: row.id as AccountId,
    name: row.name,
    email: row.email,
    status: row.status,
    plan: row.plan,
    weight: row.weight,
    limits: limitsOf(row),
    createdAtMs: row.created_at.getTime(),
  };
}
