/**
 * Writes a parsed pattern for XGrammar. The engine's own reading differs from JSON Schema's in ways that were measured
 * (`docs/structured-output.md`): it takes every pattern as anchored at both ends, ignores `^` and `$` in the middle, and puts the
 * characters of a match between the quotes as they are, so that `.` or `[^,]` can write a quote or a control character and break
 * the document. So anchors are resolved here, and quotes, backslashes and control characters are written as their short escapes
 * (other control characters are left out).
 */
import {
  ALL,
  type CharSet,
  complement,
  has,
  intersect,
  JSON_PLAIN,
  JSON_WRITABLE,
  MAX_CODE_POINT,
  SHORT_ESCAPES,
  SPACE,
  union,
} from './charset.ts';
import { leadingLooks } from './regex-linear.ts';
import { PatternError, type RegexNode } from './regex-parse.ts';

export interface EmitResult {
  /** The pattern for the engine, with `^` and `$`; undefined when nothing of it can be said. */
  pattern: string | undefined;
  /** Every string that the engine makes of it matches the user's pattern. */
  exact: boolean;
  /** The pattern has lookaheads, which were left out. */
  lookahead: boolean;
  /** minLength and maxLength are taken care of as well. */
  lengthExact: boolean;
}

export interface EmitOptions {
  minLength: number;
  maxLength: number;
  /** Engines of XGrammar 0.1 misread characters above ASCII in a class: the class is widened there. */
  asciiClassesOnly: boolean;
}

const MAX_EMITTED = 8_000;
/** XGrammar 0.2.8's compile time grows with the square of a repetition's count. */
const MAX_WRITTEN = 600;
const NON_ASCII: CharSet = [[0x80, MAX_CODE_POINT]];
const ANYTHING: RegexNode = {
  t: 'rep',
  node: { t: 'set', set: ALL },
  min: 0,
  max: Number.POSITIVE_INFINITY,
};

export function emitPattern(parsed: RegexNode, options: EmitOptions): EmitResult {
  const nothing: EmitResult = { pattern: undefined, exact: false, lookahead: false, lengthExact: false };
  try {
    const { looks, rest } = leadingLooks(parsed);
    const whole = simplify(withSuffix(withPrefix(rest)));
    if (whole === undefined) return nothing;
    const [low, high] = lengths(whole);
    if (written(whole) > MAX_WRITTEN) return nothing;
    const folded = fitLength(whole, options);
    const fitted = folded !== undefined && written(folded) <= MAX_WRITTEN ? folded : undefined;
    const lengthExact = fitted !== undefined || (low >= options.minLength && high <= options.maxLength);
    const state = { exact: looks.length === 0, asciiOnly: options.asciiClassesOnly };
    const lookahead = looks.length > 0;
    const pattern = `^${write(fitted ?? whole, state, false)}$`;
    if (pattern.length > MAX_EMITTED) return nothing;
    return { pattern, exact: state.exact, lookahead, lengthExact };
  } catch (error) {
    if (error instanceof PatternError) return nothing;
    throw error;
  }
}

const MAX_LITERALS = 1_000;

/**
 * The strings of a pattern that is nothing but a list of fixed strings (`^(red|green)$`), cut to what matches; else undefined.
 * An enum says the same, and XGrammar 0.1.27 mixes the branches of long alternations up.
 */
export function literalStrings(parsed: RegexNode): string[] | undefined {
  try {
    const { looks, rest } = leadingLooks(parsed);
    const whole = looks.length > 0 ? undefined : simplify(withSuffix(withPrefix(rest)));
    return whole === undefined ? undefined : literals(whole);
  } catch (error) {
    if (error instanceof PatternError) return undefined;
    throw error;
  }
}

function literals(node: RegexNode): string[] | undefined {
  if (node.t === 'set') {
    const [first] = node.set;
    return node.set.length === 1 && first![0] === first![1] ? [String.fromCodePoint(first![0])] : undefined;
  }
  if (node.t === 'alt') {
    const all = node.options.map(literals);
    return all.includes(undefined) ? undefined : (all as string[][]).flat();
  }
  if (node.t !== 'cat') return undefined;
  let made = [''];
  for (const part of node.parts) {
    const next = literals(part);
    if (next === undefined || made.length * next.length > MAX_LITERALS) return undefined;
    made = made.flatMap((head) => next.map((tail) => head + tail));
  }
  return made;
}

/** Any string of this many code points, as a pattern. */
export function anyTextPattern(minLength: number, maxLength: number): string {
  return `^${writeSet(JSON_WRITABLE)}${quantifier(minLength, maxLength, true)}$`;
}

const isOrHas = (node: RegexNode, what: 'start' | 'end'): boolean =>
  node.t === what ||
  (node.t === 'cat' && node.parts.some((part) => isOrHas(part, what))) ||
  (node.t === 'alt' && node.options.some((option) => isOrHas(option, what))) ||
  ((node.t === 'rep' || node.t === 'ahead') && isOrHas(node.node, what));

function withPrefix(node: RegexNode): RegexNode {
  if (node.t === 'alt') return { t: 'alt', options: node.options.map(withPrefix) };
  const parts = node.t === 'cat' ? node.parts : [node];
  const [first, ...rest] = parts;
  if (first === undefined) return ANYTHING;
  if (first.t === 'start') return { t: 'cat', parts: rest };
  if ((first.t === 'alt' || first.t === 'cat') && isOrHas(first, 'start')) {
    return { t: 'cat', parts: [withPrefix(first), ...rest] };
  }
  return { t: 'cat', parts: [ANYTHING, ...parts] };
}

function withSuffix(node: RegexNode): RegexNode {
  if (node.t === 'alt') return { t: 'alt', options: node.options.map(withSuffix) };
  const parts = node.t === 'cat' ? node.parts : [node];
  const last = parts.at(-1);
  if (last === undefined) return ANYTHING;
  if (last === ANYTHING) return node;
  if (last.t === 'end') return { t: 'cat', parts: parts.slice(0, -1) };
  if ((last.t === 'alt' || last.t === 'cat') && isOrHas(last, 'end')) {
    return { t: 'cat', parts: [...parts.slice(0, -1), withSuffix(last)] };
  }
  return { t: 'cat', parts: [...parts, ANYTHING] };
}

/**
 * Flattens, cuts classes down to what JSON shows as it is, and drops what cannot be written then. Undefined: nothing is left.
 * Anchors and word boundaries that are still inside cannot be told to the engine.
 */
function simplify(node: RegexNode): RegexNode | undefined {
  switch (node.t) {
    case 'set': {
      const set = intersect(node.set, JSON_WRITABLE);
      return set.length === 0 ? undefined : { t: 'set', set };
    }
    case 'cat': {
      const parts: RegexNode[] = [];
      for (const part of node.parts) {
        const simple = simplify(part);
        if (simple === undefined) return undefined;
        if (simple.t === 'cat') parts.push(...simple.parts);
        else parts.push(simple);
      }
      return parts.length === 1 ? parts[0] : { t: 'cat', parts };
    }
    case 'alt': {
      const options = node.options.map(simplify).filter((option) => option !== undefined);
      return options.length < 2 ? options[0] : { t: 'alt', options };
    }
    case 'rep': {
      const inner = simplify(node.node);
      if (inner === undefined) return node.min === 0 ? { t: 'cat', parts: [] } : undefined;
      if (node.max === 0 || (inner.t === 'cat' && inner.parts.length === 0)) return { t: 'cat', parts: [] };
      return { ...node, node: inner };
    }
    default:
      throw new PatternError('an assertion inside');
  }
}

/** Single characters once repetitions are written out, which is what an engine does with them. */
function written(node: RegexNode): number {
  switch (node.t) {
    case 'set':
      return 1;
    case 'cat':
      return node.parts.reduce((sum, part) => sum + written(part), 0);
    case 'alt':
      return node.options.reduce((sum, option) => sum + written(option), 0);
    case 'rep':
      return written(node.node) * (node.max === Number.POSITIVE_INFINITY ? Math.max(1, node.min) : node.max);
    default:
      return 0;
  }
}

/** Fewest and most code points of a match. */
function lengths(node: RegexNode): [number, number] {
  switch (node.t) {
    case 'set':
      return [1, 1];
    case 'cat':
      return node.parts.map(lengths).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
    case 'alt': {
      const all = node.options.map(lengths);
      return [Math.min(...all.map(([low]) => low)), Math.max(...all.map(([, high]) => high))];
    }
    case 'rep': {
      const [low, high] = lengths(node.node);
      return [low * node.min, high === 0 ? 0 : high * node.max];
    }
    default:
      return [0, 0];
  }
}

/** Folds the length bounds into the pattern where exactly one repetition of single characters has a varying count. */
function fitLength(node: RegexNode, { minLength, maxLength }: EmitOptions): RegexNode | undefined {
  if (minLength === 0 && maxLength === Number.POSITIVE_INFINITY) return node;
  const parts = node.t === 'cat' ? node.parts : [node];
  let fixed = 0;
  let varying = -1;
  for (const [index, part] of parts.entries()) {
    const [low, high] = lengths(part);
    if (low === high) fixed += low;
    else if (varying >= 0 || part.t !== 'rep' || part.node.t !== 'set') return undefined;
    else varying = index;
  }
  if (varying < 0) return undefined;
  const part = parts[varying] as Extract<RegexNode, { t: 'rep' }>;
  const min = Math.max(part.min, minLength - fixed);
  const max = Math.min(part.max, maxLength - fixed);
  if (min > max) return undefined;
  return { t: 'cat', parts: parts.map((each, index) => (index === varying ? { ...part, min, max } : each)) };
}

interface WriteState {
  exact: boolean;
  asciiOnly: boolean;
}

function write(node: RegexNode, state: WriteState, atomic: boolean): string {
  switch (node.t) {
    case 'set':
      return writeChecked(node.set, state);
    case 'cat': {
      const text = node.parts.map((part) => write(part, state, part.t === 'alt')).join('');
      return atomic ? `(?:${text})` : text;
    }
    case 'alt': {
      const text = node.options.map((option) => write(option, state, false)).join('|');
      return `(?:${text})`;
    }
    case 'rep':
      // A repetition inside a repetition gets its own group.
      return wrap(write(node.node, state, true), node.node) + quantifier(node.min, node.max, node.node.t === 'set');
    default:
      throw new PatternError('an assertion inside');
  }
}

const wrap = (text: string, node: RegexNode): string => (node.t === 'rep' ? `(?:${text})` : text);

/** XGrammar 0.2.8 reads `(ab*)?c` as if `bbc` matched; `{0,1}` it reads rightly. `?` is left for single characters. */
function quantifier(min: number, max: number, ofCharacter: boolean): string {
  if (min === 0 && max === 1 && ofCharacter) return '?';
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  return min === max ? (min === 1 ? '' : `{${min}}`) : `{${min},${max}}`;
}

function writeChecked(set: CharSet, state: WriteState): string {
  const above = intersect(set, NON_ASCII);
  const plainAbove = intersect(JSON_PLAIN, NON_ASCII);
  const size = (ranges: CharSet) => ranges.reduce((sum, [low, high]) => sum + high - low + 1, 0);
  if (above.length === 0 || size(above) === size(plainAbove)) return writeSet(set);
  const ascii = intersect(set, [[0, 0x7f]]);
  // `\s` and its like: the plain space stands for all of Unicode's spaces; every string made is still a match.
  if (ascii.length > 0 && size(complement(union(complement(above), SPACE))) === 0) return writeSet(ascii);
  if (!state.asciiOnly || size(set) === 1) return writeSet(set);
  state.exact = false;
  return writeSet(union(set, plainAbove));
}

/** One class in the spelling that both XGrammar lines read alike; what must be escaped in JSON stands as its escape. */
function writeSet(set: CharSet): string {
  const escapes = [...SHORT_ESCAPES].filter(([code]) => has(set, code)).map(([, letter]) => letter);
  const plain = intersect(set, JSON_PLAIN);
  if (escapes.length === 0) return writePlain(plain);
  const escaped = `\\\\${escapes.length === 1 ? literal(escapes[0]!.charCodeAt(0)) : `[${escapes.map((e) => inClass(e.charCodeAt(0))).join('')}]`}`;
  return plain.length === 0 ? `(?:${escaped})` : `(?:${writePlain(plain)}|${escaped})`;
}

function writePlain(set: CharSet): string {
  if (set.length === 1 && set[0]![0] === set[0]![1]) return literal(set[0]![0]);
  const missing = complement(set);
  // A class with all that lies above ASCII is spelled by what it leaves out.
  if (missing.every(([low, high]) => high < 0x80 || (low === 0xd800 && high === 0xdfff))) {
    return `[^${missing
      .filter(([low]) => low < 0x80)
      .map(range)
      .join('')}]`;
  }
  return `[${set.map(range).join('')}]`;
}

const range = ([low, high]: readonly [number, number]): string =>
  low === high ? inClass(low) : high === low + 1 ? inClass(low) + inClass(high) : `${inClass(low)}-${inClass(high)}`;

function inClass(codePoint: number): string {
  if (codePoint < 0x20 || codePoint === 0x7f) return `\\x${codePoint.toString(16).toUpperCase().padStart(2, '0')}`;
  const char = String.fromCodePoint(codePoint);
  if (codePoint > 0x7f) return `\\u{${codePoint.toString(16).toUpperCase()}}`;
  return /[\\\][^-]/.test(char) ? `\\${char}` : char;
}

function literal(codePoint: number): string {
  const char = String.fromCodePoint(codePoint);
  return /[\\^$.*+?()[\]{}|/-]/.test(char) ? `\\${char}` : char;
}
