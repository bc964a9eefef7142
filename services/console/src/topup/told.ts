/** What a Stripe event means for us. Pure. */
import type Stripe from 'stripe';

/** Names of the payment that an event is about: our own id when the object carries it. */
export interface PaymentNames {
  id: string | null;
  session: string | null;
  intent: string | null;
}

export type Told =
  | { kind: 'paid'; names: PaymentNames; cents: number; receiptUrl: string | null; fromCheckout: boolean }
  | { kind: 'failed'; names: PaymentNames; failure: string }
  | { kind: 'expired'; names: PaymentNames }
  /** `cents`: all that was ever refunded of this payment. */
  | { kind: 'refunded'; names: PaymentNames; cents: number }
  | { kind: 'disputed'; names: PaymentNames; disputeId: string; cents: number }
  | { kind: 'dispute_won'; names: PaymentNames; disputeId: string; cents: number }
  | { kind: 'nothing' };

const idOf = (value: string | { id: string } | null | undefined): string | null =>
  typeof value === 'string' ? value : (value?.id ?? null);

export function told(event: Stripe.Event): Told {
  switch (event.type) {
    case 'checkout.session.completed':
    case 'checkout.session.async_payment_succeeded': {
      const session = event.data.object;
      // Bank transfers complete first and are paid days later.
      if (session.payment_status !== 'paid') return { kind: 'nothing' };
      const names = sessionNames(session);
      return { kind: 'paid', names, cents: session.amount_total ?? 0, receiptUrl: null, fromCheckout: true };
    }
    case 'checkout.session.async_payment_failed':
      return { kind: 'failed', names: sessionNames(event.data.object), failure: 'payment_failed' };
    case 'checkout.session.expired':
      return { kind: 'expired', names: sessionNames(event.data.object) };
    case 'payment_intent.succeeded': {
      const intent = event.data.object;
      return {
        kind: 'paid',
        names: intentNames(intent),
        cents: intent.amount_received,
        receiptUrl: null,
        fromCheckout: false,
      };
    }
    case 'payment_intent.payment_failed': {
      const intent = event.data.object;
      return {
        kind: 'failed',
        names: intentNames(intent),
        failure: intent.last_payment_error?.code ?? 'payment_failed',
      };
    }
    case 'charge.refunded': {
      const charge = event.data.object;
      const names = { id: charge.metadata?.paymentId ?? null, session: null, intent: idOf(charge.payment_intent) };
      return { kind: 'refunded', names, cents: charge.amount_refunded };
    }
    case 'charge.dispute.created':
    case 'charge.dispute.funds_withdrawn':
    case 'charge.dispute.funds_reinstated': {
      const dispute = event.data.object;
      const names = { id: null, session: null, intent: idOf(dispute.payment_intent) };
      const kind = event.type === 'charge.dispute.funds_reinstated' ? 'dispute_won' : 'disputed';
      return { kind, names, disputeId: dispute.id, cents: dispute.amount };
    }
    default:
      return { kind: 'nothing' };
  }
}

function sessionNames(session: Stripe.Checkout.Session): PaymentNames {
  return {
    id: session.client_reference_id ?? session.metadata?.paymentId ?? null,
    session: session.id,
    intent: idOf(session.payment_intent),
  };
}

function intentNames(intent: Stripe.PaymentIntent): PaymentNames {
  return { id: intent.metadata?.paymentId ?? null, session: null, intent: intent.id };
}
