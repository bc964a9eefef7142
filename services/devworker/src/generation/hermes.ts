/**
 * Reads `<tool_call>{"name": ..., "arguments": ...}</tool_call>` out of a growing text, as vLLM's hermes parser
 * does for streams: content outside, then the name, then the arguments in the model's own characters.
 */

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';
const HEADER = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*/;

export type HermesEvent =
  | { kind: 'content'; text: string }
  | { kind: 'start'; index: number; name: string }
  | { kind: 'arguments'; index: number; text: string };

export interface HermesReader {
  /** Feeds more text; answers what became certain. */
  feed(text: string): HermesEvent[];
  /** Calls whose name has been told. */
  readonly started: number;
}

/** Length of the longest end of `text` that begins `word`. */
function partialAtEnd(text: string, word: string): number {
  for (let size = Math.min(text.length, word.length - 1); size > 0; size--) {
    if (word.startsWith(text.slice(text.length - size))) return size;
  }
  return 0;
}

export function createHermesReader(): HermesReader {
  let state: 'content' | 'header' | 'arguments' | 'tail' = 'content';
  let buffer = '';
  let index = -1;
  let depth = 0;
  let inString = false;
  let escaped = false;

  /** Where the arguments end in `text`: the index of the closing brace of the call, or -1. */
  function scanArguments(text: string): number {
    for (let i = 0; i < text.length; i++) {
      const char = text[i]!;
      if (inString) {
        if (escaped) escaped = false;
        else if (char === '\\') escaped = true;
        else if (char === '"') inString = false;
      } else if (char === '"') inString = true;
      else if (char === '{' || char === '[') depth++;
      else if (char === '}' || char === ']') {
        if (depth === 0) return i;
        depth--;
      }
    }
    return -1;
  }

  return {
    get started() {
      return index + 1;
    },
    feed(text) {
      buffer += text;
      const events: HermesEvent[] = [];
      for (;;) {
        if (state === 'content') {
          const at = buffer.indexOf(OPEN);
          const keep = at >= 0 ? 0 : partialAtEnd(buffer, OPEN);
          const content = buffer.slice(0, at >= 0 ? at : buffer.length - keep);
          if (content !== '') events.push({ kind: 'content', text: content });
          buffer = at >= 0 ? buffer.slice(at + OPEN.length) : buffer.slice(buffer.length - keep);
          if (at < 0) return events;
          state = 'header';
        } else if (state === 'header') {
          const match = HEADER.exec(buffer);
          if (!match) return events;
          index++;
          events.push({ kind: 'start', index, name: JSON.parse(match[1]!) as string });
          buffer = buffer.slice(match[0].length);
          state = 'arguments';
          depth = 0;
          inString = false;
          escaped = false;
        } else if (state === 'arguments') {
          const end = scanArguments(buffer);
          const part = end < 0 ? buffer : buffer.slice(0, end);
          if (part !== '') events.push({ kind: 'arguments', index, text: part });
          if (end < 0) {
            buffer = '';
            return events;
          }
          buffer = buffer.slice(end + 1);
          state = 'tail';
        } else {
          const at = buffer.indexOf(CLOSE);
          if (at < 0) return events;
          buffer = buffer.slice(at + CLOSE.length);
          state = 'content';
        }
      }
    },
  };
}

export interface ParsedCalls {
  content: string;
  calls: { name: string; arguments: unknown }[];
}

/** Reads a finished text as vLLM does for plain answers; undefined when it holds no call or a broken one. */
export function parseFinishedCalls(text: string): ParsedCalls | undefined {
  const from = text.indexOf(OPEN);
  if (from < 0) return undefined;
  const calls: ParsedCalls['calls'] = [];
  for (const match of text.matchAll(/<tool_call>(.*?)<\/tool_call>|<tool_call>(.*)/gs)) {
    try {
      const call = JSON.parse(match[1] ?? match[2] ?? '') as { name?: unknown; arguments?: unknown };
      if (typeof call.name !== 'string' || call.arguments === undefined) return undefined;
      calls.push({ name: call.name, arguments: call.arguments });
    } catch {
      return undefined;
    }
  }
  return { content: text.slice(0, from), calls };
}
