/** A draft that another page leaves for the playground: in this tab's memory alone, never in an address or a store. */
import type { Draft } from './draft.ts';

let left: Draft | null = null;

export function leaveDraft(draft: Draft): void {
  left = draft;
}
/** What lies there; it stays until it is taken away, since a page may be drawn twice. */
export const leftDraft = (): Draft | null => left;
export function clearLeftDraft(): void {
  left = null;
}
