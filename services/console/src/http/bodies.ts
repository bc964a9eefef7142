import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import * as wire from '@tollgate/shared/contracts/console/bodies';
import { requestParams } from '@tollgate/shared/contracts/console/requests';
import type { BodyService } from '../bodies/service.ts';
import { type Route, route } from './route.ts';

/** Bodies that an organisation has kept: its switch, and those of one request. */
export function bodyRoutes(bodies: BodyService): Route[] {
  const common = { tag: 'requests', audience: 'account' } as const;
  return [
    route({
      ...common,
      permission: 'usage:read',
      method: 'get',
      path: '/api/accounts/{id}/body-retention',
      operation: 'body_retention.get',
      summary: 'Whether bodies of requests are kept, and for how long',
      params: accountParams,
      response: wire.bodyRetention,
      handle: ({ params }) => bodies.retention(params.id),
    }),
    route({
      ...common,
      permission: 'organisation:write',
      stepUp: true,
      method: 'post',
      path: '/api/accounts/{id}/body-retention',
      operation: 'body_retention.set',
      summary: 'Switch the keeping of bodies on or off; members only, not operators',
      params: accountParams,
      body: wire.setBodyRetention,
      response: wire.bodyRetention,
      handle: ({ actor, params, body }) => bodies.setRetention(actor, params.id, body),
    }),
    route({
      ...common,
      permission: 'bodies:read',
      audited: true,
      method: 'get',
      path: '/api/accounts/{id}/requests/{requestId}/body',
      operation: 'bodies.read',
      summary: 'What was asked and answered, where the organisation keeps it; each look is audited',
      params: requestParams,
      response: wire.requestBody,
      handle: ({ actor, params }) => bodies.read(actor, params.id, params.requestId),
    }),
  ];
}
