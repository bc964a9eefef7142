import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import { ledgerPage, ledgerQuery } from '@tollgate/shared/contracts/console/credits';
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { CreditService } from '../credits/service.ts';
import { type Route, route } from './route.ts';

export function ledgerRoutes(credits: CreditService): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/accounts/{id}/ledger',
      operation: 'ledger.list',
      audience: 'account',
      tag: 'ledger',
      summary: 'The transactions of an account with their entries, newest first',
      permission: 'credits:read',
      params: accountParams,
      query: ledgerQuery,
      response: ledgerPage,
      handle: ({ actor, params, query }) => credits.ledger(actor, params.id as AccountId, query),
    }),
  ];
}
