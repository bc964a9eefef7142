/** Short confirmations at the edge of the screen, said aloud politely. Errors never only appear here. */
import { useSyncExternalStore } from 'react';

interface Note {
  id: number;
  text: string;
}

const SHOWN_MS = 5_000;
let notes: readonly Note[] = [];
let lastId = 0;
const listeners = new Set<() => void>();

function set(next: readonly Note[]): void {
  notes = next;
  for (const listener of listeners) listener();
}

/** Says that something was done. */
export function toast(text: string): void {
  const id = ++lastId;
  set([...notes, { id, text }].slice(-3));
  setTimeout(() => set(notes.filter((note) => note.id !== id)), SHOWN_MS);
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => notes);
  return (
    <div role="status" className="pointer-events-none fixed right-4 bottom-4 z-60 flex flex-col items-end gap-2">
      {shown.map(({ id, text }) => (
        <p key={id} className="rounded-lg bg-text px-3.5 py-2.5 text-sm font-medium text-bg shadow-float">
          {text}
        </p>
      ))}
    </div>
  );
}
