/** Webhooks: where events of an organisation (or of the platform) are sent, and what became of each delivery. */
import { z } from 'zod';
import { accountId, isoTime, page, pageQuery, plainText } from './common.ts';

/** Events of one organisation. */
export const ACCOUNT_EVENTS = ['balance.low', 'key.expiring', 'spend_cap.reached', 'topup.succeeded'] as const;
/** Events of the platform: for operators' endpoints. They also get every organisation's. */
export const PLATFORM_EVENTS = ['worker.down', ...ACCOUNT_EVENTS] as const;
export type EventType = (typeof PLATFORM_EVENTS)[number];

const url = z
  .string()
  .max(1000)
  .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && !new URL(text).username, {
    message: 'must be an http or https address without credentials',
  })
  .meta({ example: 'https://example.com/hooks/tollgate' });
const eventTypes = z
  .array(z.enum([...PLATFORM_EVENTS, 'test']))
  .min(1)
  .max(10);

export const webhook = z
  .object({
    webhookId: z.string(),
    url: z.string(),
    events: z.array(z.string()),
    description: z.string().nullable(),
    enabled: z.boolean(),
    createdAt: isoTime,
    previousSecretUntil: isoTime.nullable().meta({ description: 'Until then both secrets sign.' }),
    lastDelivery: z.object({ at: isoTime, ok: z.boolean(), status: z.int().nullable() }).nullable(),
  })
  .meta({ id: 'Webhook' });
export type WebhookView = z.infer<typeof webhook>;
export const createdWebhook = webhook
  .extend({ secret: z.string().meta({ description: 'whsec_…; shown this once.' }) })
  .meta({ id: 'CreatedWebhook' });
export type CreatedWebhookView = z.infer<typeof createdWebhook>;
export const webhookPage = page('WebhookPage', webhook);
export const createWebhook = z
  .strictObject({ url, events: eventTypes, description: plainText(200).optional() })
  .meta({ id: 'CreateWebhook' });
export type CreateWebhook = z.output<typeof createWebhook>;
export const patchWebhook = z
  .strictObject({
    url: url.optional(),
    events: eventTypes.optional(),
    description: plainText(200).nullable().optional(),
    enabled: z.boolean().optional(),
  })
  .meta({ id: 'PatchWebhook' });
export type PatchWebhook = z.output<typeof patchWebhook>;
export const rotateWebhookSecret = z
  .strictObject({
    overlapMs: z
      .int()
      .min(0)
      .max(7 * 86_400_000)
      .optional()
      .meta({ description: '24 h when absent.' }),
  })
  .meta({ id: 'RotateWebhookSecret' });
export type RotateWebhookSecret = z.output<typeof rotateWebhookSecret>;

const webhookId = z.string().regex(/^hook_[0-9A-Za-z]{1,40}$/);
export const webhookParams = z.strictObject({ id: accountId, webhookId });
export const platformWebhookParams = z.strictObject({ webhookId });

export const delivery = z
  .object({
    deliveryId: z.string(),
    event: z.string(),
    eventId: z.string(),
    state: z.enum(['pending', 'delivered', 'failed']),
    attempts: z.int(),
    status: z.int().nullable().meta({ description: 'Of the last answer.' }),
    error: z.string().nullable(),
    createdAt: isoTime,
    lastAttemptAt: isoTime.nullable(),
    nextAttemptAt: isoTime.nullable(),
    durationMs: z.int().nullable(),
  })
  .meta({ id: 'Delivery' });
export type DeliveryView = z.infer<typeof delivery>;
export const deliveryPage = page('DeliveryPage', delivery);
export const deliveriesQuery = z.strictObject(pageQuery);
