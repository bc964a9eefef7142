import { account, accountParams } from '@tollgate/shared/contracts/console/accounts';
import { listQuery } from '@tollgate/shared/contracts/console/auth';
import * as wire from '@tollgate/shared/contracts/console/platform';
import type { FleetService } from '../fleet/service.ts';
import type { PlatformService } from '../platform/service.ts';
import type { SettingsService } from '../settings/service.ts';
import { type Route, route, streamRoute } from './route.ts';

export function platformRoutes(platform: PlatformService, fleet: FleetService, settings: SettingsService): Route[] {
  const read = { tag: 'platform', permission: 'platform:read' } as const;
  const write = { tag: 'platform', permission: 'platform:write' } as const;
  return [
    route({
      ...read,
      method: 'get',
      path: '/api/fleet',
      operation: 'fleet.get',
      summary: 'Every worker: what it does now and did in the last quarter of an hour',
      response: wire.fleet,
      handle: () => fleet.read(),
    }),
    streamRoute({
      ...read,
      method: 'get',
      path: '/api/fleet/events',
      operation: 'fleet.events',
      summary: 'The same as server-sent events, every two seconds',
      types: ['text/event-stream'],
      stream: async ({ exchange }) => fleet.events(exchange),
    }),
    route({
      ...read,
      method: 'get',
      path: '/api/search',
      operation: 'search.get',
      summary: 'Accounts, keys, users and requests by what a person has in hand',
      query: wire.searchQuery,
      response: wire.found,
      handle: ({ actor, query }) => platform.search(actor, query.q),
    }),
    route({
      ...read,
      method: 'get',
      path: '/api/plans',
      operation: 'plans.list',
      summary: 'Plans by id',
      query: listQuery,
      response: wire.planPage,
      handle: ({ query }) => platform.plans(query),
    }),
    route({
      ...write,
      method: 'post',
      path: '/api/plans',
      operation: 'plans.save',
      summary: 'Make or replace a plan; accounts on it keep their limits until they are put on it again',
      body: wire.savePlan,
      response: wire.plan,
      handle: ({ body }) => platform.savePlan(body),
    }),
    route({
      ...write,
      method: 'post',
      path: '/api/accounts/{id}/plan',
      operation: 'accounts.set_plan',
      summary: 'Put an account on a plan: it gets its limits and its weight',
      params: accountParams,
      body: wire.setPlan,
      response: account,
      errors: ['not_found'],
      handle: ({ actor, params, body }) => platform.setPlan(actor, params.id, body.planId),
    }),
    route({
      ...read,
      method: 'get',
      path: '/api/audit',
      operation: 'audit.list',
      tag: 'audit',
      summary: 'Who changed what, newest first',
      query: wire.auditQuery,
      response: wire.auditPage,
      handle: ({ query }) => platform.audit(null, query),
    }),
    route({
      method: 'get',
      path: '/api/accounts/{id}/audit',
      operation: 'audit.of_account',
      tag: 'audit',
      summary: 'Who changed what in this organisation, newest first',
      audience: 'account',
      permission: 'audit:read',
      params: accountParams,
      query: wire.auditQuery,
      response: wire.auditPage,
      handle: ({ params, query }) => platform.audit(params.id, query),
    }),
    route({
      ...read,
      method: 'get',
      path: '/api/audit/verify',
      operation: 'audit.verify',
      tag: 'audit',
      summary: 'Recompute the chain of the audit log: the whole of it, or a stretch behind a line that is known',
      query: wire.auditVerifyQuery,
      response: wire.auditVerified,
      handle: ({ query }) => platform.verifyAudit(query),
    }),
    route({
      ...read,
      method: 'get',
      path: '/api/settings',
      operation: 'settings.get',
      summary: 'Settings of the installation',
      response: wire.settings,
      handle: () => settings.show(),
    }),
    route({
      ...write,
      method: 'patch',
      path: '/api/settings',
      operation: 'settings.patch',
      summary: 'Change settings',
      body: wire.patchSettings,
      response: wire.settings,
      handle: ({ body }) => settings.patch(body),
    }),
  ];
}
