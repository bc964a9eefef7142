/** Payments, a provider's events, cards on file, redemption codes. The ledger says what was credited; see 0101_topup.sql. */
import { sql } from 'kysely';
import type { AccountId } from '../domain/ids.ts';
import type { Executor, Tx } from './client.ts';
import { decodeCursor, olderThan, type Page, type PageRequest, pageLimit, toPage } from './page.ts';

export type PaymentState = 'open' | 'paid' | 'failed' | 'expired' | 'refunded' | 'disputed';

export interface Payment {
  id: string;
  accountId: AccountId;
  kind: 'checkout' | 'auto_recharge';
  state: PaymentState;
  amountNusd: bigint;
  refundedNusd: bigint;
  providerSession: string | null;
  providerIntent: string | null;
  receiptUrl: string | null;
  checkoutUrl: string | null;
  transactionId: string | null;
  createdAtMs: number;
  updatedAtMs: number;
}

export interface BillingProfile {
  accountId: AccountId;
  customerId: string | null;
  paymentMethodId: string | null;
  cardBrand: string | null;
  cardLast4: string | null;
  rechargeEnabled: boolean;
  rechargeThresholdNusd: bigint | null;
  rechargeAmountNusd: bigint | null;
  rechargeFailure: string | null;
}

export interface RedemptionCode {
  id: string;
  last4: string;
  amountNusd: bigint;
  uses: number;
  used: number;
  note: string | null;
  createdAtMs: number;
  expiresAtMs: number | null;
  disabledAtMs: number | null;
}

interface PaymentRow {
  id: string;
  account_id: AccountId;
  kind: 'checkout' | 'auto_recharge';
  state: PaymentState;
  amount_nusd: bigint;
  refunded_nusd: bigint;
  provider_session: string | null;
  provider_intent: string | null;
  receipt_url: string | null;
  checkout_url: string | null;
  transaction_id: string | null;
  created_at: Date;
  updated_at: Date;
}
interface CodeRow {
  id: string;
  last4: string;
  amount_nusd: bigint;
  uses: number;
  used: number;
  note: string | null;
  created_at: Date;
  expires_at: Date | null;
  disabled_at: Date | null;
}

const paymentOf = (row: PaymentRow): Payment => ({
  id: row.id,
  accountId: row.account_id,
  kind: row.kind,
  state: row.state,
  amountNusd: row.amount_nusd,
  refundedNusd: row.refunded_nusd,
  providerSession: row.provider_session,
  providerIntent: row.provider_intent,
  receiptUrl: row.receipt_url,
  checkoutUrl: row.checkout_url,
  transactionId: row.transaction_id,
  createdAtMs: row.created_at.getTime(),
  updatedAtMs: row.updated_at.getTime(),
});
const codeOf = (row: CodeRow): RedemptionCode => ({
  id: row.id,
  last4: row.last4,
  amountNusd: row.amount_nusd,
  uses: row.uses,
  used: row.used,
  note: row.note,
  createdAtMs: row.created_at.getTime(),
  expiresAtMs: row.expires_at?.getTime() ?? null,
  disabledAtMs: row.disabled_at?.getTime() ?? null,
});
const newestFirst = (row: { id: string; created_at: Date }) => ({ atMs: row.created_at.getTime(), id: row.id });

export class PaymentStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Null when this account has one under that idempotency key, or an automatic charge is under way. */
  async create(payment: {
    id: string;
    accountId: string;
    kind: Payment['kind'];
    amountNusd: bigint;
    actor: string;
    idemKey: string | null;
    atMs: number;
  }): Promise<Payment | null> {
    const { rows } = await sql<PaymentRow>`
      INSERT INTO payments (id, account_id, kind, amount_nusd, actor, idem_key, created_at, updated_at)
      VALUES (${payment.id}, ${payment.accountId}, ${payment.kind}, ${payment.amountNusd}, ${payment.actor},
              ${payment.idemKey}, ${new Date(payment.atMs)}, ${new Date(payment.atMs)})
      ON CONFLICT DO NOTHING RETURNING *`.execute(this.#db);
    return rows[0] ? paymentOf(rows[0]) : null;
  }

  async get(accountId: string, id: string): Promise<Payment | null> {
    const { rows } = await sql<PaymentRow>`
      SELECT * FROM payments WHERE id = ${id} AND account_id = ${accountId}`.execute(this.#db);
    return rows[0] ? paymentOf(rows[0]) : null;
  }

  async byIdemKey(accountId: string, idemKey: string): Promise<Payment | null> {
    const { rows } = await sql<PaymentRow>`
      SELECT * FROM payments WHERE account_id = ${accountId} AND idem_key = ${idemKey}`.execute(this.#db);
    return rows[0] ? paymentOf(rows[0]) : null;
  }

  async page(accountId: string, page: PageRequest): Promise<Page<Payment>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    const { rows } = await sql<PaymentRow>`
      SELECT * FROM payments WHERE account_id = ${accountId}
        AND ${olderThan(after)}
      ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(rows, limit, newestFirst, paymentOf);
  }

  /** The payment that a provider's object belongs to: by our own id in its metadata, its session or its intent. */
  async locate(by: { id?: string | null; session?: string | null; intent?: string | null }): Promise<Payment | null> {
    const { rows } = await sql<PaymentRow>`
      SELECT * FROM payments WHERE id = ${by.id ?? null} OR provider_session = ${by.session ?? null}
        OR provider_intent = ${by.intent ?? null} ORDER BY id = ${by.id ?? ''} DESC LIMIT 1`.execute(this.#db);
    return rows[0] ? paymentOf(rows[0]) : null;
  }

  /** The same row, held until the end of the transaction. Take the balance's lock first (db/tx.ts). */
  async lock(trx: Tx, id: string): Promise<Payment> {
    const { rows } = await sql<PaymentRow>`SELECT * FROM payments WHERE id = ${id} FOR UPDATE`.execute(trx);
    return paymentOf(rows[0]!);
  }

  /** Only what is named changes; ids that are known already stay. */
  async update(
    id: string,
    change: {
      state?: PaymentState;
      refundedNusd?: bigint;
      session?: string | null;
      intent?: string | null;
      receiptUrl?: string | null;
      checkoutUrl?: string | null;
      transactionId?: string | null;
      failure?: string | null;
    },
    atMs: number,
  ): Promise<void> {
    await sql`UPDATE payments SET state = coalesce(${change.state ?? null}, state),
        refunded_nusd = coalesce(${change.refundedNusd ?? null}::bigint, refunded_nusd),
        provider_session = coalesce(provider_session, ${change.session ?? null}),
        provider_intent = coalesce(provider_intent, ${change.intent ?? null}),
        receipt_url = coalesce(${change.receiptUrl ?? null}, receipt_url),
        checkout_url = coalesce(${change.checkoutUrl ?? null}, checkout_url),
        transaction_id = coalesce(transaction_id, ${change.transactionId ?? null}),
        failure = coalesce(${change.failure ?? null}, failure), updated_at = ${new Date(atMs)}
      WHERE id = ${id}`.execute(this.#db);
  }

  /** False when this event was handled before. In the transaction that does its work. */
  async claimEvent(trx: Tx, eventId: string, type: string, paymentId: string | null, atMs: number): Promise<boolean> {
    const { numAffectedRows } = await sql`
      INSERT INTO payment_events (event_id, type, payment_id, received_at)
      VALUES (${eventId}, ${type}, ${paymentId}, ${new Date(atMs)}) ON CONFLICT DO NOTHING`.execute(trx);
    return numAffectedRows === 1n;
  }

  async profile(accountId: string): Promise<BillingProfile> {
    const { rows } = await sql<BillingProfile>`
      SELECT account_id AS "accountId", customer_id AS "customerId", payment_method_id AS "paymentMethodId",
             card_brand AS "cardBrand", card_last4 AS "cardLast4", recharge_enabled AS "rechargeEnabled",
             recharge_threshold AS "rechargeThresholdNusd", recharge_amount AS "rechargeAmountNusd",
             recharge_failure AS "rechargeFailure"
      FROM billing_profiles WHERE account_id = ${accountId}`.execute(this.#db);
    return (
      rows[0] ?? {
        accountId: accountId as AccountId,
        customerId: null,
        paymentMethodId: null,
        cardBrand: null,
        cardLast4: null,
        rechargeEnabled: false,
        rechargeThresholdNusd: null,
        rechargeAmountNusd: null,
        rechargeFailure: null,
      }
    );
  }

  async saveProfile(profile: BillingProfile): Promise<void> {
    await sql`INSERT INTO billing_profiles (account_id, customer_id, payment_method_id, card_brand, card_last4,
        recharge_enabled, recharge_threshold, recharge_amount, recharge_failure)
      VALUES (${profile.accountId}, ${profile.customerId}, ${profile.paymentMethodId}, ${profile.cardBrand},
              ${profile.cardLast4}, ${profile.rechargeEnabled}, ${profile.rechargeThresholdNusd},
              ${profile.rechargeAmountNusd}, ${profile.rechargeFailure})
      ON CONFLICT (account_id) DO UPDATE SET customer_id = excluded.customer_id,
        payment_method_id = excluded.payment_method_id, card_brand = excluded.card_brand,
        card_last4 = excluded.card_last4, recharge_enabled = excluded.recharge_enabled,
        recharge_threshold = excluded.recharge_threshold, recharge_amount = excluded.recharge_amount,
        recharge_failure = excluded.recharge_failure`.execute(this.#db);
  }

  /** Accounts below their threshold whose automatic top-up is on, healthy, and not under way. */
  async dueForRecharge(): Promise<BillingProfile[]> {
    const { rows } = await sql<{ account_id: string }>`
      SELECT p.account_id FROM billing_profiles p JOIN balances b ON b.account_id = p.account_id
      WHERE p.recharge_enabled AND p.recharge_failure IS NULL AND p.payment_method_id IS NOT NULL
        AND b.available + b.leased < p.recharge_threshold
        AND NOT EXISTS (SELECT 1 FROM payments x WHERE x.account_id = p.account_id
                        AND x.kind = 'auto_recharge' AND x.state = 'open')
      ORDER BY 1 LIMIT 100`.execute(this.#db);
    const profiles: BillingProfile[] = [];
    for (const row of rows) profiles.push(await this.profile(row.account_id));
    return profiles;
  }

  /** Charges that were begun before `beforeMs` and whose end nobody told: asked again with the same idempotency key. */
  async openRecharges(beforeMs: number): Promise<Payment[]> {
    const { rows } = await sql<PaymentRow>`
      SELECT * FROM payments WHERE kind = 'auto_recharge' AND state = 'open' AND updated_at < ${new Date(beforeMs)}
      ORDER BY id LIMIT 100`.execute(this.#db);
    return rows.map(paymentOf);
  }
}

export class RedemptionStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async create(code: {
    id: string;
    digest: string;
    last4: string;
    amountNusd: bigint;
    uses: number;
    note: string | null;
    createdBy: string;
    expiresAtMs: number | null;
    atMs: number;
  }): Promise<RedemptionCode> {
    const { rows } = await sql<CodeRow>`
      INSERT INTO redemption_codes (id, digest, last4, amount_nusd, uses, note, created_by, created_at, expires_at)
      VALUES (${code.id}, ${code.digest}, ${code.last4}, ${code.amountNusd}, ${code.uses}, ${code.note},
              ${code.createdBy}, ${new Date(code.atMs)}, ${code.expiresAtMs === null ? null : new Date(code.expiresAtMs)})
      RETURNING *`.execute(this.#db);
    return codeOf(rows[0]!);
  }

  async page(page: PageRequest): Promise<Page<RedemptionCode>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    const { rows } = await sql<CodeRow>`
      SELECT * FROM redemption_codes
      WHERE ${olderThan(after)}
      ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(rows, limit, newestFirst, codeOf);
  }

  async disable(id: string, atMs: number): Promise<RedemptionCode | null> {
    const { rows } = await sql<CodeRow>`
      UPDATE redemption_codes SET disabled_at = coalesce(disabled_at, ${new Date(atMs)}::timestamptz)
      WHERE id = ${id} RETURNING *`.execute(this.#db);
    return rows[0] ? codeOf(rows[0]) : null;
  }

  /** The code, held until the end of the transaction. */
  async lock(trx: Tx, digest: string): Promise<RedemptionCode | null> {
    const { rows } = await sql<CodeRow>`
      SELECT * FROM redemption_codes WHERE digest = ${digest} FOR UPDATE`.execute(trx);
    return rows[0] ? codeOf(rows[0]) : null;
  }

  /** The grant that this account got for this code before, if it did. */
  async earlier(trx: Tx, codeId: string, accountId: string): Promise<string | null> {
    const { rows } = await sql<{ transaction_id: string }>`
      SELECT transaction_id FROM redemptions WHERE code_id = ${codeId} AND account_id = ${accountId}`.execute(trx);
    return rows[0]?.transaction_id ?? null;
  }

  async use(trx: Tx, codeId: string, accountId: string, transactionId: string, atMs: number): Promise<void> {
    await sql`INSERT INTO redemptions (code_id, account_id, transaction_id, created_at)
      VALUES (${codeId}, ${accountId}, ${transactionId}, ${new Date(atMs)})`.execute(trx);
    await sql`UPDATE redemption_codes SET used = used + 1 WHERE id = ${codeId}`.execute(trx);
  }
}
