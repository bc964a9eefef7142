/** Which action a run of key presses means. Pure: the component that listens passes in what was pressed and when. */

export interface Binding {
  /** `?`, `mod+k`, `g k` (two presses), `ctrl+enter`. */
  keys: string;
  action: string;
  title: string;
  /** Where the help lists it. */
  group: 'Go to' | 'Lists' | 'Everywhere';
}

export const BINDINGS: readonly Binding[] = [
  { keys: 'mod+k', action: 'palette', title: 'Search for a page or a command', group: 'Everywhere' },
  { keys: '?', action: 'help', title: 'Show these keys', group: 'Everywhere' },
  { keys: '/', action: 'filter', title: 'Jump to the filter of this page', group: 'Everywhere' },
  { keys: 't', action: 'theme', title: 'Change between light and dark', group: 'Everywhere' },
  { keys: 'g h', action: 'go:/', title: 'Home', group: 'Go to' },
  { keys: 'g k', action: 'go:/keys', title: 'API keys', group: 'Go to' },
  { keys: 'g u', action: 'go:/usage', title: 'Usage', group: 'Go to' },
  { keys: 'g r', action: 'go:/requests', title: 'Requests', group: 'Go to' },
  { keys: 'g c', action: 'go:/credits', title: 'Credits', group: 'Go to' },
  { keys: 'g p', action: 'go:/playground', title: 'Playground', group: 'Go to' },
  { keys: 'g d', action: 'go:/collections', title: 'Collections of documents', group: 'Go to' },
  { keys: 'g m', action: 'go:/models', title: 'Models and prices', group: 'Go to' },
  { keys: 'g l', action: 'go:/limits', title: 'Limits', group: 'Go to' },
  { keys: 'g f', action: 'go:/admin/fleet', title: 'Fleet (operators)', group: 'Go to' },
  { keys: 'j', action: 'next', title: 'Next row', group: 'Lists' },
  { keys: 'k', action: 'previous', title: 'Previous row', group: 'Lists' },
  { keys: 'enter', action: 'open', title: 'Open the row', group: 'Lists' },
  { keys: 'c', action: 'copy', title: "Copy the row's id", group: 'Lists' },
];

export interface Press {
  key: string;
  ctrl: boolean;
  meta: boolean;
  alt: boolean;
  /** Whether the press went into something that takes text. */
  typing: boolean;
  atMs: number;
}

/** First of a two-press run that is waiting for its second. */
export interface Pending {
  key: string;
  atMs: number;
}

/** A second press counts when it follows within this time. */
export const SEQUENCE_MS = 1200;

/** What a press means after what came before: an action, or a first press to remember, or nothing. */
export function onPress(press: Press, pending: Pending | null): { action: string | null; pending: Pending | null } {
  const key = press.key.toLowerCase();
  const mod = press.ctrl || press.meta;
  // The palette opens from anywhere, also while typing; it is a chord that types nothing.
  if (mod && key === 'k' && !press.alt) return { action: 'palette', pending: null };
  if (press.typing || mod || press.alt) return { action: null, pending: null };
  if (pending && press.atMs - pending.atMs <= SEQUENCE_MS) {
    const both = `${pending.key} ${key}`;
    const found = BINDINGS.find((binding) => binding.keys === both);
    return { action: found?.action ?? null, pending: null };
  }
  const found = BINDINGS.find((binding) => binding.keys === key);
  if (found) return { action: found.action, pending: null };
  const starts = BINDINGS.some((binding) => binding.keys.startsWith(`${key} `));
  return { action: null, pending: starts ? { key, atMs: press.atMs } : null };
}
