/**
 * Reads JSON that may stop anywhere, as an answer does while it streams. The result is a tree with places, so that
 * problems can be shown where they are; a node that had not ended is marked, and rules about whole values wait for it.
 */

export type JsonNode = { start: number; end: number; done: boolean } & (
  | { kind: 'object'; members: { key: string; keyStart: number; value: JsonNode }[] }
  | { kind: 'array'; items: JsonNode[] }
  | { kind: 'string'; value: string }
  | { kind: 'number'; value: number }
  | { kind: 'boolean'; value: boolean }
  | { kind: 'null' }
);

export interface Parsed {
  /** Null when nothing has begun yet, or the text is broken before the first value. */
  root: JsonNode | null;
  /** What no JSON can go on from, and where; null while the text is a beginning of JSON. */
  error: { message: string; at: number } | null;
}

/** Deeper text is refused rather than followed. */
const MAX_DEPTH = 200;
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '"': '"', '\\': '\\', '/': '/' };
const LITERALS = [
  ['true', { kind: 'boolean', value: true }],
  ['false', { kind: 'boolean', value: false }],
  ['null', { kind: 'null' }],
] as const;

class Broken extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

class Reader {
  at = 0;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }

  space(): void {
    while (/[ \t\n\r]/.test(this.text[this.at] ?? '')) this.at++;
  }

  get ended(): boolean {
    return this.at >= this.text.length;
  }

  /** The value that starts here, or null at the end of the text. */
  value(depth: number): JsonNode | null {
    this.space();
    if (this.ended) return null;
    if (depth > MAX_DEPTH) throw new Broken(`nested deeper than ${MAX_DEPTH}`, this.at);
    const first = this.text[this.at]!;
    if (first === '{') return this.object(depth);
    if (first === '[') return this.array(depth);
    if (first === '"') return this.string();
    if (first === '-' || /\d/.test(first)) return this.number();
    return this.literal();
  }

  private object(depth: number): JsonNode {
    const start = this.at++;
    const members: { key: string; keyStart: number; value: JsonNode }[] = [];
    const node = (done: boolean): JsonNode => ({ kind: 'object', members, start, end: this.at, done });
    for (let first = true; ; first = false) {
      this.space();
      if (this.ended) return node(false);
      if (first && this.take('}')) return node(true);
      if (this.text[this.at] !== '"') throw new Broken('a property name in double quotes must come here', this.at);
      const keyStart = this.at;
      const key = this.string();
      if (!key.done) return node(false);
      this.space();
      if (this.ended) return node(false);
      if (!this.take(':')) throw new Broken('":" must come here', this.at);
      const value = this.value(depth + 1);
      if (value === null) return node(false);
      members.push({ key: key.value, keyStart, value });
      this.space();
      if (this.ended) return node(false);
      if (this.take('}')) return node(true);
      if (!this.take(',')) throw new Broken('"," or "}" must come here', this.at);
    }
  }

  private array(depth: number): JsonNode {
    const start = this.at++;
    const items: JsonNode[] = [];
    const node = (done: boolean): JsonNode => ({ kind: 'array', items, start, end: this.at, done });
    this.space();
    if (this.take(']')) return node(true);
    for (;;) {
      const value = this.value(depth + 1);
      if (value === null) return node(false);
      items.push(value);
      this.space();
      if (this.ended) return node(false);
      if (this.take(']')) return node(true);
      if (!this.take(',')) throw new Broken('"," or "]" must come here', this.at);
    }
  }

  private string(): JsonNode & { kind: 'string' } {
    const start = this.at++;
    let value = '';
    const node = (done: boolean): JsonNode & { kind: 'string' } => ({
      kind: 'string',
      value,
      start,
      end: this.at,
      done,
    });
    while (!this.ended) {
      const char = this.text[this.at]!;
      if (char === '"') {
        this.at++;
        return node(true);
      }
      if (char < ' ') throw new Broken('a line break or control character must be escaped inside a text', this.at);
      if (char !== '\\') {
        value += char;
        this.at++;
        continue;
      }
      const sign = this.text[this.at + 1];
      if (sign === undefined) break;
      if (sign === 'u') {
        const digits = this.text.slice(this.at + 2, this.at + 6);
        if (!/^[0-9a-fA-F]*$/.test(digits)) throw new Broken('four hexadecimal digits must follow \\u', this.at);
        if (digits.length < 4) break;
        value += String.fromCharCode(Number.parseInt(digits, 16));
        this.at += 6;
        continue;
      }
      const plain = ESCAPES[sign];
      if (plain === undefined) throw new Broken(`\\${sign} is no escape of JSON`, this.at);
      value += plain;
      this.at += 2;
    }
    this.at = this.text.length;
    return node(false);
  }

  private number(): JsonNode {
    const start = this.at;
    const found = /^-?(?:0|[1-9]\d*)?(?:\.\d*)?(?:[eE][+-]?\d*)?/.exec(this.text.slice(start))![0];
    this.at += found.length;
    const whole = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(found);
    if (!whole && !this.ended) throw new Broken('a number is not finished here', this.at);
    // At the very end of the text more digits may come: 1 may become 12.
    return { kind: 'number', value: Number.parseFloat(found) || 0, start, end: this.at, done: whole && !this.ended };
  }

  private literal(): JsonNode {
    const start = this.at;
    const rest = this.text.slice(start, start + 5);
    for (const [word, what] of LITERALS) {
      if (rest.startsWith(word)) {
        this.at += word.length;
        return { ...what, start, end: this.at, done: true };
      }
      if (word.startsWith(rest) && start + rest.length === this.text.length) {
        this.at = this.text.length;
        return { ...what, start, end: this.at, done: false };
      }
    }
    throw new Broken('a value must come here', start);
  }

  private take(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }
}

/** `final`: the text is all there will be, so a number at its end has ended. */
export function parsePartial(text: string, final = false): Parsed {
  const reader = new Reader(final ? `${text}\n` : text);
  let root: JsonNode | null = null;
  try {
    root = reader.value(0);
    reader.space();
    if (root?.done && !reader.ended) throw new Broken('nothing may follow the value', reader.at);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    return { root: null, error: { message: error.message, at: error.at } };
  }
  if (final && (root === null || !root.done)) {
    return { root, error: { message: root ? 'the text ends before the value does' : 'empty', at: text.length } };
  }
  return { root, error: null };
}

/** The plain value of a node: what was read so far. */
export function plainValue(node: JsonNode): unknown {
  switch (node.kind) {
    case 'object':
      return Object.fromEntries(node.members.map(({ key, value }) => [key, plainValue(value)]));
    case 'array':
      return node.items.map(plainValue);
    case 'null':
      return null;
    default:
      return node.value;
  }
}
