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

const settings = {
  ...limitsInput,
  capDayUsd: usd.nullable().optional(),
  capMonthUsd: usd.nullable().optional(),
  models,
  scopes,
  expiresAt,
  allowGrammars: z.boolean().optional().meta({ description: 'Whether it may send regexes and grammars.' }),
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
    limits,
    capDayNusd: nusd.nullable(),
    capMonthNusd: nusd.nullable(),
    createdAt: isoTime,
    expiresAt: isoTime.nullable(),
    revokedAt: isoTime.nullable(),
    rotatedFrom: z.string().nullable(),
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
  accountId: accountId.optional(),
  state: z.enum(['live', 'expired', 'revoked']).optional(),
  search: plainText(100).optional().meta({ description: 'Part of the name, or the first characters of the key.' }),
});
export type ListKeysQuery = z.output<typeof listKeysQuery>;
export const keyPage = page('KeyPage', key);
export const keyParams = z.strictObject({ id: keyId });
