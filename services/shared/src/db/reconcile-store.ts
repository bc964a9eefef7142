/**
 * Does the ledger add up? Reads in one statement per page (one snapshot), incrementally: per account from the last
 * transaction that was found right.
 */
import { sql } from 'kysely';
import { applyEntries, type Entry, type Money } from './balance.ts';
import type { Executor } from './client.ts';
import { MONEY_BUCKETS, type MoneyBucket } from './schema.ts';

export type LedgerCheck =
  /** The balance is not the sum of its entries. */
  | 'entries'
  /** `leased` or `quarantined` is not what the account's leases hold back. */
  | 'leases'
  /** A settlement transaction has no settlement row. */
  | 'settlements';

export interface LedgerFinding {
  accountId: string;
  check: LedgerCheck;
  bucket: MoneyBucket;
  differenceNusd: bigint;
}

export interface LedgerAudit {
  accounts: number;
  findings: LedgerFinding[];
  /** False when there are more accounts to look at: call again. */
  done: boolean;
}

type Sums = { [B in MoneyBucket as `d_${B}`]: bigint | null };
type Proven = { [B in MoneyBucket as `c_${B}`]: bigint };

type AuditRow = Money &
  Sums &
  Proven & {
    account_id: string;
    version: bigint;
    upto: bigint;
    last_id: bigint | null;
    unsettled: bigint;
    in_open: bigint;
    in_quarantine: bigint;
  };

export class ReconcileStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Checks up to `limit` accounts whose balance has changed since they were last found right. */
  async auditLedger(limit: number): Promise<LedgerAudit> {
    const rows = await this.#changed(limit);
    const findings = rows.flatMap(findingsOf);
    const wrong = new Set(findings.map((finding) => finding.accountId));
    await this.#proven(rows.filter((row) => !wrong.has(row.account_id)));
    // What is wrong stays changed, and would be looked at for ever: only a page that was all right and full goes on.
    return { accounts: rows.length, findings, done: rows.length < limit || wrong.size > 0 };
  }

  async #changed(limit: number): Promise<AuditRow[]> {
    const sums = sql.raw(
      MONEY_BUCKETS.map(
        (bucket) => `sum(e.amount_nusd) FILTER (WHERE e.bucket_kind = '${bucket}') AS d_${bucket}`,
      ).join(', '),
    );
    const proven = sql.raw(MONEY_BUCKETS.map((bucket) => `coalesce(c.${bucket}, 0) AS c_${bucket}`).join(', '));
    const { rows } = await sql<AuditRow>`
      SELECT b.*, coalesce(c.transaction_id, 0) AS upto, ${proven}, d.*, coalesce(l.in_open, 0) AS in_open,
             coalesce(l.in_quarantine, 0) AS in_quarantine
      FROM balances b
      LEFT JOIN balance_checkpoints c ON c.account_id = b.account_id
      LEFT JOIN LATERAL (
        SELECT max(t.id) AS last_id, ${sums},
               count(*) FILTER (WHERE t.kind IN ('settlement', 'settlement_final') AND NOT EXISTS (
                 SELECT 1 FROM settlements s WHERE s.request_id = split_part(t.idem_key, '#', 1))) AS unsettled
        FROM transactions t LEFT JOIN entries e ON e.transaction_id = t.id
        WHERE t.account_id = b.account_id AND t.id > coalesce(c.transaction_id, 0)) d ON true
      LEFT JOIN LATERAL (
        SELECT sum(granted - returned - released - settled) FILTER (WHERE state = 'open') AS in_open,
               sum(granted - returned - released - settled) FILTER (WHERE state = 'quarantined') AS in_quarantine
        FROM leases WHERE account_id = b.account_id AND state <> 'closed') l ON true
      WHERE b.version <> coalesce(c.version, -1)
      ORDER BY b.account_id LIMIT ${limit}`.execute(this.#db);
    return rows;
  }

  async #proven(rows: readonly AuditRow[]): Promise<void> {
    for (const row of rows) {
      const checkpoint = {
        version: row.version,
        transaction_id: row.last_id ?? row.upto,
        ...(Object.fromEntries(MONEY_BUCKETS.map((bucket) => [bucket, row[bucket]])) as Money),
      };
      await this.#db
        .insertInto('balance_checkpoints')
        .values({ account_id: row.account_id, ...checkpoint })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet(checkpoint))
        .execute();
    }
  }

  async note(driftNusd: bigint, findings: readonly unknown[]): Promise<void> {
    const text = JSON.stringify(findings, (_, value) => (typeof value === 'bigint' ? String(value) : value));
    await this.#db.insertInto('reconciliations').values({ drift_nusd: driftNusd, findings: text }).execute();
  }
}

function findingsOf(row: AuditRow): LedgerFinding[] {
  const findings: LedgerFinding[] = [];
  const add = (check: LedgerCheck, bucket: MoneyBucket, differenceNusd: bigint) => {
    if (differenceNusd !== 0n) findings.push({ accountId: row.account_id, check, bucket, differenceNusd });
  };
  const before = Object.fromEntries(MONEY_BUCKETS.map((bucket) => [bucket, row[`c_${bucket}`]])) as Money;
  const entries: Entry[] = MONEY_BUCKETS.map((bucket) => ({ bucket, amountNusd: row[`d_${bucket}`] ?? 0n }));
  const told = applyEntries(before, entries);
  for (const bucket of MONEY_BUCKETS) add('entries', bucket, row[bucket] - told[bucket]);
  add('leases', 'leased', row.leased - row.in_open);
  add('leases', 'quarantined', row.quarantined - row.in_quarantine);
  add('settlements', 'posted', row.unsettled);
  return findings;
}
