import {
  account,
  accountPage,
  accountParams,
  createAccount,
  listAccountsQuery,
  patchAccount,
} from '@tollgate/shared/contracts/console/accounts';
import type { AccountService } from '../accounts/service.ts';
import { type Route, route } from './route.ts';

export function accountRoutes(accounts: AccountService): Route[] {
  const tag = 'accounts';
  return [
    route({
      method: 'post',
      path: '/api/accounts',
      operation: 'accounts.create',
      tag,
      summary: 'Create an account',
      permission: 'accounts:write',
      body: createAccount,
      status: 201,
      response: account,
      handle: ({ actor, body }) => accounts.create(actor, body),
    }),
    route({
      method: 'get',
      path: '/api/accounts',
      operation: 'accounts.list',
      tag,
      summary: 'Accounts, newest first',
      permission: 'accounts:read',
      query: listAccountsQuery,
      response: accountPage,
      handle: ({ actor, query }) => accounts.list(actor, query),
    }),
    route({
      method: 'get',
      path: '/api/accounts/{id}',
      operation: 'accounts.get',
      audience: 'account',
      tag,
      summary: 'One account',
      permission: 'organisation:read',
      params: accountParams,
      response: account,
      handle: ({ actor, params }) => accounts.get(actor, params.id),
    }),
    route({
      method: 'patch',
      path: '/api/accounts/{id}',
      operation: 'accounts.patch',
      tag,
      summary: 'Change an account: name, limits, plan; freeze and unfreeze',
      description: 'Fields that are absent stay as they are. Routers obey within 1 s of the answer.',
      permission: 'accounts:write',
      params: accountParams,
      body: patchAccount,
      response: account,
      handle: ({ actor, params, body }) => accounts.patch(actor, params.id, body),
    }),
  ];
}
