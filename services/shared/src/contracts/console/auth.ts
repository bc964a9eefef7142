/** Signing in: what the dashboard sends before it has a session, and what it learns about itself after. */
import { z } from 'zod';
import { accountId, isoTime, page, pageQuery, plainText, timeInput } from './common.ts';

/** Roles within one organisation, the mightiest first. */
export const ROLES = ['owner', 'admin', 'developer', 'billing', 'viewer'] as const;
export type Role = (typeof ROLES)[number];
export const role = z.enum(ROLES).meta({ id: 'Role' });

export const userId = z.string().regex(/^user_[0-9A-Za-z]{1,40}$/);
export const emailInput = z
  .email()
  .max(254)
  .transform((text) => text.toLowerCase());
const password = z
  .string()
  .min(12, 'must be at least 12 characters')
  .max(200)
  .meta({ description: '12 to 200 characters, any.', format: 'password' });
const secretText = z.string().min(1).max(200);

export const signInOptions = z
  .object({
    claimed: z.boolean().meta({ description: 'False until the first operator exists: show the claim form.' }),
    signUp: z.enum(['open', 'invite']).meta({ description: '`open`: anybody may register an organisation.' }),
    oidc: z.array(z.object({ id: z.string(), name: z.string(), startUrl: z.string() })),
    passwordReset: z
      .enum(['mail', 'operator'])
      .meta({ description: '`mail`: a link is sent to who asks. `operator`: an operator hands it over.' }),
    routerUrl: z.string().meta({ description: 'Base of the inference API, such as http://127.0.0.1:8080.' }),
    version: z.string(),
  })
  .meta({ id: 'SignInOptions' });
export type SignInOptions = z.infer<typeof signInOptions>;

export const me = z
  .object({
    user: z.object({
      userId,
      email: z.string(),
      name: z.string(),
      operator: z.boolean().meta({ description: 'Runs this installation: sees the admin screens.' }),
      twoFactor: z.boolean(),
      hasPassword: z.boolean(),
    }),
    organisations: z.array(
      z.object({ accountId, name: z.string(), role, status: z.enum(['active', 'frozen']), plan: z.string() }),
    ),
    session: z
      .object({
        sessionId: z.string(),
        csrfToken: z.string().meta({ description: 'Send as X-CSRF-Token with every change.' }),
        expiresAt: isoTime,
        freshUntil: isoTime.nullable().meta({
          description:
            'Until then keys and money may be changed without signing in again; null = reauthenticate first.',
        }),
      })
      .nullable()
      .meta({ description: 'Null for a personal access token.' }),
  })
  .meta({ id: 'Me' });
export type Me = z.infer<typeof me>;

export const signIn = z.strictObject({ email: emailInput, password: secretText }).meta({ id: 'SignIn' });
export type SignIn = z.output<typeof signIn>;
export const signedIn = z
  .discriminatedUnion('status', [
    z.object({ status: z.literal('signed_in'), me }),
    z.object({
      status: z.literal('second_factor'),
      challenge: z.string().meta({ description: 'Send it back with the code within 5 minutes.' }),
    }),
  ])
  .meta({ id: 'SignedIn' });
export type SignedIn = z.infer<typeof signedIn>;

export const secondFactor = z
  .strictObject({
    challenge: z.string().min(1).max(200),
    code: z.string().min(6).max(40).meta({ description: 'Six digits of the app, or a recovery code.' }),
  })
  .meta({ id: 'SecondFactor' });
export type SecondFactor = z.output<typeof secondFactor>;

export const register = z
  .strictObject({ email: emailInput, password, name: plainText(100), organisation: plainText(200) })
  .meta({ id: 'Register' });
export type Register = z.output<typeof register>;

export const claim = z
  .strictObject({
    token: z.string().min(1).max(200).meta({ description: 'One-time token that the console logs at its first start.' }),
    email: emailInput,
    password,
    name: plainText(100),
  })
  .meta({ id: 'Claim' });
export type Claim = z.output<typeof claim>;

export const reauthenticate = z
  .strictObject({
    password: secretText.optional(),
    code: z.string().min(6).max(40).optional().meta({ description: 'Needed as well when two-factor is on.' }),
  })
  .meta({ id: 'Reauthenticate' });
export type Reauthenticate = z.output<typeof reauthenticate>;

export const lookInvitation = z.strictObject({ token: z.string().min(1).max(200) }).meta({ id: 'LookInvitation' });
export type LookInvitation = z.output<typeof lookInvitation>;
export const invitationFace = z
  .object({
    organisation: z.string(),
    email: z.string(),
    role,
    expiresAt: isoTime,
    userExists: z.boolean().meta({ description: 'True: sign in with that e-mail first, then accept.' }),
  })
  .meta({ id: 'InvitationFace' });
export type InvitationFace = z.infer<typeof invitationFace>;
export const acceptInvitation = z
  .strictObject({
    token: z.string().min(1).max(200),
    name: plainText(100).optional().meta({ description: 'Of a new user.' }),
    password: password.optional().meta({ description: 'Of a new user; absent when signed in already.' }),
  })
  .meta({ id: 'AcceptInvitation' });
export type AcceptInvitation = z.output<typeof acceptInvitation>;

export const askPasswordReset = z.strictObject({ email: emailInput }).meta({ id: 'AskPasswordReset' });
export type AskPasswordReset = z.output<typeof askPasswordReset>;
export const resetPassword = z
  .strictObject({ token: z.string().min(1).max(200), password })
  .meta({ id: 'ResetPassword' });
export type ResetPassword = z.output<typeof resetPassword>;
export const createPasswordReset = z.strictObject({ email: emailInput }).meta({ id: 'CreatePasswordReset' });
export type CreatePasswordReset = z.output<typeof createPasswordReset>;
export const passwordResetLink = z
  .object({
    link: z.string().meta({ description: 'Shown this once: path and token, such as /reset-password#…' }),
    expiresAt: isoTime,
  })
  .meta({ id: 'PasswordResetLink' });
export type PasswordResetLink = z.infer<typeof passwordResetLink>;

export const done = z.object({ ok: z.literal(true) }).meta({ id: 'Done' });
export type Done = z.infer<typeof done>;

// -- one's own settings ------------------------------------------------------------------------------------------

export const patchMe = z.strictObject({ name: plainText(100) }).meta({ id: 'PatchMe' });
export type PatchMe = z.output<typeof patchMe>;
export const changePassword = z
  .strictObject({ current: secretText.optional(), next: password })
  .meta({ id: 'ChangePassword' });
export type ChangePassword = z.output<typeof changePassword>;

export const totpSetup = z
  .object({
    secret: z.string().meta({ description: 'Base32, for typing in.' }),
    uri: z.string().meta({ description: 'otpauth:// address.' }),
    qr: z.string().meta({ description: 'The same as a QR code: data:image/svg+xml;base64,…' }),
  })
  .meta({ id: 'TotpSetup' });
export type TotpSetup = z.infer<typeof totpSetup>;
export const totpCode = z
  .strictObject({ code: z.string().regex(/^\d{6}$/, 'must be six digits') })
  .meta({ id: 'TotpCode' });
export type TotpCode = z.output<typeof totpCode>;
export const recoveryCodes = z
  .object({ codes: z.array(z.string()).meta({ description: 'Shown this once; each works once.' }) })
  .meta({ id: 'RecoveryCodes' });
export type RecoveryCodes = z.infer<typeof recoveryCodes>;

export const session = z
  .object({
    sessionId: z.string(),
    current: z.boolean(),
    createdAt: isoTime,
    lastSeenAt: isoTime,
    expiresAt: isoTime,
    ip: z.string().nullable(),
    userAgent: z.string().nullable(),
    method: z.enum(['password', 'oidc', 'claim', 'invitation']),
  })
  .meta({ id: 'Session' });
export type SessionView = z.infer<typeof session>;
export const sessionPage = page('SessionPage', session);
export const listQuery = z.strictObject(pageQuery);
export type ListQuery = z.output<typeof listQuery>;
export const sessionParams = z.strictObject({ id: z.string().regex(/^sess_[0-9A-Za-z]{1,40}$/) });

export const accessToken = z
  .object({
    keyId: z.string(),
    accountId,
    name: z.string(),
    prefix: z.string(),
    last4: z.string(),
    createdAt: isoTime,
    expiresAt: isoTime.nullable(),
    revokedAt: isoTime.nullable(),
    lastUsedAt: isoTime.nullable(),
  })
  .meta({ id: 'AccessToken' });
export type AccessTokenView = z.infer<typeof accessToken>;
export const accessTokenPage = page('AccessTokenPage', accessToken);
export const createAccessToken = z
  .strictObject({
    accountId: accountId.meta({ description: 'The organisation in which the token acts, with your role there.' }),
    name: plainText(200),
    expiresAt: timeInput.nullable().optional().meta({ format: 'date-time', description: '90 days when absent.' }),
  })
  .meta({ id: 'CreateAccessToken' });
export type CreateAccessToken = z.output<typeof createAccessToken>;
export const accessTokenParams = z.strictObject({ id: z.string().regex(/^key_[0-9A-Za-z]{1,40}$/) });
