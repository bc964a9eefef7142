/** The frame of the signed-in pages: side bar, skip link, who and where one is. */
import { Dialog } from '@base-ui/react/dialog';
import { Link, useNavigate, useRouter } from '@tanstack/react-router';
import { ChevronsUpDown, Menu as MenuIcon, Moon, Search, Sun, X } from 'lucide-react';
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useState } from 'react';
import { post } from '../api/client.ts';
import { keepMe, meQuery, queryClient } from '../api/queries.ts';
import { forgetKeys } from '../screens/playground/pasted-keys.ts';
import { Button } from '../ui/button.tsx';
import { DropMenu, MenuLine, MenuRow } from '../ui/menu.tsx';
import { Keyboard } from './keyboard.tsx';
import { Logo } from './logo.tsx';
import { ADMIN_PAGES, MAIN_PAGES, ORGANISATION_PAGES, type PageLink, REFERENCE_PAGES } from './pages.ts';
import { ReauthDialog } from './reauth.tsx';
import { useSession } from './session.tsx';
import { flipTheme, useDark } from './theme.ts';

const loadPalette = () => import('./palette.tsx');
const loadHelp = () => import('./help.tsx');
const Palette = lazy(loadPalette);
const Help = lazy(loadHelp);
/** Fetched soon after the first paint: whoever presses Ctrl+K types on at once. */
const AHEAD_MS = 1_500;

function NavGroup({ title, pages, onGo }: { title?: string; pages: readonly PageLink[]; onGo?: () => void }) {
  return (
    <div className="flex flex-col gap-0.5">
      {title ? <p className="px-2.5 pt-3 pb-1 text-xs font-medium text-faint">{title}</p> : null}
      {pages.map(({ to, title: name, icon: Icon }) => (
        <Link
          key={to}
          to={to}
          {...(onGo ? { onClick: onGo } : {})}
          activeOptions={{ exact: to === '/', includeSearch: false }}
          activeProps={{ 'aria-current': 'page', className: 'bg-hover font-medium text-text' }}
          inactiveProps={{ className: 'text-muted hover:bg-hover hover:text-text' }}
          className="nav-item flex min-h-8.5 items-center gap-2.5 rounded-lg px-2.5 text-sm"
        >
          <Icon size={16} strokeWidth={1.8} aria-hidden="true" className="shrink-0" />
          {name}
        </Link>
      ))}
    </div>
  );
}

function Nav({ onGo }: { onGo?: () => void }) {
  const { me } = useSession();
  const go = onGo ? { onGo } : {};
  return (
    <nav aria-label="Main" className="flex flex-1 flex-col overflow-y-auto px-3 pb-4">
      <NavGroup pages={MAIN_PAGES} {...go} />
      <NavGroup title="Reference" pages={REFERENCE_PAGES} {...go} />
      <NavGroup title="Organisation" pages={ORGANISATION_PAGES} {...go} />
      {me.user.operator ? <NavGroup title="Operator" pages={ADMIN_PAGES} {...go} /> : null}
    </nav>
  );
}

function WhoAndWhere() {
  const { me, organisation, choose } = useSession();
  const navigate = useNavigate();
  const signOut = async () => {
    await post('/api/auth/logout').catch(() => undefined);
    keepMe(null);
    forgetKeys();
    queryClient.clear();
    queryClient.setQueryData(meQuery.queryKey, null);
    await navigate({ to: '/sign-in' });
  };
  return (
    <DropMenu
      label="Change organisation or sign out"
      trigger={
        <>
          <span
            aria-hidden="true"
            className="grid size-7 shrink-0 place-items-center rounded-md bg-accent-soft text-xs font-semibold text-accent"
          >
            {organisation.name.slice(0, 1).toUpperCase()}
          </span>
          <span className="min-w-0 flex-1">
            <span className="block truncate text-sm font-medium">{organisation.name}</span>
            <span className="block truncate text-xs text-muted">{me.user.email}</span>
          </span>
          <ChevronsUpDown size={14} aria-hidden="true" className="shrink-0 text-faint" />
        </>
      }
    >
      {me.organisations.map(({ accountId, name, role }) => (
        <MenuRow key={accountId} onSelect={() => choose(accountId)}>
          <span className="w-4 text-accent">{accountId === organisation.accountId ? '✓' : ''}</span>
          <span className="flex-1 truncate">{name}</span>
          <span className="text-xs text-muted">{role}</span>
        </MenuRow>
      ))}
      <MenuLine />
      <MenuRow onSelect={() => void navigate({ to: '/security' })}>
        <span className="w-4" />
        Your account
      </MenuRow>
      <MenuRow onSelect={() => void signOut()}>
        <span className="w-4" />
        Sign out
      </MenuRow>
    </DropMenu>
  );
}

function ThemeButton() {
  const dark = useDark();
  return (
    <Button look="ghost" square aria-label={dark ? 'Use light theme' : 'Use dark theme'} onClick={flipTheme}>
      {dark ? <Sun size={16} aria-hidden="true" /> : <Moon size={16} aria-hidden="true" />}
    </Button>
  );
}

function Drawer() {
  const [open, setOpen] = useState(false);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger
        aria-label="Open the menu"
        className="tap tap-square -ml-2 inline-grid place-items-center rounded-lg text-muted md:hidden"
      >
        <MenuIcon size={20} aria-hidden="true" />
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop z-40" />
        <Dialog.Popup className="popup fixed inset-y-0 left-0 z-50 flex w-72 max-w-[85vw] flex-col border-r border-line bg-surface">
          <div className="flex items-center justify-between px-4 py-2.5">
            <Dialog.Title className="flex items-center gap-2 font-semibold">
              <Logo /> Menu
            </Dialog.Title>
            <Dialog.Close
              aria-label="Close the menu"
              className="tap tap-square inline-grid place-items-center rounded-lg"
            >
              <X size={18} aria-hidden="true" />
            </Dialog.Close>
          </div>
          <Nav onGo={() => setOpen(false)} />
          <div className="border-t border-line p-2">
            <WhoAndWhere />
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** After a change of page the heading gets the focus: keys go on from there, and listeners hear where they are. */
function useFocusAfterNavigation(): void {
  const router = useRouter();
  useEffect(
    () =>
      router.subscribe('onRendered', ({ fromLocation, pathChanged }) => {
        if (fromLocation && pathChanged) document.querySelector<HTMLElement>('[data-page-title]')?.focus();
      }),
    [router],
  );
}

export function Shell({ children }: { children: ReactNode }) {
  const { organisation } = useSession();
  const [overlay, setOverlay] = useState<'palette' | 'help' | null>(null);
  const openPalette = useCallback(() => setOverlay('palette'), []);
  const openHelp = useCallback(() => setOverlay('help'), []);
  const close = useCallback(() => setOverlay(null), []);
  useFocusAfterNavigation();
  useEffect(() => {
    const timer = setTimeout(() => void Promise.all([loadPalette(), loadHelp()]).catch(() => undefined), AHEAD_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="flex min-h-dvh">
      <a
        href="#main"
        className="sr-only z-60 rounded-lg bg-accent px-4 py-3 font-medium text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the content
      </a>
      <aside className="sticky top-0 hidden h-dvh w-60 shrink-0 flex-col border-r border-line bg-surface md:flex">
        <div className="flex items-center justify-between px-4 pt-4 pb-3">
          <Link to="/" className="flex items-center gap-2 font-semibold tracking-tight">
            <Logo /> Tollgate
          </Link>
          <ThemeButton />
        </div>
        <button
          type="button"
          onClick={openPalette}
          className="tap mx-3 mb-3 flex items-center gap-2 rounded-lg border border-line bg-sunken px-2.5 text-sm text-muted hover:border-line-strong"
        >
          <Search size={14} aria-hidden="true" />
          <span className="flex-1 text-left">Search</span>
          <kbd className="rounded border border-line bg-surface px-1 text-xs">
            {/mac/i.test(navigator.platform) ? '⌘K' : 'Ctrl K'}
          </kbd>
        </button>
        <Nav />
        <div className="border-t border-line p-2">
          <WhoAndWhere />
        </div>
      </aside>
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="sticky top-0 z-30 flex items-center gap-2 border-b border-line bg-surface px-4 py-1 md:hidden">
          <Drawer />
          <Link to="/" className="flex flex-1 items-center gap-2 font-semibold">
            <Logo /> Tollgate
          </Link>
          <Button look="ghost" square aria-label="Search" onClick={openPalette}>
            <Search size={17} aria-hidden="true" />
          </Button>
          <ThemeButton />
        </header>
        {organisation.status === 'frozen' ? (
          <p role="alert" className="border-b border-warn/40 bg-warn-soft px-6 py-2.5 text-sm text-warn">
            This organisation is frozen: its keys are refused. Contact the operator of this installation.
          </p>
        ) : null}
        <main id="main" tabIndex={-1} className="flex-1 outline-none">
          {children}
        </main>
      </div>
      <Keyboard onPalette={openPalette} onHelp={openHelp} />
      <ReauthDialog />
      <Suspense>
        {overlay === 'palette' ? <Palette onClose={close} onHelp={openHelp} /> : null}
        {overlay === 'help' ? <Help onClose={close} /> : null}
      </Suspense>
    </div>
  );
}
