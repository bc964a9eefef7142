import * as auth from '@tollgate/shared/contracts/console/auth';
import { createdKey, revokedKey } from '@tollgate/shared/contracts/console/keys';
import { AppError } from '@tollgate/shared/domain/errors';
import { z } from 'zod';
import type { Oidc } from '../auth/oidc.ts';
import type { PasswordResets } from '../auth/password-reset.ts';
import type { SelfService } from '../auth/self.ts';
import type { Sessions } from '../auth/sessions.ts';
import type { SignInService } from '../auth/sign-in.ts';
import { type Route, route, streamRoute } from './route.ts';

const ok = { ok: true } as const;
const oidcParams = z.strictObject({ provider: z.string().regex(/^[a-z0-9_-]{1,40}$/) });
/** A provider may add what it likes to its answer; the library reads what it knows. */
const anything = z.looseObject({});

export function authRoutes(
  signIn: SignInService,
  sessions: Sessions,
  oidc: Oidc | null,
  resets: PasswordResets,
): Route[] {
  const tag = 'sign-in';
  const open = { tag, audience: 'public', permission: 'organisation:read' } as const;
  const providerOf = (id: string): Oidc => {
    if (oidc?.id !== id) throw new AppError('not_found', { message: 'There is no such provider.' });
    return oidc;
  };
  return [
    route({
      ...open,
      method: 'get',
      path: '/api/auth/options',
      operation: 'auth.options',
      summary: 'How one can sign in here',
      response: auth.signInOptions,
      handle: () => signIn.options(),
    }),
    route({
      ...open,
      method: 'post',
      path: '/api/auth/login',
      operation: 'auth.login',
      summary: 'Sign in with e-mail and password',
      body: auth.signIn,
      response: auth.signedIn,
      errors: ['invalid_credentials', 'rate_limit_exceeded'],
      handle: ({ body, exchange }) => signIn.login(body, exchange),
    }),
    route({
      ...open,
      method: 'post',
      path: '/api/auth/second-factor',
      operation: 'auth.second_factor',
      summary: 'Finish signing in with a code',
      body: auth.secondFactor,
      response: auth.signedIn,
      errors: ['invalid_credentials', 'rate_limit_exceeded'],
      handle: ({ body, exchange }) => signIn.secondFactor(body, exchange),
    }),
    route({
      ...open,
      method: 'post',
      path: '/api/auth/register',
      operation: 'auth.register',
      summary: 'Make a user and their organisation, where signing up is open',
      body: auth.register,
      response: auth.signedIn,
      errors: ['endpoint_not_allowed', 'conflict', 'rate_limit_exceeded'],
      handle: ({ body, exchange }) => signIn.register(body, exchange),
    }),
    route({
      ...open,
      method: 'post',
      path: '/api/auth/claim',
      operation: 'auth.claim',
      summary: 'Become the first operator with the one-time token of the log',
      body: auth.claim,
      response: auth.signedIn,
      errors: ['invalid_credentials', 'conflict', 'rate_limit_exceeded'],
      handle: ({ body, exchange }) => signIn.claim(body, exchange),
    }),
    route({
      ...open,
      audience: 'session',
      method: 'post',
      path: '/api/auth/logout',
      operation: 'auth.logout',
      summary: 'End this session',
      response: auth.done,
      handle: async ({ actor, exchange }) => {
        await sessions.end(actor, exchange);
        return ok;
      },
    }),
    route({
      ...open,
      audience: 'session',
      method: 'post',
      path: '/api/auth/reauthenticate',
      operation: 'auth.reauthenticate',
      summary: 'Prove again who you are; then keys and money may be changed for ten minutes',
      body: auth.reauthenticate,
      response: auth.me,
      errors: ['invalid_credentials', 'conflict', 'rate_limit_exceeded'],
      handle: ({ actor, body, exchange }) => signIn.reauthenticate(actor, body, exchange),
    }),
    streamRoute({
      ...open,
      method: 'get',
      path: '/api/auth/oidc/{provider}/start',
      operation: 'auth.oidc_start',
      summary: 'Go to the provider; for browsers',
      params: oidcParams,
      query: z.strictObject({ next: z.string().max(600).optional(), reauthenticate: z.literal('1').optional() }),
      types: ['text/html'],
      errors: ['store_unavailable'],
      stream: ({ actor, params, query, exchange }) =>
        providerOf(params.provider).start(actor, query.next, query.reauthenticate === '1', exchange),
    }),
    streamRoute({
      ...open,
      method: 'get',
      path: '/api/auth/oidc/{provider}/callback',
      operation: 'auth.oidc_callback',
      summary: 'Back from the provider; for browsers',
      params: oidcParams,
      query: anything,
      types: ['text/html'],
      errors: ['store_unavailable'],
      stream: ({ actor, params, exchange }) => providerOf(params.provider).callback(actor, exchange.search, exchange),
    }),
    route({
      ...open,
      method: 'post',
      path: '/api/auth/password-reset/ask',
      operation: 'auth.ask_password_reset',
      summary: 'A link for a new password by mail; the same answer whether or not there is such a user',
      unaudited: true,
      body: auth.askPasswordReset,
      response: auth.done,
      errors: ['rate_limit_exceeded'],
      handle: async ({ body, exchange }) => {
        await resets.ask(body, exchange);
        return ok;
      },
    }),
    route({
      ...open,
      method: 'post',
      path: '/api/auth/password-reset',
      operation: 'auth.reset_password',
      summary: 'Choose a new password with such a link; every session ends, the second factor stays',
      body: auth.resetPassword,
      response: auth.done,
      errors: ['invalid_credentials', 'rate_limit_exceeded'],
      handle: async ({ body, exchange }) => {
        await resets.reset(body, exchange);
        return ok;
      },
    }),
    route({
      tag,
      audience: 'platform',
      permission: 'platform:write',
      stepUp: true,
      method: 'post',
      path: '/api/password-resets',
      operation: 'password_resets.create',
      summary: 'A link for somebody who lost their password; by an operator',
      status: 201,
      body: auth.createPasswordReset,
      response: auth.passwordResetLink,
      errors: ['not_found'],
      handle: ({ actor, body }) => resets.create(actor, body),
    }),
    route({
      ...open,
      method: 'post',
      path: '/api/auth/invitations/look',
      operation: 'auth.look_invitation',
      summary: 'What an invitation is for',
      unaudited: true,
      body: auth.lookInvitation,
      response: auth.invitationFace,
      errors: ['not_found', 'conflict'],
      handle: ({ body }) => signIn.lookInvitation(body.token),
    }),
    route({
      ...open,
      method: 'post',
      path: '/api/auth/invitations/accept',
      operation: 'auth.accept_invitation',
      summary: 'Join the organisation',
      body: auth.acceptInvitation,
      response: auth.signedIn,
      errors: ['not_found', 'conflict'],
      handle: ({ actor, body, exchange }) => signIn.acceptInvitation(actor, body, exchange),
    }),
    route({
      ...open,
      audience: 'user',
      method: 'get',
      path: '/api/me',
      operation: 'me.get',
      summary: 'Who is signed in, their organisations and roles',
      response: auth.me,
      errors: ['not_found'],
      handle: ({ actor }) => signIn.me(actor),
    }),
  ];
}

export function meRoutes(self: SelfService): Route[] {
  const common = { tag: 'me', audience: 'session', permission: 'organisation:read' } as const;
  return [
    route({
      ...common,
      method: 'patch',
      path: '/api/me',
      operation: 'me.patch',
      summary: 'Change your name',
      body: auth.patchMe,
      response: auth.me,
      handle: ({ actor, body }) => self.patch(actor, body),
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/password',
      operation: 'me.password',
      summary: 'Change your password; your other sessions end',
      stepUp: true,
      body: auth.changePassword,
      response: auth.done,
      errors: ['invalid_credentials'],
      handle: async ({ actor, body }) => {
        await self.changePassword(actor, body);
        return ok;
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/totp',
      operation: 'me.totp_begin',
      summary: 'Begin to set up two-factor',
      stepUp: true,
      response: auth.totpSetup,
      errors: ['conflict'],
      handle: ({ actor }) => self.beginTotp(actor),
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/totp/confirm',
      operation: 'me.totp_confirm',
      summary: 'Turn two-factor on with a first code',
      stepUp: true,
      body: auth.totpCode,
      response: auth.recoveryCodes,
      errors: ['invalid_credentials', 'conflict'],
      handle: ({ actor, body }) => self.confirmTotp(actor, body.code),
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/totp/disable',
      operation: 'me.totp_disable',
      summary: 'Turn two-factor off',
      stepUp: true,
      response: auth.done,
      handle: async ({ actor }) => {
        await self.disableTotp(actor);
        return ok;
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/recovery-codes',
      operation: 'me.recovery_codes',
      summary: 'New recovery codes; the old ones end',
      stepUp: true,
      response: auth.recoveryCodes,
      errors: ['conflict'],
      handle: ({ actor }) => self.recoveryCodes(actor),
    }),
    route({
      ...common,
      method: 'get',
      path: '/api/me/sessions',
      operation: 'me.sessions',
      summary: 'Where you are signed in',
      query: auth.listQuery,
      response: auth.sessionPage,
      handle: ({ actor, query }) => self.sessions(actor, query),
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/sessions/{id}/revoke',
      operation: 'me.session_revoke',
      summary: 'End a session',
      params: auth.sessionParams,
      response: auth.done,
      handle: async ({ actor, params, exchange }) => {
        await self.revokeSession(actor, params.id, exchange);
        return ok;
      },
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/sessions/revoke-others',
      operation: 'me.sessions_revoke_others',
      summary: 'End every other session',
      response: auth.done,
      handle: async ({ actor }) => {
        await self.revokeOthers(actor);
        return ok;
      },
    }),
    route({
      ...common,
      method: 'get',
      path: '/api/me/tokens',
      operation: 'me.tokens',
      summary: 'Your personal access tokens',
      query: auth.listQuery,
      response: auth.accessTokenPage,
      handle: ({ actor, query }) => self.tokens(actor, query),
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/tokens',
      operation: 'me.token_create',
      summary: 'Make a personal access token',
      stepUp: true,
      body: auth.createAccessToken,
      response: createdKey,
      errors: ['not_found'],
      handle: ({ actor, body }) => self.createToken(actor, body),
    }),
    route({
      ...common,
      method: 'post',
      path: '/api/me/tokens/{id}/revoke',
      operation: 'me.token_revoke',
      summary: 'End a personal access token',
      params: auth.accessTokenParams,
      response: revokedKey,
      handle: ({ actor, params }) => self.revokeToken(actor, params.id),
    }),
  ];
}
