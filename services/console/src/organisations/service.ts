/** Organisations: settings, members and their roles, invitations, projects. */
import type { ListQuery, Role } from '@tollgate/shared/contracts/console/auth';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type {
  CreatedInvitationView,
  CreateInvitation,
  InvitationView,
  MemberView,
  OrganisationView,
  PatchOrganisation,
  PatchProject,
  ProjectView,
} from '@tollgate/shared/contracts/console/organisations';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Db } from '@tollgate/shared/db/client';
import { type Invitation, type Member, OrganisationStore, type Project } from '@tollgate/shared/db/organisation-store';
import { PlanStore } from '@tollgate/shared/db/plan-store';
import { tx } from '@tollgate/shared/db/tx';
import { AppError } from '@tollgate/shared/domain/errors';
import { type AccountId, base62, newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import { noAccount } from '../accounts/service.ts';
import type { Actor } from '../auth/actor.ts';
import { digestOf } from '../auth/sessions.ts';
import type { SignInService } from '../auth/sign-in.ts';
import { isoTime, isoTimeOrNull, nusdOrNull, type PageInput, pageRequest } from '../http/values.ts';
import type { SettingsService } from '../settings/service.ts';
import type { Outbox } from './mail.ts';

const INVITATION_MS = 7 * 86_400_000;

export interface OrganisationParts {
  db: Db;
  clock: Clock;
  random: Random;
  outbox: Outbox;
  signIn: SignInService;
  settings: SettingsService;
  publicUrl(): string;
}

export class OrganisationService {
  readonly #parts: OrganisationParts;

  constructor(parts: OrganisationParts) {
    this.#parts = parts;
  }

  /** A further organisation of a user; without first credit, which is for new people. */
  async create(actor: Actor, name: string): Promise<OrganisationView> {
    const { db, signIn, settings } = this.#parts;
    const user = await signIn.user(actor);
    const { signUpPlan, signUp } = await settings.get();
    if (signUp !== 'open' && actor.kind !== 'operator') {
      throw new AppError('endpoint_not_allowed', { message: 'Operators make organisations here.' });
    }
    const plan = await new PlanStore(db).get(signUpPlan);
    const id = await tx(db, (trx) => signIn.makeOrganisation(trx, user, name, plan, 0n));
    return this.get({ ...actor, roles: new Map([[id, 'owner']]) }, id);
  }

  async get(actor: Actor, id: string): Promise<OrganisationView> {
    const { db } = this.#parts;
    const account = await new AccountStore(db).get(id);
    if (!account) throw noAccount();
    const alerts = await new OrganisationStore(db).alerts(id);
    return {
      accountId: account.id,
      name: account.name,
      email: account.email,
      role: actor.roles?.get(id) ?? null,
      alerts: { balanceLowNusd: nusdOrNull(alerts.balanceLowNusd), keyExpiringDays: alerts.keyExpiringDays },
    };
  }

  async patch(actor: Actor, id: string, input: PatchOrganisation): Promise<OrganisationView> {
    await tx(this.#parts.db, async (trx) => {
      const organisations = new OrganisationStore(trx);
      await new AccountStore(trx).update(id, {
        ...(input.name === undefined ? {} : { name: input.name }),
        ...(input.email === undefined ? {} : { email: input.email }),
      });
      if (!input.alerts) return;
      const { balanceLowUsd, keyExpiringDays } = input.alerts;
      const before = await organisations.alerts(id);
      await organisations.setAlerts(id, {
        balanceLowNusd: balanceLowUsd === undefined ? before.balanceLowNusd : balanceLowUsd,
        keyExpiringDays: keyExpiringDays === undefined ? before.keyExpiringDays : keyExpiringDays,
      });
    });
    return this.get(actor, id);
  }

  // -- members -----------------------------------------------------------------------------------------------------

  async members(id: string, query: ListQuery): Promise<Page<MemberView>> {
    const page = await new OrganisationStore(this.#parts.db).members(id, pageRequest(query as PageInput));
    return { data: page.data.map(memberView), next: page.next };
  }

  async setRole(actor: Actor, id: string, userId: string, role: Role): Promise<MemberView> {
    await tx(this.#parts.db, async (trx) => {
      const organisations = new OrganisationStore(trx);
      const owners = await organisations.lockOwners(trx, id);
      const member = await organisations.member(id, userId);
      if (!member) throw noMember();
      if (member.role === 'owner' || role === 'owner') mustBeOwner(actor, id);
      if (member.role === 'owner' && role !== 'owner' && owners.length === 1) throw lastOwner();
      await organisations.setRole(id, userId, role);
    });
    return memberView((await new OrganisationStore(this.#parts.db).member(id, userId))!);
  }

  async remove(actor: Actor, id: string, userId: string): Promise<void> {
    await tx(this.#parts.db, async (trx) => {
      const organisations = new OrganisationStore(trx);
      const owners = await organisations.lockOwners(trx, id);
      const member = await organisations.member(id, userId);
      if (!member) throw noMember();
      if (member.role === 'owner' && userId !== actor.userId) mustBeOwner(actor, id);
      if (member.role === 'owner' && owners.length === 1) throw lastOwner();
      await organisations.remove(id, userId);
    });
  }

  // -- invitations -------------------------------------------------------------------------------------------------

  async invite(actor: Actor, id: string, input: CreateInvitation): Promise<CreatedInvitationView> {
    const { db, clock, random, outbox, publicUrl } = this.#parts;
    if (input.role === 'owner') mustBeOwner(actor, id);
    const account = await new AccountStore(db).get(id);
    if (!account) throw noAccount();
    const token = base62(40, random.bytes);
    const nowMs = clock.nowMs();
    const invitation: Invitation = {
      id: newId('inv', random.bytes),
      accountId: id as AccountId,
      organisation: account.name,
      email: input.email,
      role: input.role,
      invitedBy: actor.userId ?? actor.id,
      createdAtMs: nowMs,
      expiresAtMs: nowMs + INVITATION_MS,
      acceptedAtMs: null,
      revokedAtMs: null,
    };
    await new OrganisationStore(db).invite({ ...invitation, digest: digestOf(token) });
    // Behind the #: browsers do not send it, so it reaches no log on the way.
    const link = `/invite#${token}`;
    const mailed = await outbox({
      to: input.email,
      subject: `You are invited to ${account.name}`,
      text: `You are invited to ${account.name} as ${input.role}.\n\nAccept within 7 days: ${publicUrl()}${link}\n`,
    });
    return { ...invitationView(invitation, nowMs), link, mailed };
  }

  async invitations(id: string, query: ListQuery): Promise<Page<InvitationView>> {
    const page = await new OrganisationStore(this.#parts.db).invitations(id, pageRequest(query as PageInput));
    const nowMs = this.#parts.clock.nowMs();
    return { data: page.data.map((invitation) => invitationView(invitation, nowMs)), next: page.next };
  }

  async revokeInvitation(id: string, invitationId: string): Promise<void> {
    const { db, clock } = this.#parts;
    if (!(await new OrganisationStore(db).revokeInvitation(id, invitationId, clock.nowMs()))) {
      throw new AppError('not_found', { message: 'There is no such invitation.' });
    }
  }

  // -- projects ----------------------------------------------------------------------------------------------------

  async projects(id: string, query: ListQuery): Promise<Page<ProjectView>> {
    const page = await new OrganisationStore(this.#parts.db).projects(id, pageRequest(query as PageInput));
    return { data: page.data.map(projectView), next: page.next };
  }

  async createProject(id: string, name: string): Promise<ProjectView> {
    const { db, random, clock } = this.#parts;
    if (!(await new AccountStore(db).get(id))) throw noAccount();
    const projectId = newId('proj', random.bytes);
    return projectView(await new OrganisationStore(db).createProject(id, projectId, name, clock.nowMs()));
  }

  async patchProject(id: string, projectId: string, input: PatchProject): Promise<ProjectView> {
    const patch = {
      ...(input.name === undefined ? {} : { name: input.name }),
      ...(input.archived === undefined ? {} : { archived: input.archived }),
    };
    const { db, clock } = this.#parts;
    const project = await new OrganisationStore(db).patchProject(id, projectId, patch, clock.nowMs());
    if (!project) throw new AppError('not_found', { message: 'There is no such project.' });
    return projectView(project);
  }
}

function mustBeOwner(actor: Actor, accountId: string): void {
  if (actor.kind === 'operator' || actor.roles?.get(accountId) === 'owner') return;
  throw new AppError('endpoint_not_allowed', { message: 'Only owners make, change or remove owners.' });
}
const noMember = () => new AppError('not_found', { message: 'There is no such member.' });
const lastOwner = () => new AppError('conflict', { message: 'An organisation keeps at least one owner.' });

const memberView = (member: Member): MemberView => ({
  userId: member.userId,
  email: member.email,
  name: member.name,
  role: member.role,
  twoFactor: member.twoFactor,
  joinedAt: isoTime(member.joinedAtMs),
});
const projectView = (project: Project): ProjectView => ({
  projectId: project.id,
  name: project.name,
  createdAt: isoTime(project.createdAtMs),
  archivedAt: isoTimeOrNull(project.archivedAtMs),
});
function invitationView(invitation: Invitation, nowMs: number): InvitationView {
  const { acceptedAtMs, revokedAtMs, expiresAtMs } = invitation;
  return {
    invitationId: invitation.id,
    email: invitation.email,
    role: invitation.role,
    state:
      acceptedAtMs !== null ? 'accepted' : revokedAtMs !== null ? 'revoked' : expiresAtMs <= nowMs ? 'expired' : 'open',
    invitedBy: invitation.invitedBy,
    createdAt: isoTime(invitation.createdAtMs),
    expiresAt: isoTime(expiresAtMs),
  };
}
