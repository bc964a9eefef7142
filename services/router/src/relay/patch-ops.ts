/**
 * From the text of one JSON document, as it grows, to the operations of RFC 6902 that build it: containers are added
 * empty before their members, every other value is added once it is whole. Where the text is cut means nothing.
 */
import { step } from '../schema-gate/problem.ts';

/** Deeper documents are refused: each operation names its whole path. */
export const MAX_PATCH_DEPTH = 512;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** What may come next. `first` = the container may also end here. */
type Next = 'value' | 'first value' | 'key' | 'first key' | 'colon' | 'comma' | 'string' | 'scalar' | 'nothing';

interface Frame {
  isObject: boolean;
  path: string;
  /** Path of the member that is being read. */
  member: string;
  index: number;
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;

export class PatchOps {
  /** The text is no JSON document, or one that is too deep. Nothing more is read. */
  broken = false;
  private next: Next = 'value';
  private readonly frames: Frame[] = [];
  private token = '';
  private escaped = false;
  private tokenIsKey = false;
  private made: string[] = [];

  /** Reads on; false once the text is broken. */
  push(text: string): boolean {
    let at = 0;
    while (at < text.length && !this.broken) {
      if (this.next === 'string') at = this.readString(text, at);
      else if (this.next === 'scalar') at = this.readScalar(text, at);
      else at = this.readStructure(text, at);
    }
    return !this.broken;
  }

  /** The text has ended: a number at the root has no other sign of its end. True when the document is whole. */
  end(): boolean {
    if (this.next === 'scalar' && this.frames.length === 0) this.endScalar('');
    return this.next === 'nothing' && !this.broken;
  }

  /** The operations since the last call, each as JSON text. */
  take(): string[] {
    const { made } = this;
    if (made.length > 0) this.made = [];
    return made;
  }

  private readStructure(text: string, at: number): number {
    const code = text.charCodeAt(at);
    if (isSpace(code)) return at + 1;
    switch (this.next) {
      case 'first value':
        if (code === CLOSE_ARRAY) return this.close(at);
        return this.startValue(code, at);
      case 'value':
        return this.startValue(code, at);
      case 'first key':
        if (code === CLOSE_OBJECT) return this.close(at);
        return this.startKey(code, at);
      case 'key':
        return this.startKey(code, at);
      case 'colon':
        if (code !== COLON) return this.fail(at);
        this.next = 'value';
        return at + 1;
      case 'comma':
        return this.readComma(code, at);
      default:
        return this.fail(at);
    }
  }

  private readComma(code: number, at: number): number {
    const frame = this.frames[this.frames.length - 1]!;
    if (code === (frame.isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) return this.close(at);
    if (code !== COMMA) return this.fail(at);
    if (frame.isObject) this.next = 'key';
    else {
      frame.index++;
      frame.member = `${frame.path}/${frame.index}`;
      this.next = 'value';
    }
    return at + 1;
  }

  private startKey(code: number, at: number): number {
    if (code !== QUOTE) return this.fail(at);
    this.startToken('string', true);
    this.token = '"';
    return at + 1;
  }

  private startValue(code: number, at: number): number {
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) return this.open(code === OPEN_OBJECT, at);
    if (code === QUOTE) {
      this.startToken('string', false);
      this.token = '"';
      return at + 1;
    }
    if (code === COMMA || code === COLON || code === CLOSE_OBJECT || code === CLOSE_ARRAY) return this.fail(at);
    this.startToken('scalar', false);
    return at;
  }

  private startToken(next: 'string' | 'scalar', isKey: boolean): void {
    this.next = next;
    this.token = '';
    this.tokenIsKey = isKey;
    this.escaped = false;
  }

  private open(isObject: boolean, at: number): number {
    if (this.frames.length >= MAX_PATCH_DEPTH) return this.fail(at);
    const path = this.path();
    this.add(path, isObject ? '{}' : '[]');
    this.frames.push({ isObject, path, member: isObject ? path : `${path}/0`, index: 0 });
    this.next = isObject ? 'first key' : 'first value';
    return at + 1;
  }

  private close(at: number): number {
    this.frames.pop();
    this.valueEnded();
    return at + 1;
  }

  private readString(text: string, from: number): number {
    for (let at = from; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.escaped) this.escaped = false;
      else if (code === BACKSLASH) this.escaped = true;
      else if (code === QUOTE) {
        this.endString(this.token + text.slice(from, at + 1));
        return at + 1;
      }
    }
    this.token += text.slice(from);
    return text.length;
  }

  private endString(raw: string): void {
    const value = parsed(raw);
    if (typeof value !== 'string') this.broken = true;
    else if (this.tokenIsKey) {
      const frame = this.frames[this.frames.length - 1]!;
      frame.member = step(frame.path, value);
      this.next = 'colon';
    } else {
      this.add(this.path(), raw);
      this.valueEnded();
    }
  }

  private readScalar(text: string, from: number): number {
    for (let at = from; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (!isSpace(code) && code !== COMMA && code !== CLOSE_OBJECT && code !== CLOSE_ARRAY) continue;
      this.endScalar(text.slice(from, at));
      return at;
    }
    this.token += text.slice(from);
    return text.length;
  }

  private endScalar(rest: string): void {
    const raw = this.token + rest;
    if (parsed(raw) === undefined) this.broken = true;
    else {
      this.add(this.path(), raw);
      this.valueEnded();
    }
  }

  private valueEnded(): void {
    this.token = '';
    this.next = this.frames.length === 0 ? 'nothing' : 'comma';
  }

  /** Where the value that begins now belongs. */
  private path(): string {
    const { frames } = this;
    return frames.length === 0 ? '' : frames[frames.length - 1]!.member;
  }

  /** `value`: JSON text. */
  private add(path: string, value: string): void {
    this.made.push(`{"op":"add","path":${JSON.stringify(path)},"value":${value}}`);
  }

  private fail(at: number): number {
    this.broken = true;
    return at;
  }
}

/** undefined = not JSON. */
function parsed(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}
