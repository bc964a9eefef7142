import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import { projectQuery } from '@tollgate/shared/contracts/console/collections';
import { ledgerExportQuery } from '@tollgate/shared/contracts/console/credits';
import * as insights from '@tollgate/shared/contracts/console/insights';
import { playgroundCallQuery } from '@tollgate/shared/contracts/console/playground';
import * as requests from '@tollgate/shared/contracts/console/requests';
import type { AccountId } from '@tollgate/shared/domain/ids';
import type { CreditService } from '../credits/service.ts';
import type { LimitReader } from '../insights/limits.ts';
import type { InsightService } from '../insights/service.ts';
import type { StatusService } from '../insights/status.ts';
import type { PlaygroundService } from '../playground/service.ts';
import type { RequestService } from '../requests/service.ts';
import { EXPORT_TYPES } from './export.ts';
import { type Route, route, streamRoute } from './route.ts';

const PLAYGROUND_BYTES = 1_048_576;

export interface ScreenServices {
  insights: InsightService;
  requests: RequestService;
  limits: LimitReader;
  status: StatusService;
  credits: CreditService;
  playground: PlaygroundService;
}

/** What home, usage, requests, limits, playground and the public status page show. */
export function screenRoutes(services: ScreenServices): Route[] {
  const common = { tag: 'usage', audience: 'account', permission: 'usage:read', params: accountParams } as const;
  return [
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/overview',
      operation: 'overview.get',
      summary: 'Credit, the last 24 hours, and how long the credit lasts',
      response: insights.overview,
      handle: ({ actor, params }) => services.insights.overview(actor, params.id as AccountId),
    }),
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/guide',
      operation: 'guide.get',
      summary: 'The way to the first served request, and what stands in it',
      response: insights.guide,
      handle: ({ actor, params }) => services.insights.guide(actor, params.id as AccountId),
    }),
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/usage/series',
      operation: 'usage.series',
      summary: 'Usage by hour or day, by model, key or outcome',
      query: insights.seriesQuery,
      response: insights.series,
      handle: ({ params, query }) => services.insights.series(params.id, query),
    }),
    streamRoute({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/usage/export',
      operation: 'usage.export',
      summary: 'The same in full, as CSV or NDJSON; `x-next-cursor` while there is more',
      query: insights.usageExportQuery,
      types: EXPORT_TYPES,
      stream: ({ params, query }) => services.insights.export(params.id, query),
    }),
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/requests',
      operation: 'requests.list',
      tag: 'requests',
      summary: 'Finished and refused requests of one snapshot, newest admission first',
      query: requests.requestsQuery,
      response: requests.requestPage,
      handle: ({ params, query }) => services.requests.page(params.id, query),
    }),
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/requests/newer',
      operation: 'requests.newer',
      tag: 'requests',
      summary: 'How many requests came since, and how many run',
      query: requests.newerQuery,
      response: requests.newer,
      handle: ({ params, query }) => services.requests.newer(params.id, query.since),
    }),
    streamRoute({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/requests/export',
      operation: 'requests.export',
      tag: 'requests',
      summary: 'Requests as CSV or NDJSON; `x-next-cursor` while there is more',
      query: requests.requestsExportQuery,
      types: EXPORT_TYPES,
      stream: ({ params, query }) => services.requests.export(params.id, query),
    }),
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/requests/{requestId}',
      operation: 'requests.get',
      tag: 'requests',
      summary: 'One request: timeline, tokens, cost, attempts',
      params: requests.requestParams,
      response: requests.requestDetail,
      handle: ({ actor, params }) => services.requests.detail(actor, params.id, params.requestId),
    }),
    route({
      ...common,
      permission: 'limits:read',
      method: 'get',
      path: '/api/accounts/{id}/limits',
      operation: 'limits.get',
      tag: 'limits',
      summary: 'What is left of each limit now, from the counters that enforce',
      response: insights.liveLimits,
      handle: ({ params }) => services.limits.read(params.id),
    }),
    route({
      ...common,
      permission: 'credits:read',
      method: 'get',
      path: '/api/accounts/{id}/forecast',
      operation: 'credits.forecast',
      tag: 'credits',
      summary: 'How long the credit lasts at the pace of the last seven days',
      response: insights.forecast,
      handle: ({ actor, params }) => services.insights.forecast(actor, params.id as AccountId),
    }),
    streamRoute({
      ...common,
      permission: 'credits:read',
      method: 'get',
      path: '/api/accounts/{id}/ledger/export',
      operation: 'ledger.export',
      tag: 'ledger',
      summary: 'The ledger as CSV or NDJSON; `x-next-cursor` while there is more',
      query: ledgerExportQuery,
      types: EXPORT_TYPES,
      stream: ({ params, query }) => services.credits.exportLedger(params.id as AccountId, query),
    }),
    streamRoute({
      ...common,
      permission: 'playground:use',
      method: 'post',
      path: '/api/accounts/{id}/playground/chat',
      operation: 'playground.chat',
      tag: 'playground',
      summary: 'A chat request through the router, at the same limits and price as with any key',
      description:
        'With `X-Playground-Key` it runs with that key of the organisation; the key is kept nowhere. Operators may send ' +
        '`x-tollgate-route-explain: 1`: the answer’s header of that name holds the score of each worker.',
      unaudited: true,
      query: projectQuery,
      rawLimitBytes: PLAYGROUND_BYTES,
      types: ['text/event-stream', 'application/json'],
      errors: ['service_unavailable', 'body_too_large'],
      stream: ({ actor, params, query, raw, exchange }) =>
        services.playground.call(
          actor,
          params.id,
          query.projectId ?? null,
          { method: 'POST', path: '/v1/chat/completions', body: raw },
          exchange,
        ),
    }),
    streamRoute({
      ...common,
      permission: 'playground:use',
      method: 'post',
      path: '/api/accounts/{id}/playground/call',
      operation: 'playground.call',
      tag: 'playground',
      summary: 'Any request of the models’ API (`/v1/openapi.json`), as with a key of one’s own',
      description:
        'Its method and path stand in the query, its body is the body; the answer is the router’s own. ' +
        '`X-Playground-Key` as above.',
      unaudited: true,
      query: playgroundCallQuery,
      rawLimitBytes: PLAYGROUND_BYTES,
      types: ['application/json', 'text/event-stream', 'application/octet-stream'],
      errors: ['service_unavailable', 'body_too_large'],
      stream: ({ actor, params, query: { method, path, projectId }, raw, exchange }) =>
        services.playground.call(actor, params.id, projectId ?? null, { method, path, body: raw }, exchange),
    }),
    route({
      method: 'get',
      path: '/api/status',
      operation: 'status.get',
      tag: 'status',
      audience: 'public',
      permission: 'models:read',
      summary: 'Whether each model works, how fast, and for how long it has',
      response: insights.status,
      handle: () => services.status.read(),
    }),
  ];
}
