/**
 * Paying in. A payment is credited exactly once: its grant in the ledger has the payment's own id as its key, so that it
 * does not matter which event tells of it, in which order, how often, or between which two steps a process dies.
 */

import type { Page } from '@tollgate/shared/contracts/console/common';
import type {
  AutoRecharge,
  Checkout,
  CheckoutStarted,
  PaymentView,
  TopupView,
} from '@tollgate/shared/contracts/console/topup';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Db, Tx } from '@tollgate/shared/db/client';
import { emit } from '@tollgate/shared/db/emit';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { type Payment, PaymentStore } from '@tollgate/shared/db/payment-store';
import { tx } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import { type AccountId, newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Actor } from '../auth/actor.ts';
import type { CreditService } from '../credits/service.ts';
import { isoTime, nusdOrNull, type PageInput, pageRequest } from '../http/values.ts';
import type { StripeGate } from './stripe.ts';
import { type PaymentNames, type Told, told } from './told.ts';

const NUSD_PER_CENT = 10_000_000n;
const USD = 1_000_000_000n;
const PRESETS = [10n, 25n, 50n, 100n].map((usd) => String(usd * USD));
/** A charge whose answer was lost is asked for again after this. */
const ASK_AGAIN_MS = 60_000;

export interface TopupParts {
  db: Db;
  clock: Clock;
  random: Random;
  logger: Logger;
  credits: CreditService;
  /** Null: payment by card is not configured. */
  stripe: StripeGate | null;
  minNusd: bigint;
  maxNusd: bigint;
  publicUrl(): string;
}

export class TopupService {
  readonly #parts: TopupParts;

  constructor(parts: TopupParts) {
    this.#parts = parts;
  }

  async show(accountId: string): Promise<TopupView> {
    const { db, stripe, minNusd, maxNusd } = this.#parts;
    const profile = await new PaymentStore(db).profile(accountId);
    return {
      card: stripe !== null,
      currency: 'usd',
      minNusd: String(minNusd),
      maxNusd: String(maxNusd),
      presetsNusd: PRESETS,
      autoRecharge: {
        enabled: profile.rechargeEnabled,
        thresholdNusd: nusdOrNull(profile.rechargeThresholdNusd),
        amountNusd: nusdOrNull(profile.rechargeAmountNusd),
        paymentMethod:
          profile.paymentMethodId === null ? null : { brand: profile.cardBrand ?? '', last4: profile.cardLast4 ?? '' },
        failure: profile.rechargeFailure,
      },
    };
  }

  /**
   * A page on which to pay. Crash windows: after the row, before Stripe: the row stays open and nobody pays it; a repeat
   * with the same Idempotency-Key asks Stripe with the same key and gets the one page.
   */
  async checkout(
    actor: Actor,
    accountId: AccountId,
    input: Checkout,
    idemKey: string | null,
  ): Promise<CheckoutStarted> {
    const { db, random, clock, publicUrl } = this.#parts;
    const stripe = this.#stripe();
    this.#checkAmount(input.usd, 'usd');
    const store = new PaymentStore(db);
    const wanted = {
      accountId,
      kind: 'checkout',
      amountNusd: input.usd,
      actor: actor.id,
      idemKey,
      atMs: clock.nowMs(),
    } as const;
    const payment =
      (await store.create({ id: newId('pay', random.bytes), ...wanted })) ??
      (idemKey === null ? null : await store.byIdemKey(accountId, idemKey));
    if (!payment || payment.amountNusd !== input.usd) {
      throw new AppError('conflict', { message: 'This Idempotency-Key was used for another amount.' });
    }
    if (payment.checkoutUrl !== null) return { paymentId: payment.id, url: payment.checkoutUrl };
    const account = await new AccountStore(db).get(accountId);
    const profile = await store.profile(accountId);
    const page = await stripe.checkout({
      paymentId: payment.id,
      accountId,
      cents: Number(payment.amountNusd / NUSD_PER_CENT),
      customerId: profile.customerId,
      email: account?.email ?? null,
      returnUrl: `${publicUrl()}/credits`,
    });
    await store.update(payment.id, { session: page.session, checkoutUrl: page.url }, clock.nowMs());
    return { paymentId: payment.id, url: page.url };
  }

  async saveAutoRecharge(accountId: AccountId, input: AutoRecharge): Promise<TopupView> {
    const store = new PaymentStore(this.#parts.db);
    const profile = await store.profile(accountId);
    const thresholdNusd = input.thresholdUsd ?? profile.rechargeThresholdNusd;
    const amountNusd = input.amountUsd ?? profile.rechargeAmountNusd;
    if (input.enabled) {
      this.#stripe();
      if (thresholdNusd === null) throw invalid('thresholdUsd', 'is needed');
      if (amountNusd === null) throw invalid('amountUsd', 'is needed');
      if (profile.paymentMethodId === null) {
        throw new AppError('conflict', { message: 'Pay once by card first: auto-recharge uses that card.' });
      }
    }
    if (amountNusd !== null) this.#checkAmount(amountNusd, 'amountUsd');
    await store.saveProfile({
      ...profile,
      rechargeEnabled: input.enabled,
      rechargeThresholdNusd: thresholdNusd,
      rechargeAmountNusd: amountNusd,
      // Saving it again is how a person says "try again".
      rechargeFailure: null,
    });
    return this.show(accountId);
  }

  async payments(accountId: string, query: PageInput): Promise<Page<PaymentView>> {
    const page = await new PaymentStore(this.#parts.db).page(accountId, pageRequest(query));
    return { data: page.data.map(paymentView), next: page.next };
  }

  async payment(accountId: string, id: string): Promise<PaymentView> {
    const payment = await new PaymentStore(this.#parts.db).get(accountId, id);
    if (!payment) throw new AppError('not_found', { message: 'There is no such payment.' });
    return paymentView(payment);
  }

  // -- what Stripe tells -------------------------------------------------------------------------------------------

  /** @throws 400 when the signature is not Stripe's. Returns when everything the event means is in the ledger. */
  async handleEvent(body: Buffer, signature: string | undefined): Promise<void> {
    const { db, clock, logger } = this.#parts;
    const event = await this.#stripe().verified(body, signature ?? '');
    if (!event) throw new AppError('invalid_request', { message: 'The signature is not valid.' });
    const news = told(event);
    if (news.kind === 'nothing') return;
    const payment = await this.#locate(news.names);
    if (!payment) {
      logger.info({ eventId: event.id, type: event.type }, 'an event about a payment that is not ours');
      return;
    }
    if (news.kind === 'refunded' || news.kind === 'disputed') {
      // Free lease first (MONEY.md 3.4): what runs already is not touched, the rest becomes receivable.
      await this.#parts.credits.recall(payment.accountId, BigInt(news.cents) * NUSD_PER_CENT);
    }
    await tx(db, async (trx) => {
      // Balance, then payment: the order of every transaction here (db/tx.ts).
      await new LedgerStore(trx).lockBalance(trx, payment.accountId);
      const store = new PaymentStore(trx);
      const fresh = await store.lock(trx, payment.id);
      if (!(await store.claimEvent(trx, event.id, event.type, payment.id, clock.nowMs()))) return;
      await store.update(payment.id, { session: news.names.session, intent: news.names.intent }, clock.nowMs());
      await this.#apply(trx, fresh, news);
    });
    // Also for a repeat: the process that was first may have died before it did this.
    await this.#parts.credits.forgetRefusal(payment.accountId);
    if (news.kind === 'paid' && news.fromCheckout) await this.#rememberCard(payment, news.names);
  }

  /**
   * The payment that an event is about. Its first event may be one that names only Stripe's own id (a dispute that is
   * told before the payment): then Stripe is asked whose it is.
   */
  async #locate(names: PaymentNames): Promise<Payment | null> {
    const store = new PaymentStore(this.#parts.db);
    const found = await store.locate(names);
    if (found || names.id !== null || names.intent === null) return found;
    const id = await this.#stripe().paymentOf(names.intent);
    return id === null ? null : store.locate({ id });
  }

  async #apply(trx: Tx, payment: Payment, news: Exclude<Told, { kind: 'nothing' }>): Promise<void> {
    const { clock } = this.#parts;
    const store = new PaymentStore(trx);
    const nowMs = clock.nowMs();
    switch (news.kind) {
      case 'paid':
        return this.#credit(trx, payment, BigInt(news.cents) * NUSD_PER_CENT, news.receiptUrl);
      case 'failed':
        if (payment.state === 'open') {
          // Somebody who is on Stripe's page may still try another card.
          if (payment.kind === 'auto_recharge') await this.#rechargeFailed(trx, payment, news.failure);
          else if (news.names.session !== null)
            await store.update(payment.id, { state: 'failed', failure: news.failure }, nowMs);
        }
        return;
      case 'expired':
        if (payment.state === 'open') await store.update(payment.id, { state: 'expired' }, nowMs);
        return;
      case 'refunded': {
        // What was refunded was paid, even if its own event is still on the way.
        await this.#credit(trx, payment, payment.amountNusd, null);
        const total = BigInt(news.cents) * NUSD_PER_CENT;
        const before = (await store.lock(trx, payment.id)).refundedNusd;
        if (total <= before) return;
        await this.#takeBack(trx, payment, total - before, `stripe-refund:${payment.id}:${total}`, 'refund');
        await store.update(
          payment.id,
          { refundedNusd: total, ...(total >= payment.amountNusd ? { state: 'refunded' } : {}) },
          nowMs,
        );
        return;
      }
      case 'disputed':
        await this.#credit(trx, payment, payment.amountNusd, null);
        await this.#takeBack(
          trx,
          payment,
          BigInt(news.cents) * NUSD_PER_CENT,
          `stripe-dispute:${news.disputeId}`,
          'dispute',
        );
        await store.update(payment.id, { state: 'disputed' }, nowMs);
        return;
      case 'dispute_won': {
        await this.#credit(trx, payment, payment.amountNusd, null);
        const amountNusd = BigInt(news.cents) * NUSD_PER_CENT;
        // The loss may be told after the win: both are booked, each once, in whatever order.
        await this.#takeBack(trx, payment, amountNusd, `stripe-dispute:${news.disputeId}`, 'dispute');
        await new LedgerStore(trx).credit({
          accountId: payment.accountId,
          amountNusd,
          idemKey: `stripe-dispute-won:${news.disputeId}`,
          reason: `dispute of payment ${payment.id} won`,
          actor: 'stripe',
        });
        await store.update(payment.id, { state: 'paid' }, nowMs);
        return;
      }
    }
  }

  /** Once per payment, whoever tells: the ledger's key is the payment's id. */
  async #credit(trx: Tx, payment: Payment, paidNusd: bigint, receiptUrl: string | null): Promise<void> {
    const { clock, random, logger } = this.#parts;
    if (paidNusd !== payment.amountNusd) {
      logger.error({ paymentId: payment.id }, 'another amount was paid than asked; nothing is credited');
      throw new AppError('conflict', { message: 'The amount is not the one that was asked for.' });
    }
    const granted = await new LedgerStore(trx).credit({
      accountId: payment.accountId,
      amountNusd: payment.amountNusd,
      idemKey: `stripe:${payment.id}`,
      reason: payment.kind === 'checkout' ? 'top-up by card' : 'automatic top-up',
      actor: 'stripe',
    });
    const nowMs = clock.nowMs();
    const settled = payment.state === 'refunded' || payment.state === 'disputed';
    await new PaymentStore(trx).update(
      payment.id,
      { ...(settled ? {} : { state: 'paid' }), transactionId: granted.transactionId, receiptUrl },
      nowMs,
    );
    if (!granted.applied) return;
    const data = {
      paymentId: payment.id,
      amountNusd: String(payment.amountNusd),
      kind: payment.kind,
      transactionId: granted.transactionId,
    };
    await emit(
      trx,
      { type: 'topup.succeeded', accountId: payment.accountId, dedupeKey: `topup.succeeded:${payment.id}`, data },
      random,
      nowMs,
    );
  }

  async #takeBack(trx: Tx, payment: Payment, wantedNusd: bigint, idemKey: string, why: string): Promise<void> {
    const ledger = new LedgerStore(trx);
    const balance = await ledger.lockBalance(trx, payment.accountId);
    // An operator may have taken some of it back already: no more is taken than was ever given.
    const amountNusd = balance && balance.credited < wantedNusd ? balance.credited : wantedNusd;
    if (amountNusd <= 0n) return;
    await ledger.debit({
      accountId: payment.accountId,
      amountNusd,
      idemKey,
      reason: `${why} of payment ${payment.id}`,
      actor: 'stripe',
    });
  }

  async #rechargeFailed(trx: Tx, payment: Payment, failure: string): Promise<void> {
    const store = new PaymentStore(trx);
    await store.update(payment.id, { state: 'failed', failure }, this.#parts.clock.nowMs());
    await store.saveProfile({ ...(await store.profile(payment.accountId)), rechargeFailure: failure });
  }

  /** Best effort: without it, auto-recharge cannot be turned on yet; the credit is there all the same. */
  async #rememberCard(payment: Payment, { intent }: PaymentNames): Promise<void> {
    if (intent === null) return;
    try {
      const card = await this.#stripe().cardOf(intent);
      if (!card) return;
      const store = new PaymentStore(this.#parts.db);
      const profile = await store.profile(payment.accountId);
      await store.saveProfile({
        ...profile,
        customerId: card.customerId,
        paymentMethodId: card.paymentMethodId,
        cardBrand: card.brand,
        cardLast4: card.last4,
      });
    } catch (error) {
      this.#parts.logger.warn({ name: (error as Error).name, paymentId: payment.id }, 'the card is not on file yet');
    }
  }

  // -- auto-recharge -----------------------------------------------------------------------------------------------

  /**
   * Charges cards of accounts that fell below their threshold. One charge at a time per account (a unique index), each
   * with its own idempotency key at Stripe: a process that dies between two steps leaves a row that is asked about again.
   */
  async rechargeRound(): Promise<void> {
    const { db, random, clock, stripe, logger } = this.#parts;
    if (!stripe) return;
    const store = new PaymentStore(db);
    for (const profile of await store.dueForRecharge()) {
      const payment = await store.create({
        id: newId('pay', random.bytes),
        accountId: profile.accountId,
        kind: 'auto_recharge',
        amountNusd: profile.rechargeAmountNusd!,
        actor: 'system',
        idemKey: null,
        atMs: clock.nowMs(),
      });
      if (payment) await this.#charge(payment).catch((error: unknown) => this.#later(payment, error));
    }
    for (const payment of await store.openRecharges(clock.nowMs() - ASK_AGAIN_MS)) {
      logger.info({ paymentId: payment.id }, 'asking again about an automatic top-up');
      await this.#charge(payment).catch((error: unknown) => this.#later(payment, error));
    }
  }

  #later(payment: Payment, error: unknown): void {
    const { name, code } = error as { name?: string; code?: string };
    this.#parts.logger.warn(
      { name, code, paymentId: payment.id },
      'an automatic top-up is not decided; it is asked about again',
    );
  }

  async #charge(payment: Payment): Promise<void> {
    const { db, clock, credits } = this.#parts;
    const store = new PaymentStore(db);
    const profile = await store.profile(payment.accountId);
    if (profile.customerId === null || profile.paymentMethodId === null) return;
    const result = await this.#stripe().charge({
      paymentId: payment.id,
      accountId: payment.accountId,
      cents: Number(payment.amountNusd / NUSD_PER_CENT),
      card: { customerId: profile.customerId, paymentMethodId: profile.paymentMethodId },
    });
    await tx(db, async (trx) => {
      await new LedgerStore(trx).lockBalance(trx, payment.accountId);
      const inside = new PaymentStore(trx);
      const fresh = await inside.lock(trx, payment.id);
      await inside.update(payment.id, { intent: result.intent === '' ? null : result.intent }, clock.nowMs());
      if (result.state === 'paid')
        await this.#credit(trx, fresh, BigInt(result.cents) * NUSD_PER_CENT, result.receiptUrl);
      else if (result.state === 'failed' && fresh.state === 'open')
        await this.#rechargeFailed(trx, fresh, result.failure ?? 'failed');
    });
    if (result.state === 'paid') await credits.forgetRefusal(payment.accountId);
  }

  #stripe(): StripeGate {
    const { stripe } = this.#parts;
    if (!stripe) throw new AppError('conflict', { message: 'Payment by card is not set up here.' });
    return stripe;
  }

  #checkAmount(amountNusd: bigint, param: string): void {
    const { minNusd, maxNusd } = this.#parts;
    if (amountNusd < minNusd || amountNusd > maxNusd)
      throw invalid(param, `must be from ${minNusd / USD} to ${maxNusd / USD} USD`);
  }
}

const invalid = (param: string, text: string) =>
  new AppError('invalid_request', { message: `${param}: ${text}`, param });

function paymentView(payment: Payment): PaymentView {
  return {
    paymentId: payment.id,
    kind: payment.kind,
    state: payment.state,
    amountNusd: String(payment.amountNusd),
    refundedNusd: String(payment.refundedNusd),
    createdAt: isoTime(payment.createdAtMs),
    updatedAt: isoTime(payment.updatedAtMs),
    receiptUrl: payment.receiptUrl,
    transactionId: payment.transactionId,
  };
}
