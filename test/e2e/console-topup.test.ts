/** Paying in, against a stand-in of Stripe's API: whatever is told, in whatever order, how often, credit comes once. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { type Browser, type Harness, startHarness } from '../../services/console/src/testing/harness.ts';
import { counts, recordProof, testSeed } from '../../services/shared/src/testkit/counts.ts';
import { eventually } from '../../services/shared/src/testkit/eventually.ts';
import {
  eventsOf,
  STRIPE_KEY,
  STRIPE_WEBHOOK_SECRET,
  type StripeStandIn,
  signed,
  startStripe,
} from './stripe-stand-in.ts';

jest.setTimeout(300_000);

let h: Harness;
let stripe: StripeStandIn;
let person: Browser;
let at = '';
let accountId = '';

beforeAll(async () => {
  stripe = await startStripe();
  h = await startHarness({
    database: 'postgres',
    people: { stripe: { secretKey: STRIPE_KEY, webhookSecret: STRIPE_WEBHOOK_SECRET, apiUrl: stripe.url } },
  });
  person = h.browser();
  ({ accountId } = await person.signUp('payer@example.com'));
  at = `/api/accounts/${accountId}`;
});
afterAll(async () => {
  await h?.stop();
  await stripe?.stop();
});

async function tell(event: object, options: { secret?: string; atMs?: number } = {}): Promise<number> {
  const { body, header } = signed(event, options.secret, options.atMs);
  const response = await fetch(`${h.url}/api/stripe/webhook`, {
    method: 'POST',
    headers: { 'stripe-signature': header, 'content-type': 'application/json' },
    body,
  });
  await response.arrayBuffer();
  return response.status;
}

async function pay(usd: number) {
  const { body } = await person.post(`${at}/topup/checkout`, { usd });
  const session = `cs_for_${body.paymentId}`;
  return {
    paymentId: body.paymentId as string,
    events: eventsOf({ paymentId: body.paymentId, accountId, session, cents: usd * 100 }),
  };
}

const creditedUsd = async () => Number((await person.get(`${at}/credits`)).body.creditedNusd) / 1e9;
const stateOf = async (id: string) => (await person.get(`${at}/payments/${id}`)).body.state;

describe('a checkout', () => {
  test('credits when it is paid, once, and tells so; the card stays on file', async () => {
    const before = await creditedUsd();
    const { paymentId, events } = await pay(20);
    expect(await stateOf(paymentId)).toBe('open');
    expect(await tell(events.unpaid)).toBe(200);
    expect(await creditedUsd()).toBe(before);
    for (const event of [events.completed, events.completed, events.succeeded]) expect(await tell(event)).toBe(200);
    expect([await creditedUsd(), await stateOf(paymentId)]).toEqual([before + 20, 'paid']);
    expect((await person.get(`${at}/topup`)).body.autoRecharge.paymentMethod).toEqual({ brand: 'visa', last4: '4242' });
    const { data } = (await person.get(`${at}/ledger?kind=credit_grant`)).body;
    expect(data.filter((line: { reason: string }) => line.reason === 'top-up by card')).toHaveLength(1);
  });

  test('a repeat with the same Idempotency-Key gets the same page, also when the first answer of Stripe was lost', async () => {
    stripe.loseAnswers = 1;
    const before = stripe.calls.length;
    const key = { 'idempotency-key': 'one-click' };
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push((await person.post(`${at}/topup/checkout`, { usd: 7 }, key)).body);
    expect(new Set(answers.map(({ paymentId, url }) => `${paymentId} ${url}`)).size).toBe(1);
    expect(stripe.calls.slice(before)).toEqual(['POST /v1/checkout/sessions']);
    expect((await person.post(`${at}/topup/checkout`, { usd: 8 }, key)).status).toBe(409);
  });

  test('amounts out of bounds and fractions of a cent are refused', async () => {
    for (const usd of [0, 4.99, 10_000.01, '5.001']) {
      expect((await person.post(`${at}/topup/checkout`, { usd })).status).toBe(400);
    }
  });

  test('nobody credits themselves: only Stripe’s signature, over these bytes, not long ago', async () => {
    const before = await creditedUsd();
    const { events } = await pay(50);
    expect(await tell(events.completed, { secret: 'whsec_guess' })).toBe(400);
    expect(await tell(events.completed, { atMs: Date.now() - 3_600_000 })).toBe(400);
    const { header } = signed(events.completed);
    const forged = JSON.stringify(events.completed).replace('5000', '9000');
    const answer = await fetch(`${h.url}/api/stripe/webhook`, {
      method: 'POST',
      headers: { 'stripe-signature': header },
      body: forged,
    });
    expect(answer.status).toBe(400);
    expect(await creditedUsd()).toBe(before);
  });
});

test('events of many payments, repeated, out of order and at the same time: each credited exactly once', async () => {
  const runs = counts(6, 100);
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          usd: fc.integer({ min: 5, max: 90 }),
          refund: fc.option(fc.integer({ min: 1, max: 5 })),
          dispute: fc.constantFrom('none', 'lost', 'won'),
          noise: fc.boolean(),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      fc.infiniteStream(fc.nat(1_000)),
      async (payments, luck) => {
        const before = await creditedUsd();
        const wave: object[] = [];
        let expected = before;
        for (const { usd, refund, dispute, noise } of payments) {
          const { events } = await pay(usd);
          const own: object[] = [events.completed, events.succeeded];
          expected += usd;
          if (noise) own.push(events.expired, events.attemptFailed);
          // A dispute takes the whole payment back; refunds are cumulative, so older ones change nothing.
          if (dispute === 'none' && refund !== null) {
            own.push(events.refunded(refund * 100), events.refunded(100));
            expected -= refund;
          }
          if (dispute !== 'none') own.push(events.disputed);
          if (dispute === 'lost') expected -= usd;
          if (dispute === 'won') own.push(events.disputeWon);
          for (const event of own) wave.push(event, ...(luck.next().value % 2 === 0 ? [event] : []));
        }
        const shuffled = wave.map((event) => ({ event, place: luck.next().value })).sort((a, b) => a.place - b.place);
        stripe.loseAnswers = luck.next().value % 3;
        for (let i = 0; i < shuffled.length; i += 4) {
          const statuses = await Promise.all(shuffled.slice(i, i + 4).map(({ event }) => tell(event)));
          expect(statuses.every((status) => status === 200)).toBe(true);
        }
        stripe.loseAnswers = 0;
        expect(await creditedUsd()).toBe(expected);
      },
    ),
    { numRuns: runs, seed: testSeed() },
  );
  recordProof({
    name: 'Stripe events in any order: credited once',
    count: runs,
    seed: testSeed(),
    result: 'every balance as paid',
  });
});

describe('auto-recharge', () => {
  test('charges the card when credit falls below the threshold, once, also when the answer is lost', async () => {
    const payer = h.browser();
    const own = await payer.signUp('auto@example.com');
    const path = `/api/accounts/${own.accountId}`;
    expect(
      (await payer.post(`${path}/topup/auto-recharge`, { enabled: true, thresholdUsd: 5, amountUsd: 25 })).status,
    ).toBe(409);
    const { body } = await payer.post(`${path}/topup/checkout`, { usd: 10 });
    await tell(
      eventsOf({ paymentId: body.paymentId, accountId: own.accountId, session: 'cs_auto', cents: 1_000 }).completed,
    );
    const calls = stripe.calls.length;
    stripe.loseAnswers = 1;
    await payer.post(`${path}/topup/auto-recharge`, { enabled: true, thresholdUsd: 12, amountUsd: 25 });
    const charged = await eventually('the automatic top-up', async () => {
      const { data } = (await payer.get(`${path}/payments`)).body;
      return data[0].kind === 'auto_recharge' && data[0].state === 'paid' && data[0];
    });
    expect(charged.amountNusd).toBe('25000000000');
    expect((await payer.get(`${path}/credits`)).body.creditedNusd).toBe('35000000000');
    expect(stripe.calls.slice(calls)).toEqual(['POST /v1/payment_intents']);
  });

  test('a refused card stops it until somebody turns it on again', async () => {
    stripe.card = 'declined';
    await person.post(`${at}/topup/auto-recharge`, { enabled: true, thresholdUsd: 9_000, amountUsd: 30 });
    await eventually(
      'the refusal of the card',
      async () => (await person.get(`${at}/topup`)).body.autoRecharge.failure === 'card_declined',
    );
    const { data } = (await person.get(`${at}/payments?limit=1`)).body;
    expect(data[0]).toMatchObject({ kind: 'auto_recharge', state: 'failed' });
    await person.post(`${at}/topup/auto-recharge`, { enabled: false });
    stripe.card = 'good';
  });
});

describe('redemption codes', () => {
  test('as often as they say, once per organisation, under any race', async () => {
    const { code } = (await h.post('/api/redemption-codes', { usd: 3, uses: 2 })).body;
    const people = [];
    for (const name of ['r1', 'r2', 'r3']) {
      const browser = h.browser();
      people.push({ browser, ...(await browser.signUp(`${name}@example.com`)) });
    }
    const tries = people.flatMap(({ browser, accountId: id }) =>
      [1, 2, 3].map(() => browser.post(`/api/accounts/${id}/redeem`, { code })),
    );
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(6);
    expect(statuses.filter((status) => status === 409)).toHaveLength(3);
    const balances = [];
    for (const { browser, accountId: id } of people)
      balances.push((await browser.get(`/api/accounts/${id}/credits`)).body.creditedNusd);
    expect(balances.sort()).toEqual(['0', '3000000000', '3000000000']);
  });

  test('typed in any way; unknown, expired and withdrawn ones say so; guessing ends', async () => {
    const make = async (more = {}) => (await h.post('/api/redemption-codes', { usd: 1, ...more })).body;
    const typed = await make();
    expect(
      (await person.post(`${at}/redeem`, { code: ` ${typed.code.toLowerCase().replaceAll('-', ' ')}` })).status,
    ).toBe(200);
    const expired = await make({ expiresAt: '2020-01-01T00:00:00Z' });
    expect((await person.post(`${at}/redeem`, { code: expired.code })).status).toBe(409);
    const withdrawn = await make();
    await h.post(`/api/redemption-codes/${withdrawn.codeId}/disable`);
    expect((await person.post(`${at}/redeem`, { code: withdrawn.code })).status).toBe(409);
    const guesses = [];
    for (let i = 0; i < 21; i++) guesses.push((await person.post(`${at}/redeem`, { code: `TG-${i}-guess` })).status);
    expect(guesses).toEqual([...Array(20).fill(404), 429]);
  });
});
