import { drainedWorker, drainWorker, listWorkersQuery, workerPage } from '@tollgate/shared/contracts/console/workers';
import type { WorkerService } from '../workers/service.ts';
import { type Route, route } from './route.ts';

export function workerRoutes(workers: WorkerService): Route[] {
  const tag = 'workers';
  return [
    route({
      method: 'get',
      path: '/api/workers',
      operation: 'workers.list',
      tag,
      summary: 'The fleet, merged from what every router sees',
      permission: 'workers:read',
      query: listWorkersQuery,
      response: workerPage,
      handle: ({ actor, query }) => workers.list(actor, query),
    }),
    route({
      method: 'post',
      path: '/api/workers/drain',
      operation: 'workers.drain',
      tag,
      summary: 'Send a worker no new requests; those that run go on',
      permission: 'workers:write',
      body: drainWorker,
      response: drainedWorker,
      errors: ['not_found'],
      handle: ({ actor, body }) => workers.drain(actor, body.url),
    }),
    route({
      method: 'post',
      path: '/api/workers/undrain',
      operation: 'workers.undrain',
      tag,
      summary: 'Let a drained worker receive requests again',
      permission: 'workers:write',
      body: drainWorker,
      response: drainedWorker,
      handle: ({ actor, body }) => workers.undrain(actor, body.url),
    }),
  ];
}
