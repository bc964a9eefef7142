import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import { done, listQuery } from '@tollgate/shared/contracts/console/auth';
import * as wire from '@tollgate/shared/contracts/console/webhooks';
import { z } from 'zod';
import type { WebhookService } from '../webhooks/service.ts';
import { type Route, route } from './route.ts';

const ok = { ok: true } as const;
const deliveryId = z.string().regex(/^dlv_[0-9A-Za-z]{1,60}$/);
const none = z.strictObject({});

/** The same routes for an organisation's own endpoints and for the platform's. */
export function webhookRoutes(webhooks: WebhookService): Route[] {
  return [...routesFor(webhooks, 'account'), ...routesFor(webhooks, 'platform')];
}

function routesFor(webhooks: WebhookService, whose: 'account' | 'platform'): Route[] {
  const own = whose === 'account';
  const path = own ? '/api/accounts/{id}/webhooks' : '/api/webhooks';
  const name = own ? 'webhooks' : 'platform_webhooks';
  const all: z.ZodObject = own ? accountParams : none;
  const one: z.ZodObject = own ? wire.webhookParams : wire.platformWebhookParams;
  const delivery: z.ZodObject = one.extend({ deliveryId });
  const idOf = (params: Record<string, unknown>) => (own ? String(params.id) : null);
  const hookOf = (params: Record<string, unknown>) => String(params.webhookId);
  const read = { tag: 'webhooks', audience: whose, permission: 'webhooks:read', params: one } as const;
  const write = { ...read, permission: 'webhooks:write' } as const;
  return [
    route({
      ...read,
      params: all,
      method: 'get',
      path,
      operation: `${name}.list`,
      summary: 'Webhooks, newest first',
      query: listQuery,
      response: wire.webhookPage,
      handle: ({ params, query }) => webhooks.page(idOf(params), query),
    }),
    route({
      ...write,
      params: all,
      method: 'post',
      path,
      operation: `${name}.create`,
      summary: 'Make a webhook; its secret is told this once',
      stepUp: true,
      body: wire.createWebhook,
      status: 201,
      response: wire.createdWebhook,
      errors: ['conflict'],
      handle: ({ params, body }) => webhooks.create(idOf(params), body),
    }),
    route({
      ...write,
      method: 'patch',
      path: `${path}/{webhookId}`,
      operation: `${name}.patch`,
      summary: 'Change a webhook, turn it on or off',
      stepUp: true,
      body: wire.patchWebhook,
      response: wire.webhook,
      handle: ({ params, body }) => webhooks.patch(idOf(params), hookOf(params), body),
    }),
    route({
      ...write,
      method: 'post',
      path: `${path}/{webhookId}/remove`,
      operation: `${name}.remove`,
      summary: 'Remove a webhook; what is not delivered yet never will be',
      response: done,
      handle: async ({ params }) => {
        await webhooks.remove(idOf(params), hookOf(params));
        return ok;
      },
    }),
    route({
      ...write,
      method: 'post',
      path: `${path}/{webhookId}/rotate-secret`,
      operation: `${name}.rotate`,
      summary: 'A new secret; both sign until the overlap ends',
      stepUp: true,
      body: wire.rotateWebhookSecret,
      response: wire.createdWebhook,
      handle: ({ params, body }) => webhooks.rotate(idOf(params), hookOf(params), body),
    }),
    route({
      ...write,
      method: 'post',
      path: `${path}/{webhookId}/test`,
      operation: `${name}.test`,
      summary: 'Send a test event',
      response: wire.delivery,
      errors: ['conflict'],
      handle: ({ params }) => webhooks.test(idOf(params), hookOf(params)),
    }),
    route({
      ...read,
      method: 'get',
      path: `${path}/{webhookId}/deliveries`,
      operation: `${name}.deliveries`,
      summary: 'What became of each delivery, newest first',
      query: wire.deliveriesQuery,
      response: wire.deliveryPage,
      handle: ({ params, query }) => webhooks.deliveries(idOf(params), hookOf(params), query),
    }),
    route({
      ...write,
      params: delivery,
      method: 'post',
      path: `${path}/{webhookId}/deliveries/{deliveryId}/redeliver`,
      operation: `${name}.redeliver`,
      summary: 'Send it again now',
      response: wire.delivery,
      handle: ({ params }) =>
        webhooks.redeliver(idOf(params), hookOf(params), String((params as Record<string, unknown>).deliveryId)),
    }),
  ];
}
