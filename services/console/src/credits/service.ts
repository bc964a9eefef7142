/** An account's credit: what it is, adding to it, taking it back, and the ledger behind it. */
import type { Page } from '@tollgate/shared/contracts/console/common';
import type {
  ChangeCredits,
  ChangedCreditsView,
  CreditsView,
  LedgerExportQuery,
  LedgerLine,
  LedgerQuery,
} from '@tollgate/shared/contracts/console/credits';
import { LEDGER_BUCKETS } from '@tollgate/shared/contracts/console/credits';
import { type Balance, BalanceError } from '@tollgate/shared/db/balance';
import type { Db } from '@tollgate/shared/db/client';
import { earlierCredit } from '@tollgate/shared/db/console-lists';
import { LeaseStore } from '@tollgate/shared/db/lease-store';
import { LedgerError, LedgerStore, type LedgerTransaction, type PostResult } from '@tollgate/shared/db/ledger-store';
import { PAGE_LIMIT_MAX } from '@tollgate/shared/db/page';
import { sqlState } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { LeaseRead, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import { noAccount } from '../accounts/service.ts';
import type { Actor } from '../auth/actor.ts';
import { tableAnswer } from '../http/export.ts';
import type { Streamed } from '../http/route.ts';
import { isoTime, type PageInput, pageRequest } from '../http/values.ts';
import type { Projector } from '../projector/projector.ts';

export interface CreditServiceOptions {
  db: Db;
  money: MoneyScripts;
  projector: Projector;
  random: Random;
  logger: Logger;
}

/** Reads of Redis and Postgres until two readings of the lease agree; more often only while it is very busy. */
const READ_ATTEMPTS = 4;

export class CreditService {
  readonly #options: CreditServiceOptions;

  constructor(options: CreditServiceOptions) {
    this.#options = options;
  }

  async show(_actor: Actor, accountId: AccountId): Promise<CreditsView> {
    const { db } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const before = await this.#lease(accountId);
      const balance = await new LedgerStore(db).balance(accountId);
      if (!balance) throw noAccount();
      const open = await new LeaseStore(db).openOf(accountId);
      const after = await this.#lease(accountId);
      // Money moves between the two stores meanwhile; only a reading that Redis frames on both sides adds up.
      const steady = sameLease(before, after);
      if (!steady && attempt < READ_ATTEMPTS) continue;
      const live = after?.lease && after.lease.leaseId === open?.id && after.lease.history === after.history;
      return view(accountId, balance, live ? after.lease!.freeNusd : 0n, after !== null);
    }
  }

  /** Positive: a grant, spendable when this returns. Negative: an adjustment by MONEY.md 3.4. */
  async change(actor: Actor, accountId: AccountId, input: ChangeCredits): Promise<ChangedCreditsView> {
    const { db, projector, random } = this.#options;
    if (input.usd === 0n) throw new AppError('invalid_request', { message: 'usd: must not be 0', param: 'usd' });
    const ledger = new LedgerStore(db);
    if (!(await ledger.balance(accountId))) throw noAccount();
    const idemKey =
      input.idempotencyKey === undefined ? `admin:${random.uuid()}` : `admin:${accountId}:${input.idempotencyKey}`;
    const earlier = await earlierCredit(db, idemKey);
    if (earlier && earlier.amountNusd !== input.usd) {
      throw new AppError('conflict', { message: 'This idempotencyKey was used for another amount.' });
    }
    if (input.usd > 0n) await projector.reachable();
    else if (!earlier) await this.recall(accountId, -input.usd);
    const operation = { accountId, idemKey, reason: input.reason, actor: actor.id };
    const result = await (input.usd > 0n
      ? ledger.credit({ ...operation, amountNusd: input.usd })
      : ledger.debit({ ...operation, amountNusd: -input.usd })
    ).catch((error: unknown) => {
      throw refusalOf(error);
    });
    // A cached refusal was right for the balance before; routers must not repeat it.
    if (input.usd > 0n) await this.#forgetRefusal(accountId, result);
    const credits = await this.show(actor, accountId);
    return { ...credits, transactionId: result.transactionId, repeated: !result.applied };
  }

  async #forgetRefusal(accountId: AccountId, { balance, transactionId }: PostResult): Promise<void> {
    try {
      await this.#options.money.clearVerdict(accountId, balance.version);
    } catch (error) {
      throw new AppError('store_unavailable', {
        message: `The credit is posted (${transactionId}); do not repeat it. Routers learn of it as soon as Redis answers.`,
        metadata: { transactionId },
        cause: error,
      });
    }
  }

  /**
   * A cached refusal was right for the balance before. Best effort: with Redis away it ends by itself within seconds of
   * its return, since the keeper's verdicts are short-lived.
   */
  async forgetRefusal(accountId: AccountId): Promise<void> {
    const balance = await new LedgerStore(this.#options.db).balance(accountId);
    if (!balance) return;
    try {
      await this.#options.money.clearVerdict(accountId, balance.version);
    } catch (error) {
      this.#options.logger.warn({ err: error, accountId }, 'a cached refusal stays for some seconds');
    }
  }

  async ledger(_actor: Actor, accountId: AccountId, query: LedgerQuery): Promise<Page<LedgerLine>> {
    const ledger = new LedgerStore(this.#options.db);
    if (!(await ledger.balance(accountId))) throw noAccount();
    const page = await ledger.list(accountId, {
      ...pageRequest(query as PageInput),
      ...filterOf(query),
    });
    return { data: page.data.map(lineOf), next: page.next };
  }

  async exportLedger(accountId: AccountId, query: LedgerExportQuery): Promise<Streamed> {
    const rows: LedgerTransaction[] = [];
    const limit = query.limit ?? EXPORT_ROWS;
    let cursor = pageRequest({ cursor: query.cursor }).cursor ?? null;
    do {
      const page = await new LedgerStore(this.#options.db).list(accountId, {
        limit: Math.min(limit - rows.length, PAGE_LIMIT_MAX),
        cursor,
        ...filterOf(query),
      });
      rows.push(...page.data);
      cursor = page.next;
    } while (cursor !== null && rows.length < limit);
    const format = query.format ?? 'ndjson';
    const lines = rows.map(lineOf);
    if (format === 'ndjson') {
      const columns = ['transactionId', 'kind', 'reason', 'actor', 'createdAt', 'entries'] as const;
      return tableAnswer({ name: 'ledger', columns, rows: lines, next: cursor }, format);
    }
    // One column per place where money can be: a spreadsheet adds them up.
    const flat = lines.map(({ entries, ...line }) => ({
      ...line,
      ...(Object.fromEntries(
        LEDGER_BUCKETS.map((bucket) => [bucket, entries.find((entry) => entry.bucket === bucket)?.amountNusd ?? '0']),
      ) as Record<(typeof LEDGER_BUCKETS)[number], string>),
    }));
    const columns = ['transactionId', 'kind', 'reason', 'actor', 'createdAt', ...LEDGER_BUCKETS] as const;
    return tableAnswer({ name: 'ledger', columns, rows: flat, next: cursor }, format);
  }

  /**
   * Takes back free money of the account's lease, as far as `wantedNusd` is not available in the ledger: Redis first,
   * then Postgres (MONEY.md 1.4). Crash window: between the two the money is in `returned` of Redis and in no request's
   * reach; the keeper books the difference at its next look. With Redis away nothing can be recalled: what is not
   * available becomes receivable, and the keeper recalls for debtors later.
   */
  async recall(accountId: AccountId, wantedNusd: bigint): Promise<void> {
    const { db, money, logger } = this.#options;
    const leases = new LeaseStore(db);
    const balance = await new LedgerStore(db).balance(accountId);
    const open = await leases.openOf(accountId);
    const lacking = balance ? wantedNusd - balance.available : 0n;
    if (!open || lacking <= 0n) return;
    try {
      const { history, lease } = await money.readLease(accountId);
      if (lease?.leaseId !== open.id || lease.history !== history || lease.freeNusd === 0n) return;
      const taken = lacking < lease.freeNusd ? lacking : lease.freeNusd;
      const returnedNusd = lease.returnedNusd + taken;
      const result = await money.reclaim({ accountId, leaseId: lease.leaseId, history, returnedNusd });
      if (result.how === 'reclaimed' && result.lease) {
        await leases.bookReturned(accountId, lease.leaseId, result.lease.returnedNusd);
      }
    } catch (error) {
      logger.warn({ err: error, accountId }, 'free lease could not be recalled; the rest becomes receivable');
    }
  }

  /** Null when Redis does not answer: then the whole lease counts as held. */
  async #lease(accountId: AccountId): Promise<LeaseRead | null> {
    try {
      return await this.#options.money.readLease(accountId);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'lease not readable');
      return null;
    }
  }
}

const EXPORT_ROWS = 10_000;
const MONEY_KINDS = ['credit_grant', 'credit_adjust', 'refund', 'settlement', 'settlement_final'] as const;

function filterOf({ kind, view, from, to }: Pick<LedgerQuery, 'kind' | 'view' | 'from' | 'to'>) {
  const kinds = kind !== undefined ? [kind] : view === 'money' ? MONEY_KINDS : undefined;
  return {
    ...(kinds === undefined ? {} : { kinds }),
    ...(from === undefined ? {} : { fromMs: from }),
    ...(to === undefined ? {} : { toMs: to }),
  };
}

function lineOf(line: LedgerTransaction): LedgerLine {
  return {
    transactionId: line.id,
    kind: line.kind,
    reason: line.reason,
    actor: line.actor,
    createdAt: isoTime(line.createdAtMs),
    entries: line.entries.map(({ bucket, amountNusd }) => ({ bucket, amountNusd: String(amountNusd) })),
  };
}

function sameLease(a: LeaseRead | null, b: LeaseRead | null): boolean {
  const x = a?.lease;
  const y = b?.lease;
  if (!x || !y) return (x ?? null) === (y ?? null);
  return (
    x.leaseId === y.leaseId &&
    x.grantedNusd === y.grantedNusd &&
    x.freeNusd === y.freeNusd &&
    x.returnedNusd === y.returnedNusd
  );
}

function view(accountId: AccountId, balance: Balance, leaseFreeNusd: bigint, leaseKnown: boolean): CreditsView {
  const free = leaseFreeNusd < balance.leased ? leaseFreeNusd : balance.leased;
  return {
    accountId,
    creditedNusd: String(balance.credited),
    postedNusd: String(balance.posted),
    heldNusd: String(balance.leased - free + balance.quarantined),
    availableNusd: String(balance.available + free),
    quarantinedNusd: String(balance.quarantined),
    leasedNusd: String(balance.leased),
    receivableNusd: String(balance.receivable),
    uncollectedNusd: String(balance.uncollected),
    leaseKnown,
  };
}

/** numeric_value_out_of_range: the balance would pass what a bigint column holds. */
const OUT_OF_RANGE = '22003';

function refusalOf(error: unknown): unknown {
  if (error instanceof BalanceError) return new AppError('conflict', { message: `Not possible: ${error.message}.` });
  if (error instanceof LedgerError && error.code === 'no_account') return noAccount();
  if (error instanceof LedgerError) return new AppError('conflict', { message: `Not possible: ${error.message}.` });
  if (sqlState(error) === OUT_OF_RANGE) return new AppError('conflict', { message: 'The balance would be too large.' });
  return error;
}
