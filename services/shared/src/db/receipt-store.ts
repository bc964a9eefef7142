/** Receipts and the keys that sign them. */
import { sql } from 'kysely';
import type { Executor, Tx } from './client.ts';

/** A posted bill, as its receipt tells it. */
export interface ReceiptSource {
  requestId: string;
  accountId: string;
  keyId: string;
  state: 'estimated' | 'final';
  revision: number;
  model: string;
  endpoint: string | null;
  outcome: string;
  engine: string | null;
  requestDigest: string | null;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  priceId: string;
  pricePercent: number;
  prices: { inputNusd: bigint; cachedInputNusd: bigint; outputNusd: bigint } | null;
  amountNusd: bigint;
  admittedAtMs: number;
  finishedAtMs: number;
  /** Transactions of the ledger that posted it, oldest first. */
  transactions: { id: bigint; kind: string; entries: { bucket: string; amountNusd: bigint }[] }[];
}

export interface StoredReceipt {
  accountId: string;
  seq: bigint;
  requestId: string;
  revision: number;
  hash: string;
  jws: string;
  createdAtMs: number;
}

export interface SigningKeyRow {
  kid: string;
  publicJwk: Record<string, unknown>;
  privateSealed: string | null;
  createdAtMs: number;
}

interface SourceRow {
  request_id: string;
  account_id: string;
  key_id: string;
  state: 'estimated' | 'final';
  revision: number;
  model: string;
  endpoint: string | null;
  outcome: string;
  worker_engine: string | null;
  request_digest: string | null;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  price_id: string;
  price_percent: number | null;
  input_nusd: bigint | null;
  cached_input_nusd: bigint | null;
  output_nusd: bigint | null;
  amount_nusd: bigint;
  admitted_at: Date;
  finished_at: Date;
}

export class ReceiptStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Requests that wait for a receipt, oldest first; locked until the end of the transaction. */
  async due(limit: number): Promise<string[]> {
    const { rows } = await sql<{ request_id: string }>`
      SELECT request_id FROM receipts_due ORDER BY at, request_id LIMIT ${limit} FOR UPDATE SKIP LOCKED`.execute(
      this.#db,
    );
    return rows.map((row) => row.request_id);
  }

  async sources(requestIds: readonly string[]): Promise<ReceiptSource[]> {
    const { rows } = await sql<SourceRow>`
      SELECT s.request_id, s.account_id, s.key_id, s.state, s.revision, s.model, l.endpoint, s.outcome, l.worker_engine,
        l.request_digest, s.prompt_tokens, s.cached_tokens, s.completion_tokens, s.price_id, l.price_percent,
        p.input_nusd, p.cached_input_nusd, p.output_nusd, s.amount_nusd, s.admitted_at, s.finished_at
      FROM settlements s
      LEFT JOIN request_log l ON l.admitted_at = s.admitted_at AND l.request_id = s.request_id
      LEFT JOIN prices p ON p.id = s.price_id
      WHERE s.request_id = ANY(${[...requestIds]}::text[])`.execute(this.#db);
    const ledger = await this.#transactions(requestIds);
    return rows.map((row) => sourceOf(row, ledger.get(row.request_id) ?? []));
  }

  async #transactions(requestIds: readonly string[]): Promise<Map<string, ReceiptSource['transactions']>> {
    const { rows } = await sql<{ request_id: string; id: bigint; kind: string; bucket: string; amount: bigint }>`
      SELECT s.request_id, t.id, t.kind, e.bucket_kind AS bucket, e.amount_nusd AS amount
      FROM settlements s
      CROSS JOIN LATERAL (SELECT s.request_id AS key
        UNION ALL SELECT s.request_id || '#' || r FROM generate_series(1, s.revision) r) k
      JOIN transactions t ON t.kind IN ('settlement', 'settlement_final') AND t.idem_key = k.key
      JOIN entries e ON e.transaction_id = t.id
      WHERE s.request_id = ANY(${[...requestIds]}::text[]) ORDER BY t.id, e.bucket_kind`.execute(this.#db);
    const found = new Map<string, ReceiptSource['transactions']>();
    for (const { request_id: requestId, id, kind, bucket, amount } of rows) {
      const list = found.get(requestId) ?? [];
      found.set(requestId, list);
      let transaction = list.at(-1);
      if (transaction?.id !== id) {
        transaction = { id, kind, entries: [] };
        list.push(transaction);
      }
      transaction.entries.push({ bucket, amountNusd: amount });
    }
    return found;
  }

  /** The last link of each account's chain. */
  async heads(accountIds: readonly string[]): Promise<Map<string, { seq: bigint; hash: string }>> {
    const { rows } = await sql<{ account_id: string; seq: bigint; hash: string }>`
      SELECT a.id AS account_id, r.seq, r.hash FROM unnest(${[...accountIds]}::text[]) AS a (id)
      CROSS JOIN LATERAL (SELECT seq, hash FROM receipts WHERE account_id = a.id ORDER BY seq DESC LIMIT 1) r`.execute(
      this.#db,
    );
    return new Map(rows.map(({ account_id: id, seq, hash }) => [id, { seq, hash }]));
  }

  /** Adds them, and takes what was looked at off the list. */
  async add(receipts: readonly StoredReceipt[], done: readonly string[]): Promise<void> {
    if (receipts.length > 0) {
      await sql`
        INSERT INTO receipts (account_id, seq, request_id, revision, hash, jws, created_at)
        SELECT * FROM unnest(${receipts.map((r) => r.accountId)}::text[], ${receipts.map((r) => r.seq)}::bigint[],
          ${receipts.map((r) => r.requestId)}::text[], ${receipts.map((r) => r.revision)}::int[],
          ${receipts.map((r) => r.hash)}::text[], ${receipts.map((r) => r.jws)}::text[],
          ${receipts.map((r) => new Date(r.createdAtMs).toISOString())}::timestamptz[])`.execute(this.#db);
    }
    await sql`DELETE FROM receipts_due WHERE request_id = ANY(${[...done]}::text[])`.execute(this.#db);
  }

  /** Which revisions of these requests have a receipt: `requestId#revision`. */
  async known(requestIds: readonly string[]): Promise<Set<string>> {
    const { rows } = await sql<{ request_id: string; revision: number }>`
      SELECT request_id, revision FROM receipts WHERE request_id = ANY(${[...requestIds]}::text[])`.execute(this.#db);
    return new Set(rows.map((row) => `${row.request_id}#${row.revision}`));
  }

  /** The receipt that counts; null = not yet. */
  async latest(requestId: string): Promise<StoredReceipt | null> {
    const { rows } = await sql<ReceiptRow>`
      SELECT * FROM receipts WHERE request_id = ${requestId} ORDER BY revision DESC LIMIT 1`.execute(this.#db);
    return rows[0] ? receiptOf(rows[0]) : null;
  }

  /** A stretch of an account's chain. */
  async chain(accountId: string, afterSeq: bigint, limit: number): Promise<StoredReceipt[]> {
    const { rows } = await sql<ReceiptRow>`
      SELECT * FROM receipts WHERE account_id = ${accountId} AND seq > ${afterSeq} ORDER BY seq LIMIT ${limit}`.execute(
      this.#db,
    );
    return rows.map(receiptOf);
  }

  /** What an account was billed for requests that ended in [from, to), from the ledger's own rows. */
  async billed(
    accountId: string,
    fromMs: number,
    toMs: number,
  ): Promise<{ model: string; requests: bigint; amountNusd: bigint }[]> {
    const { rows } = await sql<{ model: string; requests: bigint; amount: bigint }>`
      SELECT model, count(*) AS requests, coalesce(sum(amount_nusd), 0)::bigint AS amount FROM settlements
      WHERE account_id = ${accountId} AND finished_at >= ${new Date(fromMs)} AND finished_at < ${new Date(toMs)}
      GROUP BY model ORDER BY model`.execute(this.#db);
    return rows.map(({ model, requests, amount }) => ({ model, requests, amountNusd: amount }));
  }

  async keys(): Promise<SigningKeyRow[]> {
    const { rows } = await sql<{
      kid: string;
      public_jwk: Record<string, unknown>;
      private_sealed: string | null;
      created_at: Date;
    }>`SELECT * FROM signing_keys ORDER BY created_at DESC, kid`.execute(this.#db);
    return rows.map((row) => ({
      kid: row.kid,
      publicJwk: row.public_jwk,
      privateSealed: row.private_sealed,
      createdAtMs: row.created_at.getTime(),
    }));
  }

  async addKey(key: SigningKeyRow): Promise<void> {
    await sql`
      INSERT INTO signing_keys (kid, public_jwk, private_sealed, created_at)
      VALUES (${key.kid}, ${JSON.stringify(key.publicJwk)}, ${key.privateSealed}, ${new Date(key.createdAtMs)})`.execute(
      this.#db,
    );
  }
}

/** One issuer at a time: a chain has one end. False = another process is at it. */
export async function lockReceipts(trx: Tx): Promise<boolean> {
  const { rows } = await sql<{ got: boolean }>`SELECT pg_try_advisory_xact_lock(${0x7467_0010}, 0) AS got`.execute(trx);
  return rows[0]!.got;
}

interface ReceiptRow {
  account_id: string;
  seq: bigint;
  request_id: string;
  revision: number;
  hash: string;
  jws: string;
  created_at: Date;
}

function receiptOf(row: ReceiptRow): StoredReceipt {
  return {
    accountId: row.account_id,
    seq: row.seq,
    requestId: row.request_id,
    revision: row.revision,
    hash: row.hash,
    jws: row.jws,
    createdAtMs: row.created_at.getTime(),
  };
}

function sourceOf(row: SourceRow, transactions: ReceiptSource['transactions']): ReceiptSource {
  return {
    requestId: row.request_id,
    accountId: row.account_id,
    keyId: row.key_id,
    state: row.state,
    revision: row.revision,
    model: row.model,
    endpoint: row.endpoint,
    outcome: row.outcome,
    engine: row.worker_engine,
    requestDigest: row.request_digest,
    promptTokens: row.prompt_tokens,
    cachedTokens: row.cached_tokens,
    completionTokens: row.completion_tokens,
    priceId: row.price_id,
    pricePercent: row.price_percent ?? 100,
    prices:
      row.input_nusd === null
        ? null
        : {
            inputNusd: row.input_nusd,
            cachedInputNusd: row.cached_input_nusd!,
            outputNusd: row.output_nusd!,
          },
    amountNusd: row.amount_nusd,
    admittedAtMs: row.admitted_at.getTime(),
    finishedAtMs: row.finished_at.getTime(),
    transactions,
  };
}
