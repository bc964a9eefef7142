/** What follows a successful sign-in of any kind. */
import { useNavigate } from '@tanstack/react-router';
import type { Me } from '@tollgate/shared/contracts/console/auth';
import { keepMe, meQuery, queryClient } from '../../api/queries.ts';

/** Only paths of this very site may follow a sign-in. */
export const safePath = (next: string | undefined): string =>
  next && /^\/(?![/\\])/.test(next) && !next.startsWith('/sign-in') ? next : '/';

/** Keeps who signed in and goes to `next`. */
export function useSignedIn(next?: string): (me: Me) => Promise<void> {
  const navigate = useNavigate();
  return async (me) => {
    queryClient.clear();
    queryClient.setQueryData(meQuery.queryKey, keepMe(me));
    await navigate({ href: safePath(next), replace: true });
  };
}
