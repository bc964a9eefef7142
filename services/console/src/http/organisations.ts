import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import { done, listQuery } from '@tollgate/shared/contracts/console/auth';
import * as wire from '@tollgate/shared/contracts/console/organisations';
import { AppError } from '@tollgate/shared/domain/errors';
import { may } from '../auth/actor.ts';
import type { OrganisationService } from '../organisations/service.ts';
import { type Route, route } from './route.ts';

const ok = { ok: true } as const;

export function organisationRoutes(organisations: OrganisationService): Route[] {
  const common = { tag: 'organisations', audience: 'account', params: accountParams } as const;
  return [
    route({
      tag: 'organisations',
      audience: 'session',
      permission: 'organisation:write',
      method: 'post',
      path: '/api/organisations',
      operation: 'organisations.create',
      summary: 'A further organisation of yours',
      body: wire.createOrganisation,
      response: wire.organisation,
      handle: ({ actor, body }) => organisations.create(actor, body.name),
    }),
    route({
      ...common,
      permission: 'organisation:read',
      method: 'get',
      path: '/api/accounts/{id}/organisation',
      operation: 'organisations.get',
      summary: 'Name, e-mail and alerts of the organisation',
      response: wire.organisation,
      handle: ({ actor, params }) => organisations.get(actor, params.id),
    }),
    route({
      ...common,
      permission: 'organisation:write',
      method: 'patch',
      path: '/api/accounts/{id}/organisation',
      operation: 'organisations.patch',
      summary: 'Change name, e-mail and alerts',
      body: wire.patchOrganisation,
      response: wire.organisation,
      handle: ({ actor, params, body }) => organisations.patch(actor, params.id, body),
    }),
    route({
      ...common,
      permission: 'members:read',
      method: 'get',
      path: '/api/accounts/{id}/members',
      operation: 'members.list',
      summary: 'Members and their roles, newest first',
      query: listQuery,
      response: wire.memberPage,
      handle: ({ params, query }) => organisations.members(params.id, query),
    }),
    route({
      ...common,
      params: wire.memberParams,
      permission: 'members:write',
      method: 'patch',
      path: '/api/accounts/{id}/members/{userId}',
      operation: 'members.patch',
      summary: "Change a member's role",
      body: wire.patchMember,
      response: wire.member,
      errors: ['conflict'],
      handle: ({ actor, params, body }) => organisations.setRole(actor, params.id, params.userId, body.role),
    }),
    route({
      ...common,
      params: wire.memberParams,
      // Leaving is everybody's own business; the handler asks for more when it is somebody else.
      permission: 'organisation:read',
      method: 'post',
      path: '/api/accounts/{id}/members/{userId}/remove',
      operation: 'members.remove',
      summary: 'Remove a member, or leave',
      response: done,
      errors: ['conflict'],
      handle: async ({ actor, params }) => {
        if (params.userId !== actor.userId && may(actor, 'members:write', params.id) !== 'yes') {
          throw new AppError('endpoint_not_allowed', { message: 'Your role does not allow this.' });
        }
        await organisations.remove(actor, params.id, params.userId);
        return ok;
      },
    }),
    route({
      ...common,
      permission: 'members:write',
      method: 'get',
      path: '/api/accounts/{id}/invitations',
      operation: 'invitations.list',
      summary: 'Invitations, newest first',
      query: listQuery,
      response: wire.invitationPage,
      handle: ({ params, query }) => organisations.invitations(params.id, query),
    }),
    route({
      ...common,
      permission: 'members:write',
      method: 'post',
      path: '/api/accounts/{id}/invitations',
      operation: 'invitations.create',
      summary: 'Invite somebody by e-mail; the link is in the answer',
      body: wire.createInvitation,
      response: wire.createdInvitation,
      handle: ({ actor, params, body }) => organisations.invite(actor, params.id, body),
    }),
    route({
      ...common,
      params: wire.invitationParams,
      permission: 'members:write',
      method: 'post',
      path: '/api/accounts/{id}/invitations/{invitationId}/revoke',
      operation: 'invitations.revoke',
      summary: 'Take an invitation back',
      response: done,
      handle: async ({ params }) => {
        await organisations.revokeInvitation(params.id, params.invitationId);
        return ok;
      },
    }),
    route({
      ...common,
      permission: 'projects:read',
      method: 'get',
      path: '/api/accounts/{id}/projects',
      operation: 'projects.list',
      summary: 'Projects, newest first',
      query: listQuery,
      response: wire.projectPage,
      handle: ({ params, query }) => organisations.projects(params.id, query),
    }),
    route({
      ...common,
      permission: 'projects:write',
      method: 'post',
      path: '/api/accounts/{id}/projects',
      operation: 'projects.create',
      summary: 'Make a project',
      body: wire.createProject,
      response: wire.project,
      handle: ({ params, body }) => organisations.createProject(params.id, body.name),
    }),
    route({
      ...common,
      params: wire.projectParams,
      permission: 'projects:write',
      method: 'patch',
      path: '/api/accounts/{id}/projects/{projectId}',
      operation: 'projects.patch',
      summary: 'Rename or archive a project',
      body: wire.patchProject,
      response: wire.project,
      handle: ({ params, body }) => organisations.patchProject(params.id, params.projectId, body),
    }),
  ];
}
