import { z } from 'zod';
import { accountId, isoTime, limits, limitsInput, modelId, page, pageQuery, plainText } from './common.ts';

const email = z.email().max(254);
const plan = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,39}$/, 'must be lower-case letters, digits, - or _');
const status = z.enum(['active', 'frozen']);
const modelLimitsInput = z
  .record(modelId, z.strictObject(limitsInput))
  .refine((value) => Object.keys(value).length <= 100, { message: 'must name at most 100 models' })
  .meta({ description: 'Limits per model of this account; replaces what was there for the models named.' });

export const account = z
  .object({
    accountId,
    name: z.string(),
    email: z.string().nullable(),
    status,
    plan: z.string(),
    weight: z.number().meta({ description: 'Share of the queue in the fair order.' }),
    limits,
    modelLimits: z.record(z.string(), limits),
    createdAt: isoTime,
  })
  .meta({ id: 'Account' });
export type AccountView = z.infer<typeof account>;

export const createAccount = z
  .strictObject({
    name: plainText(200),
    email: email.nullable().optional(),
    plan: plan.optional(),
    weight: z.int().min(1).max(1000).optional(),
    limits: z.strictObject(limitsInput).optional(),
    modelLimits: modelLimitsInput.optional(),
  })
  .meta({ id: 'CreateAccount' });
export type CreateAccount = z.output<typeof createAccount>;

export const patchAccount = z
  .strictObject({
    name: plainText(200).optional(),
    email: email.nullable().optional(),
    plan: plan.optional(),
    weight: z.int().min(1).max(1000).optional(),
    limits: z.strictObject(limitsInput).optional(),
    modelLimits: modelLimitsInput.optional(),
    status: status.optional().meta({ description: '`frozen`: every key of the account is refused with 403 at once.' }),
  })
  .meta({ id: 'PatchAccount' });
export type PatchAccount = z.output<typeof patchAccount>;

export const listAccountsQuery = z.strictObject({
  ...pageQuery,
  status: status.optional(),
  search: plainText(100).optional().meta({ description: 'Part of the name or e-mail, or a whole account id.' }),
});
export type ListAccountsQuery = z.output<typeof listAccountsQuery>;
export const accountPage = page('AccountPage', account);
export const accountParams = z.strictObject({ id: accountId });
