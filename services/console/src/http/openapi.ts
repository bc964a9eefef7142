/** The OpenAPI 3.1 document, generated from the route table. */
import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi';
import { errorBody, idempotencyKey } from '@tollgate/shared/contracts/console/common';
import { ERRORS, type ErrorCode, type ErrorSpec } from '@tollgate/shared/domain/errors';
import { z } from 'zod';
import type { Route } from './route.ts';

const EVERY_ROUTE: readonly ErrorCode[] = ['missing_api_key', 'invalid_api_key', 'store_unavailable', 'internal_error'];

export function openApiDocument(routes: readonly Route[], version: string): object {
  const registry = new OpenAPIRegistry();
  const security = registry.registerComponent('securitySchemes', 'adminToken', {
    type: 'http',
    scheme: 'bearer',
    description: 'The token of TOLLGATE_ADMIN_TOKEN.',
  });
  for (const route of routes) {
    registry.registerPath({
      method: route.method,
      path: route.path,
      operationId: route.operation,
      tags: [route.tag],
      summary: route.summary,
      ...(route.description === undefined ? {} : { description: route.description }),
      security: [{ [security.name]: [] }],
      request: {
        ...(route.params ? { params: route.params } : {}),
        ...(route.query ? { query: route.query } : {}),
        ...(route.idempotent ? { headers: z.object({ 'Idempotency-Key': idempotencyKey.optional() }) } : {}),
        ...(route.body ? { body: { required: true, content: { 'application/json': { schema: route.body } } } } : {}),
      },
      responses: {
        [route.status]: {
          description: route.summary,
          content: { 'application/json': { schema: route.response } },
        },
        ...errorResponses(route),
      },
    });
  }
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'Tollgate console',
      version,
      description:
        'Accounts, keys, credits, usage, models and workers. Money is nano-USD in decimal strings (`*Nusd`); ' +
        'inputs in USD are named `*Usd`. Lists answer `{data, next}`; pass `next` as `?cursor`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
  });
}

/** One answer per status, its codes named. */
function errorResponses(route: Route) {
  const codes = new Set<ErrorCode>([...EVERY_ROUTE, ...route.errors]);
  if (route.body || route.query) codes.add('invalid_request');
  if (route.body)
    for (const code of ['invalid_json', 'body_too_large', 'unsupported_media_type'] as const) codes.add(code);
  if (route.params) codes.add('not_found');
  const byStatus = Map.groupBy(codes, (code) => (ERRORS[code] as ErrorSpec).status);
  return Object.fromEntries(
    [...byStatus].map(([status, here]) => [
      String(status),
      { description: here.join(', '), content: { 'application/json': { schema: errorBody } } },
    ]),
  );
}
