/**
 * Parses an ECMA-262 regular expression (no flags; read by code points, as JSON Schema asks) into a small tree, so that a pattern
 * can be matched in linear time, rewritten for XGrammar, and refused by the name of the construct that neither can do.
 * As lenient as browsers are with escapes that mean nothing (`\-`, `\_`): published schemas are full of them.
 */
import { ALL, type CharSet, complement, DIGIT, DOT, EMPTY, fromRanges, SPACE, union, WORD } from './charset.ts';

export type RegexNode =
  | { t: 'set'; set: CharSet }
  | { t: 'cat'; parts: RegexNode[] }
  | { t: 'alt'; options: RegexNode[] }
  | { t: 'rep'; node: RegexNode; min: number; max: number }
  | { t: 'start' }
  | { t: 'end' }
  | { t: 'word'; negate: boolean }
  | { t: 'ahead'; negate: boolean; node: RegexNode };

/** The pattern is not a regular expression, or uses what no linear-time engine can do. `construct` is fit for a client. */
export class PatternError extends Error {
  readonly construct: string;
  constructor(construct: string) {
    super(construct);
    this.name = 'PatternError';
    this.construct = construct;
  }
}

const MAX_GROUP_DEPTH = 32;
const SIMPLE_ESCAPES: Record<string, number> = { n: 10, r: 13, t: 9, v: 11, f: 12, '0': 0 };
const CLASS_ESCAPES: Record<string, CharSet> = {
  d: DIGIT,
  D: complement(DIGIT),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};

export function parseRegex(source: string): RegexNode {
  return new Parser(source).parse();
}

class Parser {
  readonly #chars: string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#chars = [...source];
  }

  parse(): RegexNode {
    const node = this.#alternation();
    if (this.#at < this.#chars.length) throw new PatternError('an unmatched ")"');
    return node;
  }

  #peek(ahead = 0): string | undefined {
    return this.#chars[this.#at + ahead];
  }

  #eat(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#peek(i) !== text[i]) return false;
    this.#at += text.length;
    return true;
  }

  #alternation(): RegexNode {
    const options = [this.#sequence()];
    while (this.#eat('|')) options.push(this.#sequence());
    return options.length === 1 ? options[0]! : { t: 'alt', options };
  }

  #sequence(): RegexNode {
    const parts: RegexNode[] = [];
    for (let char = this.#peek(); char !== undefined && char !== '|' && char !== ')'; char = this.#peek()) {
      parts.push(this.#quantified(this.#atom()));
    }
    return parts.length === 1 ? parts[0]! : { t: 'cat', parts };
  }

  #quantified(node: RegexNode): RegexNode {
    const bounds = this.#quantifier();
    if (bounds === undefined) return node;
    // Greedy or lazy is the same language.
    this.#eat('?');
    if (this.#quantifier() !== undefined) throw new PatternError('a quantifier after a quantifier');
    if (node.t === 'start' || node.t === 'end' || node.t === 'word')
      return bounds[0] === 0 ? { t: 'cat', parts: [] } : node;
    return { t: 'rep', node, min: bounds[0], max: bounds[1] };
  }

  #quantifier(): [number, number] | undefined {
    if (this.#eat('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#eat('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#eat('?')) return [0, 1];
    if (this.#peek() !== '{') return undefined;
    const close = this.#chars.indexOf('}', this.#at);
    const match = /^\{(\d{1,7})(,(\d{1,7})?)?\}$/.exec(
      close < 0 ? '' : this.#chars.slice(this.#at, close + 1).join(''),
    );
    if (match === null) return undefined;
    this.#at = close + 1;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === undefined ? Number.POSITIVE_INFINITY : Number(match[3]);
    if (max < min) throw new PatternError('a quantifier with its numbers out of order');
    return [min, max];
  }

  #atom(): RegexNode {
    const char = this.#chars[this.#at++]!;
    switch (char) {
      case '^':
        return { t: 'start' };
      case '$':
        return { t: 'end' };
      case '.':
        return { t: 'set', set: DOT };
      case '(':
        return this.#group();
      case '[':
        return { t: 'set', set: this.#class() };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
        throw new PatternError('a quantifier with nothing before it');
      default:
        return { t: 'set', set: one(char.codePointAt(0)!) };
    }
  }

  #group(): RegexNode {
    if (++this.#depth > MAX_GROUP_DEPTH) throw new PatternError(`groups nested more than ${MAX_GROUP_DEPTH} deep`);
    let look: { negate: boolean } | undefined;
    if (this.#eat('?:')) look = undefined;
    else if (this.#eat('?=')) look = { negate: false };
    else if (this.#eat('?!')) look = { negate: true };
    else if (this.#eat('?<=') || this.#eat('?<!')) throw new PatternError('a lookbehind');
    else if (this.#eat('?<')) {
      while (this.#peek() !== undefined && this.#peek() !== '>') this.#at++;
      this.#at++;
    } else if (this.#peek() === '?') throw new PatternError('a group modifier');
    const node = this.#alternation();
    if (!this.#eat(')')) throw new PatternError('an unclosed "("');
    this.#depth--;
    return look === undefined ? node : { t: 'ahead', negate: look.negate, node };
  }

  #escape(): RegexNode {
    const char = this.#peek();
    if (char === 'b' || char === 'B') {
      this.#at++;
      return { t: 'word', negate: char === 'B' };
    }
    if (char !== undefined && /[1-9]/.test(char)) throw new PatternError('a back-reference');
    if (char === 'k' && this.#peek(1) === '<') throw new PatternError('a back-reference');
    return { t: 'set', set: this.#escapedSet() };
  }

  /** After the backslash: a class such as `\d`, or one code point. */
  #escapedSet(): CharSet {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw new PatternError('a backslash at the end');
    const set = CLASS_ESCAPES[char];
    if (set !== undefined) return set;
    const simple = SIMPLE_ESCAPES[char];
    if (simple !== undefined) return one(simple);
    if (char === 'x') return one(this.#hex(2) ?? 0x78);
    if (char === 'u') return one(this.#unicode());
    if (char === 'c') return one((this.#chars[this.#at++]?.codePointAt(0) ?? 0) % 32);
    if ((char === 'p' || char === 'P') && this.#peek() === '{') return this.#property(char === 'P');
    return one(char.codePointAt(0)!);
  }

  #hex(digits: number): number | undefined {
    const text = this.#chars.slice(this.#at, this.#at + digits).join('');
    if (!new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(text)) return undefined;
    this.#at += digits;
    return Number.parseInt(text, 16);
  }

  #unicode(): number {
    const rest = this.#chars.slice(this.#at, this.#at + 10).join('');
    const braced = /^\{([0-9a-fA-F]{1,6})\}/.exec(rest);
    if (braced !== null) {
      this.#at += braced[0].length;
      return Math.min(Number.parseInt(braced[1]!, 16), 0x10ffff);
    }
    const pair = /^(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})/i.exec(rest);
    if (pair !== null) {
      this.#at += pair[0].length;
      return String.fromCharCode(Number.parseInt(pair[1]!, 16), Number.parseInt(pair[2]!, 16)).codePointAt(0)!;
    }
    return this.#hex(4) ?? 0x75;
  }

  #property(negate: boolean): CharSet {
    const close = this.#chars.indexOf('}', this.#at);
    const name = close < 0 ? '' : this.#chars.slice(this.#at + 1, close).join('');
    this.#at = close + 1;
    const set = unicodeProperty(name);
    return negate ? complement(set) : set;
  }

  #class(): CharSet {
    const negate = this.#eat('^');
    const sets: CharSet[] = [];
    while (this.#peek() !== ']') {
      if (this.#peek() === undefined) throw new PatternError('an unclosed "["');
      const low = this.#classAtom();
      if (this.#peek() === '-' && this.#peek(1) !== ']' && this.#peek(1) !== undefined) {
        this.#at++;
        const high = this.#classAtom();
        if (single(low) === undefined || single(high) === undefined) sets.push(low, one(0x2d), high);
        else if (single(high)! < single(low)!) throw new PatternError('a character range out of order');
        else sets.push([[single(low)!, single(high)!]]);
      } else sets.push(low);
    }
    this.#at++;
    const set = sets.length === 0 ? EMPTY : union(...sets);
    return negate ? (set === EMPTY ? ALL : complement(set)) : set;
  }

  #classAtom(): CharSet {
    const char = this.#chars[this.#at++]!;
    if (char !== '\\') return one(char.codePointAt(0)!);
    if (this.#eat('b')) return one(8);
    return this.#escapedSet();
  }
}

const one = (codePoint: number): CharSet => fromRanges([[codePoint, codePoint]]);
const single = (set: CharSet): number | undefined =>
  set.length === 1 && set[0]![0] === set[0]![1] ? set[0]![0] : undefined;

const properties = new Map<string, CharSet>();

/** A Unicode property's code points, asked of the JavaScript engine once (about 20 ms) and kept. */
function unicodeProperty(name: string): CharSet {
  const known = properties.get(name);
  if (known !== undefined) return known;
  let native: RegExp;
  try {
    if (!/^[A-Za-z_]+(=[A-Za-z_0-9]+)?$/.test(name)) throw new SyntaxError(name);
    native = new RegExp(`^\\p{${name}}$`, 'u');
  } catch {
    throw new PatternError('an unknown Unicode property');
  }
  const ranges: Range2[] = [];
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
    if (codePoint >= 0xd800 && codePoint <= 0xdfff) continue;
    if (!native.test(String.fromCodePoint(codePoint))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === codePoint - 1) last[1] = codePoint;
    else ranges.push([codePoint, codePoint]);
  }
  properties.set(name, ranges);
  return ranges;
}
type Range2 = [number, number];
