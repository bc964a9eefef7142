/**
 * Samples strings from a regular expression: readable, short, and only a guess, since the grammar has the last word.
 * Knows literals, escapes, classes, groups, alternatives and quantifiers; answers undefined for the rest.
 */
import { type Draw, pick } from '../model/seeded.ts';

type Node =
  | { kind: 'chars'; chars: string }
  | { kind: 'sequence'; items: Node[] }
  | { kind: 'choice'; options: Node[] }
  | { kind: 'repeat'; item: Node; min: number; max: number };

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
/** What `.` and negated classes are sampled from: nothing that a JSON string would have to escape. */
const SAFE = PRINTABLE.replace(/["\\]/g, '');
const CLASSES: Record<string, string> = {
  d: DIGITS,
  w: `${LOWER}${LOWER.toUpperCase()}${DIGITS}_`,
  s: ' ',
  D: LOWER,
  W: '-',
  S: LOWER,
};
const CONTROLS: Record<string, string> = { t: '\t', n: '\n', r: '\r', f: '\f', v: '\v', '0': '\0' };
/** How often something without an upper bound is repeated at most. */
const MORE = 6;

class Unknown extends Error {}

function parse(source: string): Node {
  let at = 0;

  function parseChoice(): Node {
    const options = [parseSequence()];
    while (source[at] === '|') {
      at++;
      options.push(parseSequence());
    }
    return options.length === 1 ? options[0]! : { kind: 'choice', options };
  }

  function parseSequence(): Node {
    const items: Node[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') {
      const item = parseAtom();
      if (item) items.push(parseQuantifier(item));
    }
    return { kind: 'sequence', items };
  }

  function parseAtom(): Node | undefined {
    const char = source[at++]!;
    if (char === '^' || char === '$') return undefined;
    if (char === '.') return { kind: 'chars', chars: `${LOWER}${LOWER}${DIGITS}` };
    if (char === '[') return parseClass();
    if (char === '\\') return parseEscape();
    if (char !== '(') return { kind: 'chars', chars: char };
    if (source[at] === '?') {
      const named = /^\?<[A-Za-z]\w*>/.exec(source.slice(at));
      if (named) at += named[0].length;
      else if (source.startsWith('?:', at)) at += 2;
      else throw new Unknown();
    }
    const inner = parseChoice();
    if (source[at] !== ')') throw new Unknown();
    at++;
    return inner;
  }

  function escapedChars(): string {
    const char = source[at++];
    if (char === undefined) throw new Unknown();
    if (char in CLASSES) return CLASSES[char]!;
    if (char in CONTROLS) return CONTROLS[char]!;
    if (char === 'x' || char === 'u') {
      const match = (char === 'x' ? /^[0-9a-fA-F]{2}/ : /^[0-9a-fA-F]{4}/).exec(source.slice(at));
      if (!match) throw new Unknown();
      at += match[0].length;
      return String.fromCharCode(Number.parseInt(match[0], 16));
    }
    if (/[A-Za-z1-9]/.test(char)) throw new Unknown();
    return char;
  }

  function parseEscape(): Node | undefined {
    if (source[at] === 'b' || source[at] === 'B') {
      at++;
      return undefined;
    }
    return { kind: 'chars', chars: escapedChars() };
  }

  function parseClass(): Node {
    const negated = source[at] === '^';
    if (negated) at++;
    let chars = '';
    for (let first = true; ; first = false) {
      const char = source[at];
      if (char === undefined) throw new Unknown();
      if (char === ']' && !first) break;
      at++;
      const low = char === '\\' ? escapedChars() : char;
      if (low.length === 1 && source[at] === '-' && source[at + 1] !== ']' && source[at + 1] !== undefined) {
        at++;
        const high = source[at++] === '\\' ? escapedChars() : source[at - 1]!;
        const from = low.charCodeAt(0);
        const to = Math.min(high.charCodeAt(0), from + 200);
        for (let code = from; code <= to; code++) chars += String.fromCharCode(code);
      } else chars += low;
    }
    at++;
    if (negated) chars = [...SAFE].filter((char) => !chars.includes(char)).join('');
    const readable = [...chars].filter((char) => SAFE.includes(char)).join('');
    if (chars === '') throw new Unknown();
    return { kind: 'chars', chars: readable === '' ? chars : readable };
  }

  function parseQuantifier(item: Node): Node {
    const match = /^(?:[*+?]|\{(\d+)(,)?(\d*)\})[?+]?/.exec(source.slice(at));
    if (!match) return item;
    at += match[0].length;
    const sign = match[0][0];
    if (sign === '*') return { kind: 'repeat', item, min: 0, max: MORE };
    if (sign === '+') return { kind: 'repeat', item, min: 1, max: MORE };
    if (sign === '?') return { kind: 'repeat', item, min: 0, max: 1 };
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === '' ? min + MORE : Number(match[3]);
    return { kind: 'repeat', item, min, max };
  }

  const node = parseChoice();
  if (at < source.length) throw new Unknown();
  return node;
}

/** Letters first: words read better than marks. */
function pickChar(draw: Draw, chars: string): string {
  const letters = [...chars].filter((char) => LOWER.includes(char));
  if (letters.length > 0 && draw() < 0.8) return pick(draw, letters);
  return pick(draw, [...chars]);
}

function sample(node: Node, draw: Draw): string {
  if (node.kind === 'chars') return pickChar(draw, node.chars);
  if (node.kind === 'sequence') return node.items.map((item) => sample(item, draw)).join('');
  if (node.kind === 'choice') return sample(pick(draw, node.options), draw);
  const span = Math.min(node.max - node.min, MORE);
  const times = Math.min(node.min + Math.floor(draw() * (span + 1)), 400);
  return Array.from({ length: times }, () => sample(node.item, draw)).join('');
}

/** A string that the pattern should match, or undefined when the pattern is beyond this. */
export function sampleRegex(pattern: string, draw: Draw): string | undefined {
  try {
    return sample(parse(pattern), draw);
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}
