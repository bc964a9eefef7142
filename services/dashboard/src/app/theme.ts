/** Light, dark, or as the system has it. */
import { useSyncExternalStore } from 'react';
import { recall, remember } from './storage.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const system = matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();
let theme: Theme = THEMES.find((name) => name === recall('theme')) ?? 'system';

const isDark = () => theme === 'dark' || (theme === 'system' && system.matches);

function apply(): void {
  document.documentElement.dataset.theme = isDark() ? 'dark' : 'light';
  for (const listener of listeners) listener();
}
system.addEventListener('change', apply);

export function setTheme(next: Theme): void {
  theme = next;
  remember('theme', next === 'system' ? null : next);
  apply();
}

/** Light becomes dark and the other way round. */
export const flipTheme = () => setTheme(isDark() ? 'light' : 'dark');

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
export const useTheme = () => useSyncExternalStore(subscribe, () => theme);
export const useDark = () => useSyncExternalStore(subscribe, isDark);
