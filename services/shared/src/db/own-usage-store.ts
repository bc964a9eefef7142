/** What a key's own holder may know of its money: the ledger entries of one request, and spend by day. */
import { sql } from 'kysely';
import type { Executor } from './client.ts';

export interface ReceiptEntry {
  transactionId: bigint;
  kind: string;
  createdAtMs: number;
  bucket: string;
  amountNusd: bigint;
}

export interface DaySpend {
  /** UTC day, `2026-11-21`. */
  day: string;
  amountNusd: bigint;
}

/** An estimate grows by revisions; no request has had more than a few. */
const REVISIONS = 16;

export class OwnUsageStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** All entries that a request made in the ledger, oldest transaction first. */
  async entriesOf(accountId: string, requestId: string): Promise<ReceiptEntry[]> {
    const keys = [requestId, ...Array.from({ length: REVISIONS }, (_, i) => `${requestId}#${i + 1}`)];
    const { rows } = await sql<{
      id: bigint;
      kind: string;
      created_at: Date;
      bucket_kind: string;
      amount_nusd: bigint;
    }>`
      SELECT t.id, t.kind, t.created_at, e.bucket_kind, e.amount_nusd
      FROM transactions t JOIN entries e ON e.transaction_id = t.id
      WHERE t.kind IN ('settlement', 'settlement_final') AND t.idem_key = ANY(${keys}::text[])
        AND t.account_id = ${accountId}
      ORDER BY t.id, e.bucket_kind`.execute(this.#db);
    return rows.map((row) => ({
      transactionId: row.id,
      kind: row.kind,
      createdAtMs: row.created_at.getTime(),
      bucket: row.bucket_kind,
      amountNusd: row.amount_nusd,
    }));
  }

  /** Days on which the key spent something, from `fromMs` (any moment of its first UTC day) on, newest first. */
  async spendByDay(keyId: string, fromMs: number): Promise<DaySpend[]> {
    const { rows } = await sql<{ day: string; amount_nusd: bigint }>`
      SELECT to_char(day, 'YYYY-MM-DD') AS day, amount_nusd FROM key_spend
      WHERE key_id = ${keyId} AND day >= (${new Date(fromMs)}::timestamptz AT TIME ZONE 'UTC')::date
      ORDER BY day DESC`.execute(this.#db);
    return rows.map((row) => ({ day: row.day, amountNusd: row.amount_nusd }));
  }
}
