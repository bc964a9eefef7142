/** Organisations (an organisation is a billing account), their members, invitations and projects. */
import { z } from 'zod';
import { emailInput, role, userId } from './auth.ts';
import { accountId, isoTime, nusd, page, plainText, usd } from './common.ts';

export const createOrganisation = z.strictObject({ name: plainText(200) }).meta({ id: 'CreateOrganisation' });
export type CreateOrganisation = z.output<typeof createOrganisation>;
export const organisation = z
  .object({
    accountId,
    name: z.string(),
    email: z.string().nullable().meta({ description: 'Where alerts and receipts go.' }),
    role: role.nullable().meta({ description: 'Yours; null for an operator who is no member.' }),
    alerts: z.object({
      balanceLowNusd: nusd
        .nullable()
        .meta({ description: 'balance.low fires when available falls below; null = off.' }),
      keyExpiringDays: z.int().nullable().meta({ description: 'key.expiring fires so many days before; null = off.' }),
    }),
  })
  .meta({ id: 'Organisation' });
export type OrganisationView = z.infer<typeof organisation>;
export const patchOrganisation = z
  .strictObject({
    name: plainText(200).optional(),
    email: emailInput.nullable().optional(),
    alerts: z
      .strictObject({
        balanceLowUsd: usd.nullable().optional(),
        keyExpiringDays: z.int().min(1).max(90).nullable().optional(),
      })
      .optional(),
  })
  .meta({ id: 'PatchOrganisation' });
export type PatchOrganisation = z.output<typeof patchOrganisation>;

export const member = z
  .object({ userId, email: z.string(), name: z.string(), role, twoFactor: z.boolean(), joinedAt: isoTime })
  .meta({ id: 'Member' });
export type MemberView = z.infer<typeof member>;
export const memberPage = page('MemberPage', member);
export const memberParams = z.strictObject({ id: accountId, userId });
export const patchMember = z.strictObject({ role }).meta({ id: 'PatchMember' });
export type PatchMember = z.output<typeof patchMember>;

export const createInvitation = z.strictObject({ email: emailInput, role }).meta({ id: 'CreateInvitation' });
export type CreateInvitation = z.output<typeof createInvitation>;
export const invitation = z
  .object({
    invitationId: z.string(),
    email: z.string(),
    role,
    state: z.enum(['open', 'accepted', 'revoked', 'expired']),
    invitedBy: z.string(),
    createdAt: isoTime,
    expiresAt: isoTime,
  })
  .meta({ id: 'Invitation' });
export type InvitationView = z.infer<typeof invitation>;
export const createdInvitation = invitation
  .extend({
    link: z.string().meta({ description: 'Shown this once, to whoever invites: path and token, such as /invite#…' }),
    mailed: z.boolean().meta({ description: 'False: no mail went out; hand the link over yourself.' }),
  })
  .meta({ id: 'CreatedInvitation' });
export type CreatedInvitationView = z.infer<typeof createdInvitation>;
export const invitationPage = page('InvitationPage', invitation);
export const invitationParams = z.strictObject({
  id: accountId,
  invitationId: z.string().regex(/^inv_[0-9A-Za-z]{1,40}$/),
});

export const projectId = z.string().regex(/^proj_[0-9A-Za-z]{1,40}$/);
export const project = z
  .object({ projectId, name: z.string(), createdAt: isoTime, archivedAt: isoTime.nullable() })
  .meta({ id: 'Project' });
export type ProjectView = z.infer<typeof project>;
export const projectPage = page('ProjectPage', project);
export const createProject = z.strictObject({ name: plainText(200) }).meta({ id: 'CreateProject' });
export type CreateProject = z.output<typeof createProject>;
export const patchProject = z
  .strictObject({ name: plainText(200).optional(), archived: z.boolean().optional() })
  .meta({ id: 'PatchProject' });
export type PatchProject = z.output<typeof patchProject>;
export const projectParams = z.strictObject({ id: accountId, projectId });
