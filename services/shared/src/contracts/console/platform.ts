/** Screens of those who run the installation. */
import { z } from 'zod';
import { account } from './accounts.ts';
import { userId } from './auth.ts';
import { accountId, isoTime, limits, limitsInput, nusd, page, pageQuery, plainText, timeInput, usd } from './common.ts';
import { key } from './keys.ts';
import { requestLine } from './requests.ts';
import { worker } from './workers.ts';

export const fleetWorker = worker
  .extend({
    maxModelLen: z.int().nullable(),
    maxConcurrency: z.int().nullable(),
    pendingPrefillTokens: z.int(),
    recent: z
      .object({
        requests: z.int(),
        failed: z.int(),
        hitRate: z.number().nullable().meta({ description: 'Cached share of prompt tokens, 0 to 1.' }),
        firstTokenP50Ms: z.int().nullable(),
        firstTokenP95Ms: z.int().nullable(),
        tokensPerSecond: z.number().nullable().meta({ description: 'Completion tokens of all streams together.' }),
      })
      .meta({ description: 'Finished requests of the last 15 minutes.' }),
  })
  .meta({ id: 'FleetWorker' });
export type FleetWorkerView = z.infer<typeof fleetWorker>;
export const fleet = z
  .object({
    at: isoTime,
    workers: z.array(fleetWorker).meta({ description: 'By URL.' }),
    routers: z.array(z.object({ routerId: z.string(), seenAt: isoTime, live: z.boolean() })),
  })
  .meta({ id: 'Fleet' });
export type FleetView = z.infer<typeof fleet>;

export const searchQuery = z.strictObject({ q: plainText(200) });
export type SearchQuery = z.output<typeof searchQuery>;
export const found = z
  .object({
    accounts: z.array(account).meta({ description: 'By id, name, e-mail, or a member’s e-mail. At most 20.' }),
    keys: z.array(key).meta({ description: 'By id, name or first characters. At most 20.' }),
    request: requestLine.extend({ accountId }).nullable().meta({ description: 'By whole request id.' }),
    users: z.array(z.object({ userId, email: z.string(), name: z.string(), operator: z.boolean() })),
  })
  .meta({ id: 'Found' });
export type FoundView = z.infer<typeof found>;

const planId = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,39}$/, 'must be lower-case letters, digits, - or _');
export const plan = z
  .object({
    planId,
    name: z.string(),
    weight: z.int(),
    limits,
    accounts: z.int().meta({ description: 'On this plan.' }),
  })
  .meta({ id: 'Plan' });
export type PlanView = z.infer<typeof plan>;
export const planPage = page('PlanPage', plan);
export const savePlan = z
  .strictObject({
    planId,
    name: plainText(100),
    weight: z.int().min(1).max(1000).optional(),
    limits: z.strictObject(limitsInput).optional(),
  })
  .meta({ id: 'SavePlan' });
export type SavePlan = z.output<typeof savePlan>;
export const setPlan = z.strictObject({ planId }).meta({ id: 'SetPlan' });
export type SetPlan = z.output<typeof setPlan>;

export const auditLine = z
  .object({
    seq: z.int(),
    at: isoTime,
    actor: z.string().meta({ description: 'User id, `admin-token`, key id or `system`.' }),
    actorName: z.string().nullable(),
    accountId: z.string().nullable(),
    action: z.string().meta({ description: 'Operation, such as keys.revoke.' }),
    target: z.string().nullable(),
    detail: z
      .record(z.string(), z.unknown())
      .meta({ description: 'What changed: names, and values that are no secret.' }),
    ip: z.string().nullable(),
    requestId: z.string().nullable(),
    hash: z.string().meta({ description: 'SHA-256 over the line and the hash before.' }),
  })
  .meta({ id: 'AuditLine' });
export type AuditLine = z.infer<typeof auditLine>;
export const auditPage = page('AuditPage', auditLine);
export const auditQuery = z.strictObject({
  ...pageQuery,
  from: timeInput.optional().meta({ format: 'date-time' }),
  to: timeInput.optional().meta({ format: 'date-time' }),
  action: z
    .string()
    .regex(/^[a-z_.-]{1,60}$/)
    .optional()
    .meta({ description: 'An operation, or its first part such as `keys`.' }),
  actor: plainText(100).optional(),
});
export type AuditQuery = z.output<typeof auditQuery>;
const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'must be a whole number from 1')
    .transform(Number)
    .pipe(z.number().int().max(max))
    .optional();
export const auditVerifyQuery = z
  .strictObject({
    after: wholeNumber(Number.MAX_SAFE_INTEGER).meta({
      type: 'integer',
      description: 'Begin behind this line; `hash` says what it was.',
    }),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits')
      .optional(),
    limit: wholeNumber(100_000).meta({ type: 'integer', description: 'Check so many lines at most; all when absent.' }),
  })
  .refine(({ after, hash }) => (after === undefined) === (hash === undefined), {
    message: 'after and hash belong together',
    path: ['hash'],
  });
export type AuditVerifyQuery = z.output<typeof auditVerifyQuery>;
export const auditVerified = z
  .object({
    ok: z.boolean(),
    lines: z.int().meta({ description: 'The last line that fits.' }),
    lastHash: z.string().nullable(),
    brokenAt: z.int().nullable().meta({ description: 'The first that does not.' }),
    more: z.boolean().meta({ description: 'It stopped at `limit`.' }),
  })
  .meta({ id: 'AuditVerified' });
export type AuditVerified = z.infer<typeof auditVerified>;

export const settings = z
  .object({
    signUp: z.enum(['open', 'invite']),
    signUpCreditNusd: nusd,
    signUpPlan: z.string(),
    requestLogMonths: z
      .int()
      .meta({ description: 'Whole months kept besides the present one; older partitions are dropped.' }),
    card: z.boolean().meta({ description: 'Payment by card is configured (environment).' }),
    oidc: z.array(z.string()).meta({ description: 'Configured (environment).' }),
    mail: z.enum(['log', 'http']).meta({ description: 'How mail leaves (environment).' }),
  })
  .meta({ id: 'Settings' });
export type SettingsView = z.infer<typeof settings>;
export const patchSettings = z
  .strictObject({
    signUp: z.enum(['open', 'invite']).optional(),
    signUpCreditUsd: usd.optional(),
    signUpPlan: planId.optional(),
    requestLogMonths: z.int().min(1).max(120).optional(),
  })
  .meta({ id: 'PatchSettings' });
export type PatchSettings = z.output<typeof patchSettings>;
