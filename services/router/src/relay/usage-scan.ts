/**
 * Finding usage in a chunk without parsing it. Inside a JSON string every quote is escaped, so `"usage":{` can only be
 * a key; engines put it at the top level, and its value holds numbers and objects, never strings.
 */
import type { WireUsage } from '@tollgate/shared/contracts/openai/chat';

export interface UsageSpan {
  /** First character of `"usage"`. */
  start: number;
  /** One past its closing brace. */
  end: number;
}

const KEY = '"usage":{';
const OPEN = 0x7b;
const CLOSE = 0x7d;
const COMMA = 0x2c;

export function findUsage(event: string): UsageSpan | null {
  const start = event.lastIndexOf(KEY);
  if (start === -1) return null;
  let depth = 0;
  for (let i = start + KEY.length - 1; i < event.length; i++) {
    const char = event.charCodeAt(i);
    if (char === OPEN) depth++;
    else if (char === CLOSE && --depth === 0) return { start, end: i + 1 };
  }
  return null;
}

/** The event without its usage and without the comma that belonged to it. */
export function cutUsage(event: string, { start, end }: UsageSpan): string {
  if (event.charCodeAt(start - 1) === COMMA) return event.slice(0, start - 1) + event.slice(end);
  return event.slice(0, start) + event.slice(event.charCodeAt(end) === COMMA ? end + 1 : end);
}

/** The event with `"usage":null`, as OpenAI writes it in all chunks but the last when usage was asked for. */
export function nullUsage(event: string, { start, end }: UsageSpan): string {
  return `${event.slice(0, start)}"usage":null${event.slice(end)}`;
}

/** The same for a chunk that came without any usage, as SGLang's do. */
export function withNullUsage(event: string): string {
  const at = event.lastIndexOf('}');
  return at === -1 || event.includes('"usage":null') ? event : `${event.slice(0, at)},"usage":null${event.slice(at)}`;
}

/** Non-negative integer that follows `key` (with its quotes and colon) inside the span; -1 when there is none. */
export function readCount(event: string, key: string, span: UsageSpan): number {
  const at = event.indexOf(key, span.start);
  if (at === -1 || at >= span.end) return -1;
  let value = -1;
  for (let i = at + key.length; i < span.end; i++) {
    const digit = event.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) break;
    value = (value === -1 ? 0 : value * 10) + digit;
  }
  return value;
}

export function parseUsage(event: string, { start, end }: UsageSpan): WireUsage {
  return JSON.parse(event.slice(start + KEY.length - 1, end)) as WireUsage;
}

/** The event with this usage as its last key. */
export function withUsage(event: string, usage: WireUsage): string {
  const text = event.replace(',"usage":null', '');
  const end = text.lastIndexOf('}');
  return `${text.slice(0, end)},"usage":${JSON.stringify(usage)}${text.slice(end)}`;
}
