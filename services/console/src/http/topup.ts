import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import * as wire from '@tollgate/shared/contracts/console/topup';
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { CodeService } from '../topup/codes.ts';
import type { TopupService } from '../topup/service.ts';
import { type Route, route, streamRoute } from './route.ts';

const EVENT_BYTES = 1_048_576;

export function topupRoutes(topup: TopupService, codes: CodeService): Route[] {
  const tag = 'top-up';
  const read = { tag, audience: 'account', permission: 'credits:read', params: accountParams } as const;
  const write = { ...read, permission: 'topup:write' } as const;
  return [
    route({
      ...read,
      method: 'get',
      path: '/api/accounts/{id}/topup',
      operation: 'topup.get',
      summary: 'How credit can be bought, and the automatic top-up',
      response: wire.topup,
      handle: ({ params }) => topup.show(params.id),
    }),
    route({
      ...write,
      method: 'post',
      path: '/api/accounts/{id}/topup/checkout',
      operation: 'topup.checkout',
      summary: 'A page on which to pay by card',
      stepUp: true,
      idempotent: true,
      body: wire.checkout,
      response: wire.checkoutStarted,
      errors: ['conflict'],
      handle: ({ actor, params, body, idempotencyKey }) =>
        topup.checkout(actor, params.id as AccountId, body, idempotencyKey),
    }),
    route({
      ...write,
      method: 'post',
      path: '/api/accounts/{id}/topup/auto-recharge',
      operation: 'topup.auto_recharge',
      summary: 'Charge the card on file whenever the credit falls below a threshold',
      stepUp: true,
      body: wire.autoRecharge,
      response: wire.topup,
      errors: ['conflict'],
      handle: ({ params, body }) => topup.saveAutoRecharge(params.id as AccountId, body),
    }),
    route({
      ...read,
      method: 'get',
      path: '/api/accounts/{id}/payments',
      operation: 'payments.list',
      summary: 'Payments, newest first',
      query: wire.paymentsQuery,
      response: wire.paymentPage,
      handle: ({ params, query }) => topup.payments(params.id, query),
    }),
    route({
      ...read,
      params: wire.paymentParams,
      method: 'get',
      path: '/api/accounts/{id}/payments/{paymentId}',
      operation: 'payments.get',
      summary: 'One payment',
      response: wire.payment,
      handle: ({ params }) => topup.payment(params.id, params.paymentId),
    }),
    route({
      ...write,
      method: 'post',
      path: '/api/accounts/{id}/redeem',
      operation: 'codes.redeem',
      summary: 'Turn a redemption code into credit; a repeat changes nothing',
      body: wire.redeem,
      response: wire.redeemed,
      errors: ['conflict', 'rate_limit_exceeded'],
      handle: ({ actor, params, body }) => codes.redeem(actor, params.id as AccountId, body.code),
    }),
    route({
      tag,
      permission: 'credits:write',
      method: 'get',
      path: '/api/redemption-codes',
      operation: 'codes.list',
      summary: 'Redemption codes, newest first',
      query: wire.paymentsQuery,
      response: wire.redemptionCodePage,
      handle: ({ query }) => codes.page(query),
    }),
    route({
      tag,
      permission: 'credits:write',
      method: 'post',
      path: '/api/redemption-codes',
      operation: 'codes.create',
      summary: 'Make a redemption code; its text is told this once',
      stepUp: true,
      body: wire.createCode,
      status: 201,
      response: wire.createdCode,
      handle: ({ actor, body }) => codes.create(actor, body),
    }),
    route({
      tag,
      permission: 'credits:write',
      method: 'post',
      path: '/api/redemption-codes/{id}/disable',
      operation: 'codes.disable',
      summary: 'Withdraw a redemption code',
      params: wire.codeParams,
      response: wire.redemptionCode,
      handle: ({ params }) => codes.disable(params.id),
    }),
    streamRoute({
      tag,
      audience: 'public',
      permission: 'credits:write',
      method: 'post',
      path: '/api/stripe/webhook',
      operation: 'stripe.webhook',
      summary: "Stripe's events, known by their signature",
      unaudited: true,
      rawLimitBytes: EVENT_BYTES,
      types: ['application/json'],
      errors: ['invalid_request', 'conflict'],
      stream: async ({ raw, exchange }) => {
        await topup.handleEvent(raw, exchange.header('stripe-signature'));
        return { status: 200, headers: { 'content-type': 'application/json' }, body: '{"received":true}' };
      },
    }),
  ];
}
