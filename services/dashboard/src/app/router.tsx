/** Every address of the dashboard. Filters are part of it, and validated; screens load when first visited. */

import type { QueryClient } from '@tanstack/react-query';
import { useQuery } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
  useNavigate,
} from '@tanstack/react-router';
import { meQuery, queryClient } from '../api/queries.ts';
import { choiceIn, compactSearch, textIn } from '../lib/search.ts';
import { requestsSearch } from '../screens/requests/filter.ts';
import { usageSearch } from '../screens/usage/filter.ts';
import { ErrorNote, PageBody, Skeleton } from '../ui/parts.tsx';
import { NoOrganisation } from './no-organisation.tsx';
import { CrashPage, NotFoundPage } from './outcomes.tsx';
import { SessionProvider } from './session.tsx';
import { Shell } from './shell.tsx';

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NotFoundPage,
  errorComponent: ({ error }) => <CrashPage error={error} />,
});

const page = <const P extends string>(path: P, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(load) });

const open = [
  createRoute({
    getParentRoute: () => root,
    path: '/sign-in',
    validateSearch: (search: Record<string, unknown>): { next?: string | undefined; error?: string | undefined } =>
      compactSearch({ next: textIn(search, 'next', 1000), error: textIn(search, 'error', 60) }),
    component: lazyRouteComponent(() => import('../screens/sign-in/sign-in.tsx')),
  }),
  page('/register', () => import('../screens/sign-in/register.tsx')),
  page('/claim', () => import('../screens/sign-in/claim.tsx')),
  page('/invite', () => import('../screens/sign-in/invite.tsx')),
  page('/forgot-password', () => import('../screens/sign-in/forgot-password.tsx')),
  page('/reset-password', () => import('../screens/sign-in/reset-password.tsx')),
  page('/status', () => import('../screens/status/status.tsx')),
];

function SignedIn() {
  const me = useQuery(meQuery);
  const navigate = useNavigate();
  if (me.data === undefined) {
    return me.error ? (
      <PageBody title="Tollgate">
        <ErrorNote error={me.error} retry={() => void me.refetch()} />
      </PageBody>
    ) : (
      <Skeleton className="m-8 h-64" />
    );
  }
  if (me.data === null) {
    // The session ended while the page was open.
    void navigate({ to: '/sign-in', search: { next: location.pathname + location.search } });
    return null;
  }
  return (
    <SessionProvider me={me.data} none={<NoOrganisation me={me.data} />}>
      <Shell>
        <Outlet />
      </Shell>
    </SessionProvider>
  );
}

const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  component: SignedIn,
  beforeLoad: async ({ context, location }) => {
    const me = await context.queryClient.ensureQueryData(meQuery).catch(() => undefined);
    if (me === null) {
      throw redirect({ to: '/sign-in', search: location.href === '/' ? {} : { next: location.href } });
    }
  },
});

const inside = <const P extends string>(path: P, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({
    getParentRoute: () => signedIn,
    path,
    component: lazyRouteComponent(load),
    notFoundComponent: NotFoundPage,
    errorComponent: ({ error }) => <CrashPage error={error} />,
  });

interface PlaygroundSearch {
  model?: string | undefined;
  collection?: string | undefined;
  project?: string | undefined;
}
const projectSearch = (search: Record<string, unknown>): { project?: string | undefined } =>
  compactSearch({ project: textIn(search, 'project', 64) });

const organisation = [
  inside('/', () => import('../screens/home/home.tsx')),
  createRoute({
    getParentRoute: () => signedIn,
    path: '/keys',
    validateSearch: (search: Record<string, unknown>): { create?: true; q?: string } => ({
      ...(search.create ? { create: true as const } : {}),
      ...(textIn(search, 'q') ? { q: textIn(search, 'q')! } : {}),
    }),
    component: lazyRouteComponent(() => import('../screens/keys/keys.tsx')),
  }),
  inside('/keys/$keyId', () => import('../screens/keys/key-page.tsx')),
  createRoute({
    getParentRoute: () => signedIn,
    path: '/usage',
    validateSearch: usageSearch,
    component: lazyRouteComponent(() => import('../screens/usage/usage.tsx')),
  }),
  createRoute({
    getParentRoute: () => signedIn,
    path: '/requests',
    validateSearch: requestsSearch,
    component: lazyRouteComponent(() => import('../screens/requests/requests.tsx')),
  }),
  inside('/requests/$requestId', () => import('../screens/requests/request-page.tsx')),
  createRoute({
    getParentRoute: () => signedIn,
    path: '/credits',
    validateSearch: (search: Record<string, unknown>): { payment?: string } =>
      textIn(search, 'payment', 60) ? { payment: textIn(search, 'payment', 60)! } : {},
    component: lazyRouteComponent(() => import('../screens/credits/credits.tsx')),
  }),
  createRoute({
    getParentRoute: () => signedIn,
    path: '/playground',
    validateSearch: (search: Record<string, unknown>): PlaygroundSearch =>
      compactSearch({
        model: textIn(search, 'model'),
        collection: textIn(search, 'collection', 64),
        project: textIn(search, 'project', 64),
      }),
    component: lazyRouteComponent(() => import('../screens/playground/playground.tsx')),
  }),
  createRoute({
    getParentRoute: () => signedIn,
    path: '/collections',
    validateSearch: projectSearch,
    component: lazyRouteComponent(() => import('../screens/collections/collections.tsx')),
  }),
  createRoute({
    getParentRoute: () => signedIn,
    path: '/collections/$collectionId',
    validateSearch: projectSearch,
    component: lazyRouteComponent(() => import('../screens/collections/collection-page.tsx')),
  }),
  inside('/models', () => import('../screens/models/models.tsx')),
  inside('/limits', () => import('../screens/limits/limits.tsx')),
  createRoute({
    getParentRoute: () => signedIn,
    path: '/reference',
    validateSearch: (search: Record<string, unknown>): { api?: 'console' | undefined } =>
      compactSearch({ api: choiceIn(search, 'api', ['console']) }),
    component: lazyRouteComponent(() => import('../screens/reference/reference.tsx')),
  }),
  inside('/team', () => import('../screens/team/team.tsx')),
  inside('/audit', () => import('../screens/audit/audit.tsx')),
  inside('/webhooks', () => import('../screens/webhooks/webhooks.tsx')),
  inside('/security', () => import('../screens/security/security.tsx')),
];

function Operators() {
  const { data: me } = useQuery(meQuery);
  return me?.user.operator ? <Outlet /> : <NotFoundPage />;
}
const admin = createRoute({ getParentRoute: () => signedIn, path: '/admin', component: Operators });
const operators = <const P extends string>(path: P, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({ getParentRoute: () => admin, path, component: lazyRouteComponent(load) });
const adminPages = [
  operators('/fleet', () => import('../screens/admin-fleet/fleet.tsx')),
  createRoute({
    getParentRoute: () => admin,
    path: '/accounts',
    validateSearch: (search: Record<string, unknown>): { q?: string | undefined } =>
      compactSearch({ q: textIn(search, 'q') }),
    component: lazyRouteComponent(() => import('../screens/admin-accounts/accounts.tsx')),
  }),
  operators('/accounts/$accountId', () => import('../screens/admin-accounts/account-page.tsx')),
  operators('/prices', () => import('../screens/admin-prices/prices.tsx')),
  operators('/codes', () => import('../screens/admin-codes/codes.tsx')),
  operators('/audit', () => import('../screens/admin-audit/audit.tsx')),
  operators('/webhooks', () => import('../screens/webhooks/platform-webhooks.tsx')),
  operators('/settings', () => import('../screens/admin-settings/settings.tsx')),
];

const routeTree = root.addChildren([...open, signedIn.addChildren([...organisation, admin.addChildren(adminPages)])]);

export const router = createRouter({
  routeTree,
  context: { queryClient },
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultPendingComponent: () => <Skeleton className="m-8 h-64" />,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
