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
  const accessToken = registry.registerComponent('securitySchemes', 'accessToken', {
    type: 'http',
    scheme: 'bearer',
    description: 'A personal access token: acts as its user in one organisation.',
  });
  const session = registry.registerComponent('securitySchemes', 'session', {
    type: 'apiKey',
    in: 'cookie',
    name: 'tollgate_session',
    description: 'A signed-in browser; changes need X-CSRF-Token. On https the name begins with `__Host-`.',
  });
  const securityOf = (route: Route) => {
    if (route.audience === 'public') return [];
    const schemes = [session];
    if (route.audience !== 'session') schemes.push(security);
    if (route.audience !== 'session' && route.audience !== 'platform' && !route.stepUp) schemes.push(accessToken);
    return schemes.map(({ name }) => ({ [name]: [] }));
  };
  for (const route of routes) {
    registry.registerPath({
      method: route.method,
      path: route.path,
      operationId: route.operation,
      tags: [route.tag],
      summary: route.summary,
      ...(route.description === undefined ? {} : { description: route.description }),
      security: securityOf(route),
      'x-permission': route.audience === 'public' ? 'public' : route.permission,
      'x-audience': route.audience,
      request: {
        ...(route.params ? { params: route.params } : {}),
        ...(route.query ? { query: route.query } : {}),
        ...(route.idempotent ? { headers: z.object({ 'Idempotency-Key': idempotencyKey.optional() }) } : {}),
        ...(route.body ? { body: { required: true, content: { 'application/json': { schema: route.body } } } } : {}),
        ...(route.rawLimitBytes === null
          ? {}
          : { body: { content: { 'application/json': { schema: z.looseObject({}) } } } }),
        ...(route.bytes
          ? {
              body: {
                required: true,
                content: { 'application/octet-stream': { schema: z.string().meta({ format: 'binary' }) } },
              },
            }
          : {}),
      },
      responses: {
        [route.status]: {
          description: route.summary,
          content: Object.fromEntries(route.types.map((type) => [type, { schema: route.response ?? z.string() }])),
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
  if (route.audience !== 'public') codes.add('endpoint_not_allowed');
  if (route.audience === 'account' || route.audience === 'key') codes.add('not_found');
  if (route.stepUp) codes.add('reauthentication_required');
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
