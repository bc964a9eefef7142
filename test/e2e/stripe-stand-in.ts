/** As much of Stripe's HTTP API as Tollgate uses: form bodies in, JSON out, idempotency keys, signed events. */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export const STRIPE_KEY = 'sk_test_stand_in_0123456789abcdef';
export const STRIPE_WEBHOOK_SECRET = 'whsec_stand_in_0123456789abcdef';

export interface StripeStandIn {
  url: string;
  /** Calls that did something, in order: `POST /v1/payment_intents`. */
  calls: string[];
  /** What charging the card on file answers. */
  card: 'good' | 'declined';
  /** Where Stripe would send the browser after the last checkout that was started. */
  successUrl: string;
  /** So many of the next calls do their work and then lose the answer. */
  loseAnswers: number;
  stop(): Promise<void>;
}

const INTENT = 'pi_stand_in_';

export async function startStripe(): Promise<StripeStandIn> {
  const byKey = new Map<string, { status: number; body: object }>();
  let made = 0;
  const server = createServer(async (request, response) => {
    const form = new URLSearchParams(await textOf(request));
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    const key = String(request.headers['idempotency-key'] ?? '');
    let answer = key === '' ? undefined : byKey.get(key);
    if (request.headers.authorization !== `Bearer ${STRIPE_KEY}`)
      answer = failure(401, 'invalid_request_error', 'api_key');
    if (!answer) {
      answer = work(request.method ?? '', path, form);
      standIn.calls.push(`${request.method} ${path}`);
      // Stripe remembers refusals under a key too.
      if (key !== '') byKey.set(key, answer);
    }
    if (standIn.loseAnswers > 0) {
      standIn.loseAnswers--;
      request.socket.destroy();
      return;
    }
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer.body));
  });

  function work(method: string, path: string, form: URLSearchParams): { status: number; body: object } {
    const metadata = { paymentId: form.get('metadata[paymentId]'), accountId: form.get('metadata[accountId]') };
    if (method === 'POST' && path === '/v1/checkout/sessions') {
      const id = `cs_stand_in_${++made}`;
      standIn.successUrl = form.get('success_url') ?? '';
      return ok({ id, object: 'checkout.session', url: `https://checkout.example/${id}`, metadata });
    }
    if (method === 'POST' && path === '/v1/payment_intents') {
      const id = `${INTENT}charge_${++made}`;
      if (standIn.card === 'declined') return failure(402, 'card_error', 'card_declined');
      const amount = Number(form.get('amount'));
      return ok({ id, object: 'payment_intent', status: 'succeeded', amount, amount_received: amount, metadata });
    }
    if (method === 'GET' && path.startsWith('/v1/payment_intents/')) {
      const card = {
        id: 'pm_stand_in',
        object: 'payment_method',
        type: 'card',
        card: { brand: 'visa', last4: '4242' },
      };
      const id = path.split('/').at(-1)!;
      return ok({
        id,
        object: 'payment_intent',
        customer: 'cus_stand_in',
        payment_method: card,
        metadata: { paymentId: id.replace(INTENT, '') },
      });
    }
    return failure(404, 'invalid_request_error', 'unknown');
  }

  const standIn: StripeStandIn = {
    url: '',
    calls: [],
    card: 'good',
    successUrl: '',
    loseAnswers: 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  standIn.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return standIn;
}

const ok = (body: object) => ({ status: 200, body });
const failure = (status: number, type: string, code: string) => ({
  status,
  body: { error: { type, code, message: code } },
});

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

/** An event as Stripe would send it, with the header that proves it. */
export function signed(
  event: object,
  secret = STRIPE_WEBHOOK_SECRET,
  atMs = Date.now(),
): { body: string; header: string } {
  const body = JSON.stringify(event);
  const t = Math.floor(atMs / 1000);
  return { body, header: `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')}` };
}

export interface PaymentFacts {
  paymentId: string;
  accountId: string;
  session: string;
  cents: number;
}

/** Events about one payment by their short names. */
export function eventsOf({ paymentId, accountId, session, cents }: PaymentFacts) {
  const intent = `${INTENT}${paymentId}`;
  const metadata = { paymentId, accountId };
  const event = (id: string, type: string, object: object) => ({
    id: `evt_${paymentId}_${id}`,
    object: 'event',
    type,
    data: { object },
  });
  const checkout = {
    id: session,
    object: 'checkout.session',
    client_reference_id: paymentId,
    metadata,
    payment_intent: intent,
  };
  const charge = { id: `ch_${paymentId}`, object: 'charge', payment_intent: intent, metadata };
  const dispute = { id: `dp_${paymentId}`, object: 'dispute', payment_intent: intent, amount: cents };
  return {
    completed: event('completed', 'checkout.session.completed', {
      ...checkout,
      payment_status: 'paid',
      amount_total: cents,
    }),
    unpaid: event('unpaid', 'checkout.session.completed', {
      ...checkout,
      payment_status: 'unpaid',
      amount_total: cents,
    }),
    expired: event('expired', 'checkout.session.expired', checkout),
    succeeded: event('succeeded', 'payment_intent.succeeded', {
      id: intent,
      object: 'payment_intent',
      amount_received: cents,
      metadata,
    }),
    attemptFailed: event('failed', 'payment_intent.payment_failed', { id: intent, object: 'payment_intent', metadata }),
    refunded: (total: number) => event(`refund_${total}`, 'charge.refunded', { ...charge, amount_refunded: total }),
    disputed: event('dispute', 'charge.dispute.funds_withdrawn', dispute),
    disputeWon: event('won', 'charge.dispute.funds_reinstated', dispute),
  };
}
