/**
 * Nearly all chunks of a stream differ from the one before in their text and in their counts alone. Once such a chunk has
 * been read in full, the next ones are compared with it instead of being searched: what stands before the text must be
 * equal, what stands between text and counts too, and the counts must be names and numbers. What was cut and renamed in
 * the first stands at the same places in the others. Anything else is read in full. Text is latin1.
 */
import type { UsageSpan } from './usage-scan.ts';

const TEXT_KEY = '"delta":{"content":"';
const USAGE_KEY = '"usage":{';
/** What follows the counts. */
const END = '}\n\n';

const LF = 0x0a;
const SPACE = 0x20;
const QUOTE = 0x22;
const COLON = 0x3a;
/** Marks of chat templates and of calls in a model's own words begin with it. */
const LESS_THAN = 0x3c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export class ChunkTemplate {
  /** As the worker writes it: up to the text, and from the text's end up to the counts. '' = nothing was learned. */
  private head = '';
  private neck = '';
  /** As the client gets it. */
  private shownHead = '';
  private shownTail = '';
  private textEnd = 0;

  /** A chunk with text that was read in full: as it came, where its usage stands, and what the client gets of it. */
  learn(event: string, span: UsageSpan, shown: string): void {
    this.head = '';
    const start = event.indexOf(TEXT_KEY) + TEXT_KEY.length;
    if (start < TEXT_KEY.length || event.includes('<')) return;
    const end = endOfText(event, start);
    if (end <= start || span.start < end || event.slice(span.end) !== END) return;
    const neck = event.slice(end, span.start + USAGE_KEY.length);
    // Thoughts beside the text: seen once in a blue moon, and kept elsewhere.
    if (neck.includes('"reasoning')) return;
    const shownStart = shown.indexOf(TEXT_KEY) + TEXT_KEY.length;
    if (shownStart < TEXT_KEY.length || !shown.startsWith(event.slice(start, end + 1), shownStart)) return;
    const tail = shown.slice(shownStart + end - start);
    // The counts themselves are never the same twice.
    if (tail.includes(USAGE_KEY)) return;
    this.head = event.slice(0, start);
    this.neck = neck;
    this.shownHead = shown.slice(0, shownStart);
    this.shownTail = tail;
  }

  /** Where the event's usage stands, when the event is like the one that was learned; else null. */
  match(event: string): UsageSpan | null {
    const { head, neck } = this;
    if (head === '' || !event.startsWith(head)) return null;
    const textEnd = endOfText(event, head.length);
    if (textEnd === -1 || !event.startsWith(neck, textEnd)) return null;
    const counts = textEnd + neck.length;
    if (endOfCounts(event, counts) !== event.length - END.length || !event.endsWith(END)) return null;
    this.textEnd = textEnd;
    return { start: counts - USAGE_KEY.length, end: event.length - END.length };
  }

  /** Text of the event that `match` has just found, as JSON has it. */
  textOf(event: string): string {
    return event.slice(this.head.length, this.textEnd);
  }

  /** An event with this text as the client gets it. */
  shown(text: string): string {
    return this.shownHead + text + this.shownTail;
  }
}

/** Index of the quote that ends the string; -1 when there is none, or when the text is not an ordinary one. */
function endOfText(event: string, from: number): number {
  for (let i = from; i < event.length; i++) {
    const char = event.charCodeAt(i);
    if (char === QUOTE) return i;
    if (char === BACKSLASH) i++;
    else if (char < SPACE || char === LESS_THAN) return -1;
  }
  return -1;
}

/** One past the brace that closes the counts; -1 when there is more among them than names, numbers and objects. */
function endOfCounts(event: string, from: number): number {
  let depth = 1;
  for (let i = from; i < event.length; i++) {
    switch (event.charCodeAt(i)) {
      case CLOSE_BRACE:
        if (--depth === 0) return i + 1;
        break;
      case OPEN_BRACE:
        if (event.endsWith(USAGE_KEY, i + 1)) return -1;
        depth++;
        break;
      case QUOTE:
        if (event.charCodeAt(i - 1) === COLON) return -1;
        break;
      case LF:
      case BACKSLASH:
      case OPEN_BRACKET:
        return -1;
    }
  }
  return -1;
}
