/**
 * Cuts a byte stream into server-sent events. Bytes travel as latin1 text (one character is one byte, nothing is
 * lost), so halves of UTF-8 characters need no care. The cuts do not depend on how the bytes arrive: `\n`, `\r\n` and
 * `\r` end lines, and an event that could still grow by a `\n` waits for the next byte.
 */

/** An event longer than this is not a chat chunk; the worker talks garbage. */
export const MAX_EVENT_BYTES = 4 * 1024 * 1024;

const LF = 0x0a;
const CR = 0x0d;

export class SseSplitter {
  private rest = '';
  private sawCr = false;
  /** Where the search for an event's end goes on, so that a trickle is not searched again from its start. */
  private searched = 0;

  /** Adds bytes; hands each whole event (its blank line included) to `take`, which returns false to stop. */
  push(bytes: Buffer, take: (event: string) => boolean): void {
    const added = bytes.toString('latin1');
    if (!this.sawCr && added.includes('\r')) {
      this.sawCr = true;
      this.searched = 0;
    }
    const text = this.rest === '' ? added : this.rest + added;
    let start = 0;
    let searchFrom = this.searched;
    for (;;) {
      const end = this.sawCr ? endOfEvent(text, start) : endOfPlainEvent(text, Math.max(start, searchFrom));
      if (end === -1) break;
      searchFrom = end;
      const event = start === 0 && end === text.length ? text : text.slice(start, end);
      start = end;
      if (!take(event)) return;
    }
    this.rest = start === text.length ? '' : text.slice(start);
    this.searched = Math.max(0, this.rest.length - 1);
  }

  /** What is left when the stream ends: an event without its blank line, or ''. */
  end(): string {
    const rest = this.rest;
    this.rest = '';
    return rest;
  }

  /** A carriage return has come: lines may end in other ways than by `\n`. */
  get hasSeenCr(): boolean {
    return this.sawCr;
  }

  get pendingBytes(): number {
    return this.rest.length;
  }
}

/** End of the event that starts before `from` when only `\n` ends lines; a leading blank line is an event of its own. */
function endOfPlainEvent(text: string, from: number): number {
  if (text.charCodeAt(from) === LF && (from === 0 || text.charCodeAt(from - 1) === LF)) return from + 1;
  const at = text.indexOf('\n\n', from);
  return at === -1 ? -1 : at + 2;
}

/** The same for any mix of line ends; `start` is the first byte of the event. */
function endOfEvent(text: string, start: number): number {
  let lineStart = start;
  for (let i = start; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char !== LF && char !== CR) continue;
    let next = i + 1;
    if (char === CR) {
      if (next === text.length) return -1;
      if (text.charCodeAt(next) === LF) next++;
    }
    if (i === lineStart) return next;
    lineStart = next;
    i = next - 1;
  }
  return -1;
}

/**
 * The event's data: `data:` lines without the field name and one space, joined by `\n`; null when it has none
 * (comments, blank lines).
 */
export function dataOf(event: string): string | null {
  // What engines send: one line `data: ...`, ended by `\n\n`.
  if (event.startsWith('data: ')) {
    const lineEnd = event.indexOf('\n');
    if (lineEnd === event.length - 2 && !event.includes('\r')) return event.slice(6, lineEnd);
  }
  let data: string | null = null;
  for (const line of event.split(/\r\n|\n|\r/)) {
    if (line !== 'data' && !line.startsWith('data:')) continue;
    const value = line.slice(5);
    const part = value.startsWith(' ') ? value.slice(1) : value;
    data = data === null ? part : `${data}\n${part}`;
  }
  return data;
}
