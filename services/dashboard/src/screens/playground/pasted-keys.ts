/**
 * Keys that somebody pasted to run with. In this page's memory alone: never in storage, an address or a share link; gone
 * with a reload, a closed tab or signing out.
 */
import { useSyncExternalStore } from 'react';

export interface PastedKey {
  /** Enough to tell keys apart. */
  name: string;
  text: string;
}

let keys: readonly PastedKey[] = [];
const listeners = new Set<() => void>();

function set(next: readonly PastedKey[]): void {
  keys = next;
  for (const listener of listeners) listener();
}

/** Whether a text can be a key; the console checks the rest. */
export const looksLikeKey = (text: string) => /^tg_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/.test(text.trim());

/** The key as it is chosen by from now on; the same one twice is one. */
export function pasteKey(text: string): PastedKey {
  const clean = text.trim();
  const known = keys.find((key) => key.text === clean);
  if (known) return known;
  const made = { name: `${clean.slice(0, 20)}…${clean.slice(-4)}`, text: clean };
  set([...keys, made]);
  return made;
}

export const forgetKeys = () => set([]);

export const usePastedKeys = () =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => keys,
  );
