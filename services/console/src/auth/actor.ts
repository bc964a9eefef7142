/**
 * Who is calling, and what they may do. Every service call takes an `Actor`. Three ways to become one: the admin token
 * (`admin-token.ts`), a session of the dashboard (`session-actor.ts`), a personal access token (`pat.ts`).
 */
import type { Role } from '@tollgate/shared/contracts/console/auth';

export const PERMISSIONS = [
  'accounts:read',
  'accounts:write',
  'organisation:read',
  'organisation:write',
  'members:read',
  'members:write',
  'projects:read',
  'projects:write',
  'keys:read',
  'keys:write',
  'credits:read',
  'credits:write',
  'topup:write',
  'usage:read',
  'bodies:read',
  'limits:read',
  'playground:use',
  'models:read',
  'models:write',
  'workers:read',
  'workers:write',
  'webhooks:read',
  'webhooks:write',
  'audit:read',
  'platform:read',
  'platform:write',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

export interface ActorSession {
  id: string;
  csrfToken: string;
  expiresAtMs: number;
  /** When the user last proved who they are. */
  freshAtMs: number;
}

export interface Actor {
  kind: 'operator' | 'member';
  /** Loggable; stands in the ledger, in the audit log and in the log of each change. Never a credential. */
  id: string;
  /** Absent: the admin token. */
  userId?: string;
  /** Organisations of the user, with the role in each. */
  roles?: ReadonlyMap<string, Role>;
  /** Null or absent: no browser session, so no CSRF and no step-up. */
  session?: ActorSession | null;
}

/** What an authenticator sees of a request: its headers, never its body. */
export interface Credentials {
  authorization: string | undefined;
  cookie?: string | undefined;
}

/** One way to become an Actor; null = these credentials are not mine. */
export type Authenticator = (credentials: Credentials) => Promise<Actor | null>;

const VIEWER: readonly Permission[] = [
  'organisation:read',
  'members:read',
  'projects:read',
  'keys:read',
  'usage:read',
  'credits:read',
  'limits:read',
  'models:read',
  'webhooks:read',
];
const DEVELOPER: readonly Permission[] = [...VIEWER, 'keys:write', 'projects:write', 'playground:use', 'bodies:read'];
const BILLING: readonly Permission[] = [...VIEWER, 'topup:write'];
const ADMIN: readonly Permission[] = [
  ...DEVELOPER,
  ...BILLING,
  'organisation:write',
  'members:write',
  'webhooks:write',
  'audit:read',
];

/** What a role may do within its organisation; the table of docs/console-api.md. */
export const ROLE_PERMISSIONS: Record<Role, ReadonlySet<Permission>> = {
  viewer: new Set(VIEWER),
  developer: new Set(DEVELOPER),
  billing: new Set(BILLING),
  admin: new Set(ADMIN),
  owner: new Set(ADMIN),
};

export type Verdict = 'yes' | 'no' | 'unknown';

/**
 * Whether `actor` may do this in that organisation; `unknown` = not theirs, so it must look as if it did not exist.
 * `accountId: null` asks about the platform itself: operators only.
 */
export function may(actor: Actor, permission: Permission, accountId: string | null): Verdict {
  if (actor.kind === 'operator') return 'yes';
  if (accountId === null) return 'no';
  const role = actor.roles?.get(accountId);
  if (role === undefined) return 'unknown';
  return ROLE_PERMISSIONS[role].has(permission) ? 'yes' : 'no';
}
