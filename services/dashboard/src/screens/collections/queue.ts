/** Files on their way up, as values. Pure. */

export interface Sending {
  id: number;
  name: string;
  size: number;
  sent: number;
  state: 'waiting' | 'sending' | 'done' | 'failed';
  error: string | null;
}

/** Two at a time: a slow line is not made slower, and one large file does not hold up the small ones. */
export const AT_ONCE = 2;

/** Lines for files just chosen; those that can never be taken say so before a byte is sent. */
export function chosen(files: readonly { name: string; size: number }[], firstId: number, maxBytes: number): Sending[] {
  return files.map(({ name, size }, index) => {
    const error =
      size === 0
        ? 'The file is empty.'
        : size > maxBytes
          ? `The file is larger than ${Math.floor(maxBytes / 1_048_576)} MiB, which is what one may have.`
          : null;
    return { id: firstId + index, name, size, sent: 0, state: error ? 'failed' : 'waiting', error };
  });
}

/** Ids to start now. */
export function toStart(list: readonly Sending[]): number[] {
  const running = list.filter(({ state }) => state === 'sending').length;
  return list
    .filter(({ state }) => state === 'waiting')
    .slice(0, Math.max(0, AT_ONCE - running))
    .map(({ id }) => id);
}

export const changed = (list: readonly Sending[], id: number, change: Partial<Sending>): Sending[] =>
  list.map((line) => (line.id === id ? { ...line, ...change } : line));

export const sentShare = ({ size, sent }: Sending) => (size === 0 ? 0 : Math.min(1, sent / size));
