/**
 * Bounds of a JSON text before it is parsed: 37 MB of distinct keys take JSON.parse 3 s, and a deep body parses but
 * makes JSON.stringify throw (facts/reliability.md section 4). One pass; strings are skipped natively.
 */
import { AppError } from '@tollgate/shared/domain/errors';

export interface JsonBounds {
  maxDepth: number;
  /** Values and keys together, counted by `[ { , :`. */
  maxElements: number;
}

export const JSON_BOUNDS: JsonBounds = { maxDepth: 64, maxElements: 200_000 };

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Throws `json_too_deep` when the text passes the bounds. Says nothing about validity: that is JSON.parse's work. */
export function checkJsonBounds(text: string, bounds: JsonBounds = JSON_BOUNDS): void {
  let depth = 0;
  let elements = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        i = endOfString(text, i + 1);
        if (i === -1) return;
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth > bounds.maxDepth) throw new AppError('json_too_deep');
        elements++;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth--;
        break;
      case COMMA:
      case COLON:
        elements++;
        break;
    }
    if (elements > bounds.maxElements) throw new AppError('json_too_deep');
  }
}

/** Index of the quote that ends the string whose content starts at `from`, or -1. */
function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    for (let j = end - 1; j >= from && text.charCodeAt(j) === BACKSLASH; j--) slashes++;
    if (slashes % 2 === 0) return end;
  }
  return -1;
}

/**
 * The JSON value of a request body. Repeated keys: the last one counts, as in JSON.parse and in the worker's own
 * parser; the worker never sees the client's bytes, so there is nothing to disagree about.
 */
export function parseJsonBody(bytes: Buffer, isUtf8: (bytes: Buffer) => boolean): unknown {
  if (!isUtf8(bytes)) throw new AppError('invalid_json', { message: 'The body is not valid UTF-8.' });
  const text = bytes.toString('utf8');
  checkJsonBounds(text);
  try {
    return JSON.parse(text);
  } catch {
    // The engine's message quotes the input; it is not passed on.
    throw new AppError('invalid_json');
  }
}
