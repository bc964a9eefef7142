/** How the operations of a patch stream are written. */
export type PatchForm = 'ndjson' | 'sse';

/** Of the client's `Accept` header: lines, unless it names event streams. */
export function patchForm(accept: string | undefined): PatchForm {
  return accept !== undefined && /(?:^|[\s,])text\/event-stream\b/i.test(accept) ? 'sse' : 'ndjson';
}

export const PATCH_TYPES: Readonly<Record<PatchForm, string>> = {
  ndjson: 'application/x-ndjson',
  sse: 'text/event-stream; charset=utf-8',
};
