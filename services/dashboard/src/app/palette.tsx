/** Ctrl+K: every page and the common commands, found by a few letters. Loaded when first opened. */
import { Dialog } from '@base-ui/react/dialog';
import { useNavigate } from '@tanstack/react-router';
import { Command } from 'cmdk';
import { Keyboard, MoonStar, Plus, Wallet } from 'lucide-react';
import { ADMIN_PAGES, FURTHER_PAGES, MAIN_PAGES, ORGANISATION_PAGES, type PageLink, REFERENCE_PAGES } from './pages.ts';
import { useSession } from './session.tsx';
import { flipTheme } from './theme.ts';

const ITEM = 'tap flex cursor-pointer items-center gap-2.5 rounded-lg px-2.5 text-sm data-[selected=true]:bg-hover';
const GROUP =
  'px-1 py-1 [&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-muted';

export default function Palette({ onClose, onHelp }: { onClose(): void; onHelp(): void }) {
  const { me, choose, organisation } = useSession();
  const navigate = useNavigate();
  const run = (what: () => void) => {
    onClose();
    what();
  };
  const pages = (list: readonly PageLink[]) =>
    list.map(({ to, title, icon: Icon, words }) => (
      <Command.Item
        key={to}
        value={`${title} ${to}`}
        keywords={words?.split(' ') ?? []}
        onSelect={() => run(() => void navigate({ to }))}
        className={ITEM}
      >
        <Icon size={16} aria-hidden="true" className="text-muted" />
        {title}
      </Command.Item>
    ));
  return (
    <Dialog.Root open onOpenChange={(open) => (open ? undefined : onClose())}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop z-40" />
        <Dialog.Popup className="popup card fixed top-[12vh] left-1/2 z-50 w-[min(36rem,calc(100vw-2rem))] -translate-x-1/2 overflow-hidden shadow-float">
          <Dialog.Title className="sr-only">Search for a page or a command</Dialog.Title>
          <Command label="Search for a page or a command" loop>
            <Command.Input
              autoFocus
              placeholder="Where to?"
              className="w-full border-b border-line bg-transparent px-4 py-3.5 text-lg outline-none"
            />
            <Command.List aria-label="Pages and commands" className="max-h-[50vh] overflow-y-auto p-1">
              <Command.Empty className="px-4 py-8 text-center text-muted">Nothing by that name.</Command.Empty>
              <Command.Group heading="Do" className={GROUP}>
                <Command.Item
                  value="Create an API key"
                  className={ITEM}
                  onSelect={() => run(() => void navigate({ to: '/keys', search: { create: true } }))}
                >
                  <Plus size={16} aria-hidden="true" className="text-muted" /> Create an API key
                </Command.Item>
                <Command.Item
                  value="Add credit"
                  keywords={['top', 'up', 'redeem', 'pay']}
                  className={ITEM}
                  onSelect={() => run(() => void navigate({ to: '/credits' }))}
                >
                  <Wallet size={16} aria-hidden="true" className="text-muted" /> Add credit
                </Command.Item>
                <Command.Item
                  value="Change between light and dark"
                  keywords={['theme']}
                  className={ITEM}
                  onSelect={() => run(flipTheme)}
                >
                  <MoonStar size={16} aria-hidden="true" className="text-muted" /> Change between light and dark
                </Command.Item>
                <Command.Item value="Show keyboard shortcuts" className={ITEM} onSelect={() => run(onHelp)}>
                  <Keyboard size={16} aria-hidden="true" className="text-muted" /> Show keyboard shortcuts
                </Command.Item>
              </Command.Group>
              <Command.Group heading="Pages" className={GROUP}>
                {pages(MAIN_PAGES)}
                {pages(REFERENCE_PAGES)}
                {pages(ORGANISATION_PAGES)}
                {pages(FURTHER_PAGES)}
              </Command.Group>
              {me.user.operator ? (
                <Command.Group heading="Operator" className={GROUP}>
                  {pages(ADMIN_PAGES)}
                </Command.Group>
              ) : null}
              {me.organisations.length > 1 ? (
                <Command.Group heading="Organisations" className={GROUP}>
                  {me.organisations.map(({ accountId, name }) => (
                    <Command.Item
                      key={accountId}
                      value={`Organisation ${name} ${accountId}`}
                      disabled={accountId === organisation.accountId}
                      className={ITEM}
                      onSelect={() => run(() => choose(accountId))}
                    >
                      Work for {name}
                    </Command.Item>
                  ))}
                </Command.Group>
              ) : null}
            </Command.List>
          </Command>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
