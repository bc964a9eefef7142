import {
  createModel,
  listModelsQuery,
  model,
  modelPage,
  modelParams,
  patchModel,
} from '@tollgate/shared/contracts/console/models';
import type { ModelService } from '../models/service.ts';
import { type Route, route } from './route.ts';

export function modelRoutes(models: ModelService): Route[] {
  const tag = 'models';
  return [
    route({
      method: 'get',
      path: '/api/models',
      operation: 'models.list',
      audience: 'user',
      tag,
      summary: 'Models with the price in force, by id',
      permission: 'models:read',
      query: listModelsQuery,
      response: modelPage,
      handle: ({ actor, query }) => models.list(actor, query),
    }),
    route({
      method: 'post',
      path: '/api/models',
      operation: 'models.create',
      tag,
      summary: 'Offer a model, with its first price',
      permission: 'models:write',
      body: createModel,
      status: 201,
      response: model,
      errors: ['conflict'],
      handle: ({ actor, body }) => models.create(actor, body),
    }),
    route({
      method: 'get',
      path: '/api/models/{id}',
      operation: 'models.get',
      audience: 'user',
      tag,
      summary: 'One model; slashes in its id may stand as they are or as %2F',
      permission: 'models:read',
      params: modelParams,
      response: model,
      errors: ['model_not_found'],
      handle: ({ actor, params }) => models.get(actor, params.id),
    }),
    route({
      method: 'patch',
      path: '/api/models/{id}',
      operation: 'models.patch',
      tag,
      summary: 'Change how a model is offered; `enabled: false` takes it off the list',
      permission: 'models:write',
      params: modelParams,
      body: patchModel,
      response: model,
      errors: ['model_not_found'],
      handle: ({ actor, params, body }) => models.patch(actor, params.id, body),
    }),
  ];
}
