/** Follows a JSON text byte by byte and tells what the next byte is for. */

export type Role =
  /** A value begins here (or, in an array, its end). */
  | 'value'
  /** A key begins here, or the object ends. */
  | 'key-start'
  /** Inside a key. */
  | 'key'
  /** Inside a string value. */
  | 'string'
  /** Inside a number: it may go on or be over. */
  | 'number'
  /** Inside true, false or null. */
  | 'literal'
  /** After a key. */
  | 'colon'
  /** After a value, inside an object or array. */
  | 'after-value'
  /** The document is complete. */
  | 'done';

interface Level {
  object: boolean;
  /** Members or items so far. */
  count: number;
  /** Keys that the model chose freely. */
  freeKeys: number;
  keys: Set<string>;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export interface JsonCursor {
  readonly role: Role;
  readonly depth: number;
  /** Innermost container, undefined at the root. */
  readonly level: Level | undefined;
  /** Bytes of the string, number or literal under way. */
  readonly length: number;
  /** The key whose value is due or under way. */
  readonly key: string;
  push(byte: number): void;
}

export function createJsonCursor(): JsonCursor {
  const levels: Level[] = [];
  let role: Role = 'value';
  let escaped = false;
  let text = '';
  let key = '';

  const top = () => levels[levels.length - 1];

  function valueEnds(): void {
    const level = top();
    if (level) {
      level.count++;
      role = 'after-value';
    } else role = 'done';
  }

  function close(): void {
    levels.pop();
    valueEnds();
  }

  function begin(byte: number): void {
    text = '';
    if (byte === QUOTE) role = 'string';
    else if (byte === 0x7b) {
      levels.push({ object: true, count: 0, freeKeys: 0, keys: new Set() });
      role = 'key-start';
    } else if (byte === 0x5b) {
      levels.push({ object: false, count: 0, freeKeys: 0, keys: new Set() });
      role = 'value';
    } else if (byte === 0x5d) close();
    else {
      text = String.fromCharCode(byte);
      role = byte === 0x2d || (byte >= 0x30 && byte <= 0x39) ? 'number' : 'literal';
    }
  }

  function push(byte: number): void {
    if (role === 'string' || role === 'key') {
      if (escaped) escaped = false;
      else if (byte === BACKSLASH) escaped = true;
      else if (byte === QUOTE) {
        if (role === 'key') {
          key = text;
          top()!.keys.add(text);
          role = 'colon';
        } else valueEnds();
        return;
      }
      text += String.fromCharCode(byte);
      return;
    }
    const space = byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
    if (role === 'number') {
      if ((byte >= 0x30 && byte <= 0x39) || '.eE+-'.includes(String.fromCharCode(byte))) {
        text += String.fromCharCode(byte);
        return;
      }
      valueEnds();
    } else if (role === 'literal') {
      text += String.fromCharCode(byte);
      if (text === 'true' || text === 'false' || text === 'null') valueEnds();
      return;
    }
    if (space) return;
    if (role === 'value') begin(byte);
    else if (role === 'key-start') {
      if (byte === QUOTE) {
        text = '';
        role = 'key';
      } else if (byte === 0x7d) close();
    } else if (role === 'colon') {
      if (byte === 0x3a) role = 'value';
    } else if (role === 'after-value') {
      if (byte === 0x2c) role = top()!.object ? 'key-start' : 'value';
      else if (byte === 0x7d || byte === 0x5d) close();
    }
  }

  return {
    get role() {
      return role;
    },
    get depth() {
      return levels.length;
    },
    get level() {
      return top();
    },
    get length() {
      return text.length;
    },
    get key() {
      return key;
    },
    push,
  };
}
