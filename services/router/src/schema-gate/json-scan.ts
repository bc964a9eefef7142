/**
 * What `JSON.parse` does not tell of a finished document: keys that stand twice in one object (the last one would silently win, and
 * another parser may take the first), and numbers that become infinite. One pass over text that `JSON.parse` has already accepted.
 */
import { step } from './problem.ts';

export interface ScanProblem {
  pointer: string;
  keyword: 'duplicate key' | 'number';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

interface Frame {
  /** The keys so far; undefined for an array. */
  keys: Set<string> | undefined;
  key: string;
  index: number;
  wantsKey: boolean;
}

/** `text` must be valid JSON. Returns the first problem, or undefined. */
export function scanJson(text: string): ScanProblem | undefined {
  const stack: Frame[] = [];
  let frame: Frame | undefined;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (frame?.wantsKey === true) {
        const raw = text.slice(at + 1, end);
        const key = raw.includes('\\') ? (JSON.parse(text.slice(at, end + 1)) as string) : raw;
        if (frame.keys!.has(key)) return { pointer: pointerOf(stack, key), keyword: 'duplicate key' };
        frame.keys!.add(key);
        frame.key = key;
        frame.wantsKey = false;
      }
      at = end;
    } else if (code === 0x7b || code === 0x5b) {
      const isObject = code === 0x7b;
      frame = { keys: isObject ? new Set() : undefined, key: '', index: 0, wantsKey: isObject };
      stack.push(frame);
    } else if (code === 0x7d || code === 0x5d) {
      stack.pop();
      frame = stack.at(-1);
    } else if (code === 0x2c && frame !== undefined) {
      frame.index++;
      frame.wantsKey = frame.keys !== undefined;
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      const end = endOfNumber(text, at);
      if (!Number.isFinite(Number(text.slice(at, end)))) return { pointer: pointerOf(stack), keyword: 'number' };
      at = end - 1;
    }
  }
  return undefined;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) at++;
  }
}

function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const more =
      (code >= 0x30 && code <= 0x39) ||
      code === 0x2e ||
      code === 0x2b ||
      code === 0x2d ||
      code === 0x65 ||
      code === 0x45;
    if (!more) break;
  }
  return at;
}

function pointerOf(stack: readonly Frame[], last?: string): string {
  let pointer = '';
  for (const [depth, frame] of stack.entries()) {
    const isLast = depth === stack.length - 1;
    const key = frame.keys === undefined ? frame.index : isLast && last !== undefined ? last : frame.key;
    pointer = step(pointer, key);
  }
  return pointer;
}
