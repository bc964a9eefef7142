/**
 * JSON as Python's parser reads it: NaN and Infinity are values, big integers stay exact (bigint), 1e999 is
 * infinite, and what is wrong is said in Python's words with Python's position.
 */

export class JsonDecodeError extends Error {
  override readonly name = 'JsonDecodeError';
  /** Character offset at which Python's parser gave up. */
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

/** Nested deeper than Python's recursion limit allows. */
export class JsonTooDeepError extends Error {
  override readonly name = 'JsonTooDeepError';
}

/** `JSON.stringify` for what `parsePythonJson` reads: big integers are written as they came. */
export function stringifyExact(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? rawJson(item.toString()) : item));
}

const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

const MAX_DEPTH = 990;
/** What only the slow parser reads right: long digit runs, words that are not JSON. */
const NEEDS_CARE = /[:[,\s]-?\d{16,}|NaN|Infinity/;

function depthOf(text: string): number {
  let depth = 0;
  let most = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5b || code === 0x7b) most = Math.max(most, ++depth);
    else if (code === 0x5d || code === 0x7d) depth--;
  }
  return most;
}

/** Parses a request body. Throws JsonDecodeError or JsonTooDeepError. */
export function parsePythonJson(text: string): unknown {
  const body = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  // Brackets inside strings only make this an upper bound: good enough to skip the exact look.
  if (body.length > MAX_DEPTH && depthOf(body) > MAX_DEPTH) return slowParse(body);
  if (!NEEDS_CARE.test(body)) {
    try {
      return JSON.parse(body);
    } catch {
      // The slow parser says what is wrong.
    }
  }
  return slowParse(body);
}

function slowParse(text: string): unknown {
  let at = 0;

  const skipSpace = () => {
    while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++;
  };
  const fail = (message: string, position: number): never => {
    throw new JsonDecodeError(message, position);
  };

  function parseString(): string {
    const from = at;
    at++;
    for (;;) {
      const char = text[at];
      if (char === undefined) return fail('Unterminated string starting at', from);
      if (char === '"') break;
      if (char < ' ') return fail('Invalid control character at', at);
      if (char === '\\') {
        const next = text[at + 1];
        if (next === undefined) return fail('Unterminated string starting at', from);
        if (next === 'u') {
          if (!/^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6))) return fail('Invalid \\uXXXX escape', at + 1);
          at += 6;
        } else if ('"\\/bfnrt'.includes(next)) at += 2;
        else return fail('Invalid \\escape', at);
      } else at++;
    }
    at++;
    return JSON.parse(text.slice(from, at)) as string;
  }

  function parseValue(depth: number): unknown {
    if (depth > MAX_DEPTH) throw new JsonTooDeepError('nested too deep');
    const char = text[at];
    if (char === '"') return parseString();
    if (char === '{') return parseObject(depth);
    if (char === '[') return parseArray(depth);
    for (const [word, value] of WORDS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return value;
      }
    }
    const match = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/.exec(text.slice(at, at + 4400));
    if (!match) return fail('Expecting value', at);
    at += match[0].length;
    if (/^-?\d+$/.test(match[0])) {
      const small = Number(match[0]);
      return Number.isSafeInteger(small) ? small : BigInt(match[0]);
    }
    return Number(match[0]);
  }

  function parseArray(depth: number): unknown[] {
    const items: unknown[] = [];
    at++;
    skipSpace();
    if (text[at] === ']') {
      at++;
      return items;
    }
    for (;;) {
      items.push(parseValue(depth + 1));
      skipSpace();
      if (text[at] === ']') {
        at++;
        return items;
      }
      if (text[at] !== ',') return fail("Expecting ',' delimiter", at);
      at++;
      skipSpace();
    }
  }

  function parseObject(depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    at++;
    skipSpace();
    if (text[at] === '}') {
      at++;
      return object;
    }
    for (;;) {
      if (text[at] !== '"') return fail('Expecting property name enclosed in double quotes', at);
      const key = parseString();
      skipSpace();
      if (text[at] !== ':') return fail("Expecting ':' delimiter", at);
      at++;
      skipSpace();
      const value = parseValue(depth + 1);
      Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      skipSpace();
      if (text[at] === '}') {
        at++;
        return object;
      }
      if (text[at] !== ',') return fail("Expecting ',' delimiter", at);
      at++;
      skipSpace();
    }
  }

  skipSpace();
  const value = parseValue(1);
  skipSpace();
  if (at < text.length) return fail('Extra data', at);
  return value;
}

const WORDS: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
];
