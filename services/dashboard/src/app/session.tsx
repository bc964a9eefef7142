/** Who is signed in, and for which of their organisations the screens speak. */
import { useQuery } from '@tanstack/react-query';
import type { Me, Role } from '@tollgate/shared/contracts/console/auth';
import { createContext, type ReactNode, useContext, useMemo, useState } from 'react';
import { meQuery, optionsQuery, queryClient } from '../api/queries.ts';
import { recall, remember } from './storage.ts';

export type Organisation = Me['organisations'][number];

export interface Session {
  me: Me;
  organisation: Organisation;
  accountId: string;
  /** Changes the organisation that the screens speak for. */
  choose(accountId: string): void;
  /** Whether the role (or being an operator) covers a permission of docs/console-api.md. */
  may(permission: Permission): boolean;
  routerUrl: string;
}

export type Permission =
  | 'keys:write'
  | 'projects:write'
  | 'playground:use'
  | 'bodies:read'
  | 'topup:write'
  | 'organisation:write'
  | 'members:write'
  | 'webhooks:write'
  | 'audit:read';

const DEVELOPER: readonly Permission[] = ['keys:write', 'projects:write', 'playground:use', 'bodies:read'];
/** What those who run the installation may not for others: it takes a role in the organisation. */
const MEMBERS_ONLY: readonly Permission[] = ['bodies:read'];
const ADMIN: readonly Permission[] = [
  ...DEVELOPER,
  'topup:write',
  'organisation:write',
  'members:write',
  'webhooks:write',
  'audit:read',
];
const GRANTS: Record<Role, readonly Permission[]> = {
  owner: ADMIN,
  admin: ADMIN,
  developer: DEVELOPER,
  billing: ['topup:write'],
  viewer: [],
};

const Context = createContext<Session | null>(null);

/** The session of a signed-in screen. @throws when used outside one */
export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error('no session here');
  return session;
}

/** Gives the screens below their session; shows `none` to somebody without an organisation. */
export function SessionProvider({ me, none, children }: { me: Me; none: ReactNode; children: ReactNode }) {
  const [chosen, setChosen] = useState(() => recall('organisation'));
  const { data: options } = useQuery(optionsQuery);
  const organisation = me.organisations.find(({ accountId }) => accountId === chosen) ?? me.organisations[0];
  const session = useMemo<Session | null>(() => {
    if (!organisation) return null;
    const granted = GRANTS[organisation.role];
    return {
      me,
      organisation,
      accountId: organisation.accountId,
      choose(accountId) {
        remember('organisation', accountId);
        setChosen(accountId);
      },
      may: (permission) => granted.includes(permission) || (me.user.operator && !MEMBERS_ONLY.includes(permission)),
      routerUrl: options?.routerUrl ?? '',
    };
  }, [me, organisation, options?.routerUrl]);
  if (!session) return none;
  return <Context.Provider value={session}>{children}</Context.Provider>;
}

/** Reads oneself again, after something about the session changed. */
export const refreshMe = () => queryClient.fetchQuery({ ...meQuery, staleTime: 0 });
