import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import { rollupPage, rollupQuery, usagePage, usageQuery } from '@tollgate/shared/contracts/console/usage';
import type { UsageService } from '../usage/service.ts';
import { type Route, route } from './route.ts';

export function usageRoutes(usage: UsageService): Route[] {
  const tag = 'usage';
  return [
    route({
      method: 'get',
      path: '/api/accounts/{id}/usage',
      operation: 'usage.list',
      audience: 'account',
      tag,
      summary: 'Finished requests as billed, newest admission first',
      permission: 'usage:read',
      params: accountParams,
      query: usageQuery,
      response: usagePage,
      handle: ({ actor, params, query }) => usage.list(actor, params.id, query),
    }),
    route({
      method: 'get',
      path: '/api/accounts/{id}/rollups',
      operation: 'usage.rollups',
      audience: 'account',
      tag,
      summary: 'Totals by hour or UTC day, key and model, newest first',
      permission: 'usage:read',
      params: accountParams,
      query: rollupQuery,
      response: rollupPage,
      handle: ({ actor, params, query }) => usage.rollups(actor, params.id, query),
    }),
  ];
}
