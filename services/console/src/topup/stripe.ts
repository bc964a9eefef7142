/** The payment provider: the few calls of Stripe's API that are needed, and the proof that an event is Stripe's. */
import { AppError } from '@tollgate/shared/domain/errors';
import type Stripe from 'stripe';

export interface StripeSettings {
  secretKey: string;
  webhookSecret: string;
  /** Stripe's own when absent; tests name a stand-in. */
  apiUrl?: string | undefined;
}

export interface Charged {
  intent: string;
  /** `open`: not decided yet; an event will tell. */
  state: 'paid' | 'failed' | 'open';
  cents: number;
  failure: string | null;
  receiptUrl: string | null;
}

export interface CardOnFile {
  customerId: string;
  paymentMethodId: string;
  brand: string;
  last4: string;
}

const TIMEOUT_MS = 20_000;

/** The library is large: it is loaded only where payment by card is set up. */
export async function openStripe({ secretKey, webhookSecret, apiUrl }: StripeSettings): Promise<StripeGate> {
  const { default: Library } = await import('stripe');
  const url = apiUrl === undefined ? null : new URL(apiUrl);
  const elsewhere = url && {
    host: url.hostname,
    port: url.port || (url.protocol === 'https:' ? 443 : 80),
    protocol: url.protocol === 'https:' ? ('https' as const) : ('http' as const),
  };
  const stripe = new Library(secretKey, { timeout: TIMEOUT_MS, maxNetworkRetries: 2, telemetry: false, ...elsewhere });
  return new StripeGate(stripe, webhookSecret);
}

export class StripeGate {
  readonly #stripe: Stripe;
  readonly #webhookSecret: string;

  constructor(stripe: Stripe, webhookSecret: string) {
    this.#stripe = stripe;
    this.#webhookSecret = webhookSecret;
  }

  /** A page of Stripe on which to pay. The same `paymentId` always gives the same page: a repeat opens no second one. */
  async checkout(input: {
    paymentId: string;
    accountId: string;
    cents: number;
    customerId: string | null;
    email: string | null;
    returnUrl: string;
  }): Promise<{ session: string; url: string }> {
    const metadata = { paymentId: input.paymentId, accountId: input.accountId };
    const session = await answered(
      this.#stripe.checkout.sessions.create(
        {
          mode: 'payment',
          line_items: [
            {
              quantity: 1,
              price_data: { currency: 'usd', unit_amount: input.cents, product_data: { name: 'Prepaid API credit' } },
            },
          ],
          client_reference_id: input.paymentId,
          metadata,
          // The card stays on file, so that auto-recharge can use it.
          payment_intent_data: { metadata, setup_future_usage: 'off_session' },
          ...(input.customerId === null
            ? { customer_creation: 'always', ...(input.email === null ? {} : { customer_email: input.email }) }
            : { customer: input.customerId }),
          success_url: `${input.returnUrl}?payment=${input.paymentId}`,
          cancel_url: `${input.returnUrl}?payment=${input.paymentId}&cancelled=1`,
        },
        { idempotencyKey: `checkout-${input.paymentId}` },
      ),
    );
    if (!session.url) throw new Error('the checkout session has no address');
    return { session: session.id, url: session.url };
  }

  /** Charges the card on file. The same `paymentId` is charged once, however often this is called. */
  async charge(input: {
    paymentId: string;
    accountId: string;
    cents: number;
    card: Pick<CardOnFile, 'customerId' | 'paymentMethodId'>;
  }): Promise<Charged> {
    try {
      const intent = await this.#stripe.paymentIntents.create(
        {
          amount: input.cents,
          currency: 'usd',
          customer: input.card.customerId,
          payment_method: input.card.paymentMethodId,
          off_session: true,
          confirm: true,
          metadata: { paymentId: input.paymentId, accountId: input.accountId },
        },
        { idempotencyKey: `charge-${input.paymentId}` },
      );
      const state = intent.status === 'succeeded' ? 'paid' : intent.status === 'processing' ? 'open' : 'failed';
      return {
        intent: intent.id,
        state,
        cents: intent.amount_received,
        failure: state === 'failed' ? intent.status : null,
        receiptUrl: null,
      };
    } catch (error) {
      // The card was refused: an answer, not an accident. Its code is public; its message may name the card's owner.
      const refused = error as { type?: string; code?: string; payment_intent?: { id: string } };
      if (refused.type !== 'StripeCardError') throw error;
      return {
        intent: refused.payment_intent?.id ?? '',
        state: 'failed',
        cents: 0,
        failure: refused.code ?? 'card_declined',
        receiptUrl: null,
      };
    }
  }

  /** The card of a finished checkout; null when it left none. */
  async cardOf(intentId: string): Promise<CardOnFile | null> {
    const intent = await answered(this.#stripe.paymentIntents.retrieve(intentId, { expand: ['payment_method'] }));
    const method = intent.payment_method;
    const customer = typeof intent.customer === 'string' ? intent.customer : intent.customer?.id;
    if (!method || typeof method === 'string' || !customer) return null;
    return {
      customerId: customer,
      paymentMethodId: method.id,
      brand: method.card?.brand ?? method.type,
      last4: method.card?.last4 ?? '',
    };
  }

  /** Our own id of a payment, from the provider's: events about disputes carry only that one. Null when it is not ours. */
  async paymentOf(intentId: string): Promise<string | null> {
    const intent = await answered(this.#stripe.paymentIntents.retrieve(intentId));
    return intent.metadata?.paymentId ?? null;
  }

  /** The event, when the signature over these very bytes is Stripe's and not older than five minutes; else null. */
  async verified(body: Buffer, signature: string): Promise<Stripe.Event | null> {
    try {
      return await this.#stripe.webhooks.constructEventAsync(body, signature, this.#webhookSecret);
    } catch {
      return null;
    }
  }
}

/** A provider that does not answer is no fault of ours: 503, and whoever asked may ask again. */
async function answered<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    // The library's own text may quote what was sent; its type says enough.
    const { type, code } = error as { type?: string; code?: string };
    throw new AppError('service_unavailable', {
      message: 'The payment provider does not answer now. Retry.',
      internal: [type, code].filter(Boolean).join(' '),
    });
  }
}
