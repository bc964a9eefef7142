/** Listens for the keyboard map (lib/keymap.ts) and does what it says. Off while typing, and switchable for good. */
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { onPress, type Pending } from '../lib/keymap.ts';
import { copyText } from '../ui/copy.tsx';
import { toast } from '../ui/toast.tsx';
import { recall, remember } from './storage.ts';
import { flipTheme } from './theme.ts';

let on = recall('shortcuts') !== 'off';
const listeners = new Set<() => void>();
export function setShortcuts(next: boolean): void {
  on = next;
  remember('shortcuts', next ? null : 'off');
  for (const listener of listeners) listener();
}
export const useShortcuts = () =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => on,
  );

/** Whether keys belong to what has the focus: text, choices, editors (also inside shadow roots). */
function takesText(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.role === 'menuitem';
}

const rowMain = (row: Element | undefined) => row?.querySelector<HTMLElement>('[data-row-main]');

function moveRow(step: 1 | -1): void {
  const rows = [...document.querySelectorAll('[data-row]')];
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = here < 0 ? (step === 1 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + step));
  rowMain(rows[next])?.focus();
}

async function copyRow(): Promise<void> {
  const id = document.activeElement?.closest<HTMLElement>('[data-copy]')?.dataset.copy;
  if (!id) return;
  toast((await copyText(id)) ?? `Copied ${id}`);
}

interface KeyboardProps {
  onPalette(): void;
  onHelp(): void;
}

export function Keyboard({ onPalette, onHelp }: KeyboardProps) {
  const navigate = useNavigate();
  const pending = useRef<Pending | null>(null);
  const enabled = useShortcuts();
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      const press = {
        key: event.key,
        ctrl: event.ctrlKey,
        meta: event.metaKey,
        alt: event.altKey,
        typing: takesText(event) || document.querySelector('[role="dialog"],[role="alertdialog"]') !== null,
        atMs: event.timeStamp,
      };
      const { action, pending: next } = onPress(press, pending.current);
      pending.current = next;
      if (action === null || (!enabled && action !== 'palette')) return;
      // Enter works by itself: the row's link or button has the focus.
      if (action === 'open') return;
      event.preventDefault();
      if (action === 'palette') onPalette();
      else if (action === 'help') onHelp();
      else if (action === 'theme') flipTheme();
      else if (action === 'filter') document.querySelector<HTMLElement>('[data-filter]')?.focus();
      else if (action === 'next') moveRow(1);
      else if (action === 'previous') moveRow(-1);
      else if (action === 'copy') void copyRow();
      else if (action.startsWith('go:')) void navigate({ to: action.slice(3) });
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, [enabled, navigate, onPalette, onHelp]);
  return null;
}
