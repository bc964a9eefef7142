import { z } from 'zod';
import {
  accountId,
  isoTime,
  keyId,
  limits,
  limitsInput,
  modelId,
  nusd,
  page,
  pageQuery,
  plainText,
  timeInput,
  usd,
} from './common.ts';

export const DAY_MS = 86_400_000;

const kind = z.enum(['api', 'pat', 'service']);
const models = z.array(modelId).max(100).nullable().optional().meta({ description: 'Models it may use; null = all.' });
const scopes = z
  .array(z.string().regex(/^[a-z0-9][a-z0-9_.:-]{0,59}$/))
  .max(50)
  .optional()
  .meta({ description: 'Endpoint scopes; empty = all.' });
const expiresAt = timeInput.nullable().optional().meta({ description: 'ISO 8601; null = never.', format: 'date-time' });
const handle = z.string().regex(/^[0-9A-Za-z_-]{1,64}$/);

const ipRange = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);

const settings = {
  ...limitsInput,
  capDayUsd: usd.nullable().optional(),
  capMonthUsd: usd.nullable().optional(),
  models,
  scopes,
  expiresAt,
  allowGrammars: z.boolean().optional().meta({ description: 'Whether it may send regexes and grammars.' }),
  allowedIps: z
    .array(ipRange)
    .min(1)
    .max(50)
    .nullable()
    .optional()
    .meta({ description: 'Addresses or CIDR ranges it may be used from; null = any.', example: ['203.0.113.0/24'] }),
  tags: z
    .array(z.string().regex(/^[0-9A-Za-z][0-9A-Za-z_.:-]{0,39}$/))
    .max(10)
    .optional(),
};

export const key = z
  .object({
    keyId,
    accountId,
    name: z.string(),
    kind,
    prefix: z.string().meta({ description: 'Its first characters; safe to show.', example: 'tg_live_4fZkQw81mNc2' }),
    last4: z.string(),
    projectId: z.string().nullable(),
    userId: z.string().nullable(),
    models: z.array(z.string()).nullable(),
    scopes: z.array(z.string()),
    allowGrammars: z.boolean(),
    allowedIps: z.array(z.string()).nullable(),
    tags: z.array(z.string()),
    createdBy: z.string().nullable().meta({ description: 'User id of whoever made it.' }),
    limits,
    capDayNusd: nusd.nullable(),
    capMonthNusd: nusd.nullable(),
    spentDayNusd: nusd.meta({ description: 'Settled on the present UTC day.' }),
    spentMonthNusd: nusd.meta({ description: 'Settled in the present UTC month.' }),
    createdAt: isoTime,
    expiresAt: isoTime.nullable(),
    revokedAt: isoTime.nullable(),
    rotatedFrom: z.string().nullable(),
    rotatedTo: z.string().nullable().meta({ description: 'Its successor; both work until this one expires.' }),
    lastUsedAt: isoTime.nullable(),
  })
  .meta({ id: 'Key' });
export type KeyView = z.infer<typeof key>;

export const createKey = z
  .strictObject({
    accountId: accountId.optional().meta({ description: 'A new account is made unless one is named.' }),
    name: plainText(200).optional(),
    kind: kind.optional(),
    projectId: handle.nullable().optional(),
    userId: handle.nullable().optional(),
    creditUsd: usd.optional().meta({ description: 'Credit granted to the account; spendable when this call returns.' }),
    ...settings,
  })
  .meta({ id: 'CreateKey' });
export type CreateKey = z.output<typeof createKey>;

export const createdKey = z
  .object({
    key: z.string().meta({ description: 'The key itself. Shown this once; stored nowhere.' }),
    keyId,
    accountId,
  })
  .meta({ id: 'CreatedKey' });
export type CreatedKey = z.infer<typeof createdKey>;

export const patchKey = z.strictObject({ name: plainText(200).optional(), ...settings }).meta({ id: 'PatchKey' });
export type PatchKey = z.output<typeof patchKey>;

export const rotateKey = z
  .strictObject({
    overlapMs: z
      .int()
      .min(0)
      .max(90 * DAY_MS)
      .optional()
      .meta({ description: 'How long the old key still works, in ms; 24 h when absent, 0 = it stops now.' }),
    expiresAt: expiresAt.meta({ description: "Expiry of the new key; the old key's own when absent." }),
  })
  .meta({ id: 'RotateKey' });
export type RotateKey = z.output<typeof rotateKey>;

export const rotatedKey = z
  .object({ key: z.string(), keyId, oldKeyId: keyId, oldExpiresAt: isoTime.nullable() })
  .meta({ id: 'RotatedKey' });
export type RotatedKey = z.infer<typeof rotatedKey>;

export const revokedKey = z.object({ keyId, revokedAt: isoTime }).meta({ id: 'RevokedKey' });
export type RevokedKey = z.infer<typeof revokedKey>;

export const listKeysQuery = z.strictObject({
  ...pageQuery,
  accountId: accountId.optional().meta({ description: 'Required unless you are an operator.' }),
  kind: kind.optional(),
  state: z.enum(['live', 'expired', 'revoked']).optional(),
  search: plainText(100).optional().meta({ description: 'Part of the name, or the first characters of the key.' }),
});
export type ListKeysQuery = z.output<typeof listKeysQuery>;
export const keyPage = page('KeyPage', key);
export const keyParams = z.strictObject({ id: keyId });
