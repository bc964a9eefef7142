/**
 * Who is calling. Every service call takes an `Actor`, so that sign-in, organisations and roles arrive as further ways to
 * become one and further rules in `may`, and no handler changes. The admin token is one way (`admin-token.ts`).
 */
export const PERMISSIONS = [
  'accounts:read',
  'accounts:write',
  'keys:read',
  'keys:write',
  'credits:read',
  'credits:write',
  'usage:read',
  'models:read',
  'models:write',
  'workers:read',
  'workers:write',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

export interface Actor {
  kind: 'operator';
  /** Loggable; stands in the ledger and in the log of each change. Never a credential. */
  id: string;
}

/** What an authenticator sees of a request: its headers, never its body. */
export interface Credentials {
  authorization: string | undefined;
}

/** One way to become an Actor; null = these credentials are not mine. */
export type Authenticator = (credentials: Credentials) => Promise<Actor | null>;

/** Whether `actor` may do this. An operator may do everything; members of organisations get their rules here. */
export function may(actor: Actor, _permission: Permission): boolean {
  return actor.kind === 'operator';
}
