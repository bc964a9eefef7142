import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import { changeCredits, changedCredits, credits as creditsSchema } from '@tollgate/shared/contracts/console/credits';
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { CreditService } from '../credits/service.ts';
import { type Route, route } from './route.ts';

export function creditRoutes(credits: CreditService): Route[] {
  const tag = 'credits';
  return [
    route({
      method: 'post',
      path: '/api/accounts/{id}/credits',
      operation: 'credits.change',
      stepUp: true,
      tag,
      summary: 'Grant credit, or take it back with a negative amount',
      description:
        'Credit is spendable when this returns. What is taken back comes from free credit first; what is reserved or spent ' +
        'already becomes receivable, which top-ups repay first.',
      permission: 'credits:write',
      params: accountParams,
      body: changeCredits,
      response: changedCredits,
      errors: ['conflict'],
      handle: ({ actor, params, body }) => credits.change(actor, params.id as AccountId, body),
    }),
    route({
      method: 'get',
      path: '/api/accounts/{id}/credits',
      operation: 'credits.show',
      audience: 'account',
      tag,
      summary: 'What an account was given, has spent, has reserved and can spend',
      permission: 'credits:read',
      params: accountParams,
      response: creditsSchema,
      handle: ({ actor, params }) => credits.show(actor, params.id as AccountId),
    }),
  ];
}
