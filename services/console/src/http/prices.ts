import { listPricesQuery, modelParams, price, priceInput, pricePage } from '@tollgate/shared/contracts/console/models';
import type { ModelService } from '../models/service.ts';
import { type Route, route } from './route.ts';

export function priceRoutes(models: ModelService): Route[] {
  const tag = 'prices';
  return [
    route({
      method: 'get',
      path: '/api/models/{id}/prices',
      operation: 'prices.list',
      audience: 'user',
      tag,
      summary: 'Every price a model has had or will have, latest start first',
      permission: 'models:read',
      params: modelParams,
      query: listPricesQuery,
      response: pricePage,
      errors: ['model_not_found'],
      handle: ({ actor, params, query }) => models.prices(actor, params.id, query),
    }),
    route({
      method: 'post',
      path: '/api/models/{id}/prices',
      operation: 'prices.create',
      tag,
      summary: 'Set a new price from now or a later moment on',
      description: 'Prices are immutable. A request is billed at the price of its admission, whatever comes after.',
      permission: 'models:write',
      params: modelParams,
      body: priceInput,
      status: 201,
      response: price,
      errors: ['model_not_found'],
      handle: ({ actor, params, body }) => models.addPrice(actor, params.id, body),
    }),
  ];
}
