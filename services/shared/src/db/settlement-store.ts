/**
 * Settlements in bulk. The store locks and reads what a batch of records touches, metering folds the records over it
 * (`metering/src/drain/settle.ts`, pure), and the store writes the result: a fixed number of statements per batch,
 * whatever its size. It has the same form as `LedgerStore.post`: per movement one transaction, its entries, the balance.
 */
import { sql } from 'kysely';
import type { UnitPrices } from '../domain/money.ts';
import type { UsageRecord } from '../domain/usage.ts';
import type { Balance, Entry } from './balance.ts';
import type { Executor, Tx } from './client.ts';
import type { LeaseRow } from './lease-money.ts';
import { LedgerStore } from './ledger-store.ts';
import type { TransactionKind } from './schema.ts';

/** A settlement as the fold needs it. */
export interface Settlement {
  requestId: string;
  accountId: string;
  leaseId: string;
  state: 'estimated' | 'final';
  revision: number;
  amountNusd: bigint;
  keyId: string;
  admittedAtMs: number;
}

/** Everything in Postgres that a batch of records can touch, locked. */
export interface SettlementState {
  balances: Map<string, Balance>;
  leases: Map<string, LeaseRow>;
  settlements: Map<string, Settlement>;
}

export interface SettlementPosting {
  kind: TransactionKind;
  idemKey: string;
  accountId: string;
  entries: readonly Entry[];
}

/** A settlement with the record that it now stands for. */
export interface SettlementWrite {
  record: UsageRecord;
  state: 'estimated' | 'final';
  revision: number;
  amountNusd: bigint;
  clipped: boolean;
  streamId: string | null;
}

export interface SpendWrite {
  keyId: string;
  /** UTC day of admission, `YYYY-MM-DD`. */
  day: string;
  deltaNusd: bigint;
}

export interface SettlementWrites {
  postings: readonly SettlementPosting[];
  settlements: readonly SettlementWrite[];
  leases: readonly LeaseRow[];
  balances: ReadonlyMap<string, Balance>;
  spend: readonly SpendWrite[];
}

export interface DeadLetter {
  /** Where it came from; unique, so that the same text met again is kept once. */
  source: string;
  text: string;
  error: string;
}

export class SettlementStore {
  readonly #db: Executor;
  /** Price rows never change, so what was read once is known. */
  readonly #prices = new Map<string, UnitPrices>();

  constructor(db: Executor) {
    this.#db = db;
  }

  /**
   * Locks the balances of the accounts (ascending), reads the settlements (only holders of the balance locks change
   * them), then locks the leases (ascending).
   */
  async lockState(trx: Tx, records: readonly UsageRecord[]): Promise<SettlementState> {
    const accountIds = [...new Set(records.map((record) => record.accountId))];
    const balances = await new LedgerStore(trx).lockBalances(trx, accountIds);
    const requestIds = [...new Set(records.map((record) => record.requestId))];
    const { rows } = await sql<SettlementRow>`
      SELECT request_id, account_id, lease_id, state, revision, amount_nusd, key_id, admitted_at
      FROM settlements WHERE request_id = ANY(${requestIds}::text[])`.execute(trx);
    // Only leases of the accounts locked above: whose balance we do not hold, their lease we must not wait for.
    const leaseIds = [...new Set([...records.map((r) => r.leaseId as string), ...rows.map((row) => row.lease_id)])];
    const { rows: leases } = await sql<LeaseRow>`
      SELECT * FROM leases WHERE id = ANY(${leaseIds}::text[]) AND account_id = ANY(${accountIds}::text[])
      ORDER BY id FOR UPDATE`.execute(trx);
    return {
      balances,
      leases: new Map(leases.map((row) => [row.id, row])),
      settlements: new Map(rows.map((row) => [row.request_id, settlementOf(row)])),
    };
  }

  /** Unit prices by price id; ids without a price row are absent. Reads through `trx`: the pool may have one connection. */
  async prices(trx: Tx, ids: Iterable<string>): Promise<ReadonlyMap<string, UnitPrices>> {
    const unknown = [...new Set(ids)].filter((id) => !this.#prices.has(id));
    if (unknown.length > 0) {
      const rows = await trx
        .selectFrom('prices')
        .select(['id', 'input_nusd', 'cached_input_nusd', 'output_nusd'])
        .where(sql<boolean>`id = ANY(${unknown}::text[])`)
        .execute();
      for (const row of rows) {
        this.#prices.set(row.id, {
          inputNusd: row.input_nusd,
          cachedInputNusd: row.cached_input_nusd,
          outputNusd: row.output_nusd,
        });
      }
    }
    return this.#prices;
  }

  /** Writes a folded batch. Fails as a whole; deferred checks are made here, not first at the commit. */
  async write(trx: Tx, writes: SettlementWrites): Promise<void> {
    if (writes.postings.length > 0) await insertPostings(trx, writes.postings);
    if (writes.settlements.length > 0) {
      await upsertSettlements(trx, writes.settlements);
      await upsertRequestLog(trx, writes.settlements);
    }
    if (writes.leases.length > 0) await updateLeases(trx, writes.leases);
    if (writes.balances.size > 0) await updateBalances(trx, writes.balances);
    if (writes.spend.length > 0) await addSpend(trx, writes.spend);
    await sql`SET CONSTRAINTS ALL IMMEDIATE`.execute(trx);
  }

  /** Keeps texts that are no usage record. */
  async addDeadLetters(trx: Tx, letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    await sql`INSERT INTO dead_letters (source, text, error)
      SELECT * FROM unnest(${letters.map((l) => l.source)}::text[], ${letters.map((l) => storable(l.text))}::text[],
                           ${letters.map((l) => storable(l.error))}::text[])
      ON CONFLICT (source) DO NOTHING`.execute(trx);
  }

  /** What was settled for one request; null when nothing was. */
  async get(requestId: string): Promise<Settlement | null> {
    const row = await this.#db
      .selectFrom('settlements')
      .select(['request_id', 'account_id', 'lease_id', 'state', 'revision', 'amount_nusd', 'key_id', 'admitted_at'])
      .where('request_id', '=', requestId)
      .executeTakeFirst();
    return row ? settlementOf(row) : null;
  }

  async countDeadLetters(): Promise<number> {
    const row = await this.#db
      .selectFrom('dead_letters')
      .select((e) => e.fn.countAll<bigint>().as('count'))
      .executeTakeFirstOrThrow();
    return Number(row.count);
  }
}

interface SettlementRow {
  request_id: string;
  account_id: string;
  lease_id: string;
  state: 'estimated' | 'final';
  revision: number;
  amount_nusd: bigint;
  key_id: string;
  admitted_at: Date;
}

function settlementOf(row: SettlementRow): Settlement {
  return {
    requestId: row.request_id,
    accountId: row.account_id,
    leaseId: row.lease_id,
    state: row.state,
    revision: row.revision,
    amountNusd: row.amount_nusd,
    keyId: row.key_id,
    admittedAtMs: row.admitted_at.getTime(),
  };
}

/** Postgres stores no NUL and no half of a surrogate pair. */
function storable(text: string): string {
  return text.replaceAll('\0', '\\0').toWellFormed();
}

/** A column of a batch as one array parameter: arrays of rows turned on their side for `unnest`. */
function column<T, V>(rows: readonly T[], value: (row: T) => V): V[] {
  return rows.map(value);
}

async function insertPostings(trx: Tx, postings: readonly SettlementPosting[]): Promise<void> {
  const entries = postings.flatMap((posting) => posting.entries.map((entry) => ({ posting, entry })));
  // One statement: the sum check sees all entries of a transaction at once. A key that exists already is an error of
  // the whole batch: the fold would have called the record a repeat.
  await sql`WITH made AS (
      INSERT INTO transactions (kind, idem_key, account_id)
      SELECT * FROM unnest(${column(postings, (p) => p.kind)}::text[], ${column(postings, (p) => p.idemKey)}::text[],
                           ${column(postings, (p) => p.accountId)}::text[])
      RETURNING id, kind, idem_key, account_id)
    INSERT INTO entries (transaction_id, bucket_kind, account_id, amount_nusd)
    SELECT made.id, e.bucket_kind, made.account_id, e.amount_nusd
    FROM unnest(${column(entries, (e) => e.posting.kind)}::text[], ${column(entries, (e) => e.posting.idemKey)}::text[],
                ${column(entries, (e) => e.entry.bucket)}::text[],
                ${column(entries, (e) => e.entry.amountNusd)}::bigint[]) AS e (kind, idem_key, bucket_kind, amount_nusd)
    JOIN made USING (kind, idem_key)`.execute(trx);
}

async function upsertSettlements(trx: Tx, writes: readonly SettlementWrite[]): Promise<void> {
  await sql`INSERT INTO settlements AS s (request_id, account_id, lease_id, state, revision, amount_nusd, key_id, model,
      price_id, prompt_tokens, cached_tokens, completion_tokens, outcome, admitted_at, finished_at, stream_id, history)
    SELECT * FROM unnest(
      ${column(writes, (w) => w.record.requestId)}::text[], ${column(writes, (w) => w.record.accountId)}::text[],
      ${column(writes, (w) => w.record.leaseId)}::text[], ${column(writes, (w) => w.state)}::text[],
      ${column(writes, (w) => w.revision)}::int[], ${column(writes, (w) => w.amountNusd)}::bigint[],
      ${column(writes, (w) => w.record.keyId)}::text[], ${column(writes, (w) => w.record.model)}::text[],
      ${column(writes, (w) => w.record.priceId)}::text[], ${column(writes, (w) => w.record.promptTokens)}::int[],
      ${column(writes, (w) => w.record.cachedTokens)}::int[], ${column(writes, (w) => w.record.completionTokens)}::int[],
      ${column(writes, (w) => w.record.outcome)}::text[], ${column(writes, (w) => iso(w.record.admittedAtMs))}::timestamptz[],
      ${column(writes, (w) => iso(w.record.finishedAtMs))}::timestamptz[], ${column(writes, (w) => w.streamId)}::text[],
      ${column(writes, (w) => w.record.history)}::text[])
    ON CONFLICT (request_id) DO UPDATE SET lease_id = excluded.lease_id, state = excluded.state,
      revision = excluded.revision, amount_nusd = excluded.amount_nusd, prompt_tokens = excluded.prompt_tokens,
      cached_tokens = excluded.cached_tokens, completion_tokens = excluded.completion_tokens, outcome = excluded.outcome,
      finished_at = excluded.finished_at, stream_id = excluded.stream_id, history = excluded.history,
      posted_at = now()`.execute(trx);
}

async function upsertRequestLog(trx: Tx, writes: readonly SettlementWrite[]): Promise<void> {
  await sql`INSERT INTO request_log (request_id, admitted_at, account_id, key_id, project_id, user_id, model, endpoint,
      stream, final, outcome, status, finish_reason, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens,
      count_source, amount_nusd, held_nusd, price_id, clipped, absorbed, worker_url, router_id, finished_at, queue_ms,
      first_token_ms, duration_ms, client_request_id, worker_engine, request_digest, price_percent, chat_id, end_user,
      user_agent)
    SELECT * FROM unnest(
      ${column(writes, (w) => w.record.requestId)}::text[], ${column(writes, (w) => iso(w.record.admittedAtMs))}::timestamptz[],
      ${column(writes, (w) => w.record.accountId)}::text[], ${column(writes, (w) => w.record.keyId)}::text[],
      ${column(writes, (w) => w.record.projectId)}::text[], ${column(writes, (w) => w.record.userId)}::text[],
      ${column(writes, (w) => w.record.model)}::text[], ${column(writes, (w) => w.record.endpoint)}::text[],
      ${column(writes, (w) => w.record.stream)}::bool[], ${column(writes, (w) => w.state === 'final')}::bool[],
      ${column(writes, (w) => w.record.outcome)}::text[], ${column(writes, (w) => w.record.status)}::int[],
      ${column(writes, (w) => w.record.finishReason)}::text[], ${column(writes, (w) => w.record.promptTokens)}::int[],
      ${column(writes, (w) => w.record.cachedTokens)}::int[], ${column(writes, (w) => w.record.completionTokens)}::int[],
      ${column(writes, (w) => w.record.reasoningTokens)}::int[], ${column(writes, (w) => w.record.countSource)}::text[],
      ${column(writes, (w) => w.amountNusd)}::bigint[], ${column(writes, (w) => w.record.heldNusd)}::bigint[],
      ${column(writes, (w) => w.record.priceId)}::text[], ${column(writes, (w) => w.clipped)}::bool[],
      ${column(writes, (w) => absorbedText(w.record))}::text[]::jsonb[], ${column(writes, (w) => w.record.workerUrl)}::text[],
      ${column(writes, (w) => w.record.routerId)}::text[], ${column(writes, (w) => iso(w.record.finishedAtMs))}::timestamptz[],
      ${column(writes, (w) => w.record.queueMs)}::int[], ${column(writes, (w) => w.record.firstTokenMs)}::int[],
      ${column(writes, (w) => w.record.durationMs)}::int[], ${column(writes, (w) => w.record.clientRequestId)}::text[],
      ${column(writes, (w) => w.record.engine ?? null)}::text[], ${column(writes, (w) => w.record.requestDigest ?? null)}::text[],
      ${column(writes, (w) => w.record.pricePercent ?? null)}::int[], ${column(writes, (w) => w.record.chatId ?? null)}::text[],
      ${column(writes, (w) => w.record.endUser ?? null)}::text[], ${column(writes, (w) => w.record.userAgent ?? null)}::text[])
    ON CONFLICT (admitted_at, request_id) DO UPDATE SET final = excluded.final, outcome = excluded.outcome,
      status = excluded.status, finish_reason = excluded.finish_reason, prompt_tokens = excluded.prompt_tokens,
      cached_tokens = excluded.cached_tokens, completion_tokens = excluded.completion_tokens,
      reasoning_tokens = excluded.reasoning_tokens, count_source = excluded.count_source,
      amount_nusd = excluded.amount_nusd, clipped = excluded.clipped, absorbed = excluded.absorbed,
      worker_url = excluded.worker_url, router_id = excluded.router_id, finished_at = excluded.finished_at,
      queue_ms = excluded.queue_ms, first_token_ms = excluded.first_token_ms, duration_ms = excluded.duration_ms,
      client_request_id = excluded.client_request_id, worker_engine = excluded.worker_engine,
      request_digest = excluded.request_digest, price_percent = excluded.price_percent, chat_id = coalesce(excluded.chat_id, request_log.chat_id),
      end_user = coalesce(excluded.end_user, request_log.end_user),
      user_agent = coalesce(excluded.user_agent, request_log.user_agent), logged_at = now()`.execute(trx);
}

async function updateLeases(trx: Tx, leases: readonly LeaseRow[]): Promise<void> {
  await sql`UPDATE leases l SET settled = u.settled, overdrawn = u.overdrawn, released = u.released
    FROM unnest(${column(leases, (l) => l.id)}::text[], ${column(leases, (l) => l.settled)}::bigint[],
                ${column(leases, (l) => l.overdrawn)}::bigint[], ${column(leases, (l) => l.released)}::bigint[])
      AS u (id, settled, overdrawn, released)
    WHERE l.id = u.id`.execute(trx);
}

async function updateBalances(trx: Tx, balances: ReadonlyMap<string, Balance>): Promise<void> {
  const rows = [...balances];
  await sql`UPDATE balances b SET version = u.version, available = u.available, leased = u.leased,
      quarantined = u.quarantined, posted = u.posted, credited = u.credited, receivable = u.receivable,
      uncollected = u.uncollected
    FROM unnest(${column(rows, ([id]) => id)}::text[], ${column(rows, ([, b]) => b.version)}::bigint[],
                ${column(rows, ([, b]) => b.available)}::bigint[], ${column(rows, ([, b]) => b.leased)}::bigint[],
                ${column(rows, ([, b]) => b.quarantined)}::bigint[], ${column(rows, ([, b]) => b.posted)}::bigint[],
                ${column(rows, ([, b]) => b.credited)}::bigint[], ${column(rows, ([, b]) => b.receivable)}::bigint[],
                ${column(rows, ([, b]) => b.uncollected)}::bigint[])
      AS u (account_id, version, available, leased, quarantined, posted, credited, receivable, uncollected)
    WHERE b.account_id = u.account_id`.execute(trx);
}

async function addSpend(trx: Tx, spend: readonly SpendWrite[]): Promise<void> {
  await sql`INSERT INTO key_spend AS s (key_id, day, amount_nusd)
    SELECT * FROM unnest(${column(spend, (s) => s.keyId)}::text[], ${column(spend, (s) => s.day)}::date[],
                         ${column(spend, (s) => s.deltaNusd)}::bigint[])
    ON CONFLICT (key_id, day) DO UPDATE SET amount_nusd = s.amount_nusd + excluded.amount_nusd`.execute(trx);
}

/** Text, because pg formats a Date in the process's own time zone at some cost. */
function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function absorbedText(record: UsageRecord): string | null {
  return Object.keys(record.absorbed).length === 0 ? null : JSON.stringify(record.absorbed);
}
