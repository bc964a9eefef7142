/** Sets of Unicode code points as sorted, disjoint, inclusive ranges. */
export type Range = readonly [number, number];
export type CharSet = readonly Range[];

export const MAX_CODE_POINT = 0x10ffff;
export const EMPTY: CharSet = [];
export const ALL: CharSet = [[0, MAX_CODE_POINT]];

export function fromRanges(ranges: readonly Range[]): CharSet {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [low, high] of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else merged.push([low, high]);
  }
  return merged;
}

export const union = (...sets: CharSet[]): CharSet => fromRanges(sets.flat());

export function complement(set: CharSet): CharSet {
  const gaps: Range[] = [];
  let next = 0;
  for (const [low, high] of set) {
    if (low > next) gaps.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= MAX_CODE_POINT) gaps.push([next, MAX_CODE_POINT]);
  return gaps;
}

export const intersect = (a: CharSet, b: CharSet): CharSet => complement(union(complement(a), complement(b)));

export const has = (set: CharSet, codePoint: number): boolean => {
  let low = 0;
  let high = set.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = set[middle]!;
    if (codePoint < range[0]) high = middle - 1;
    else if (codePoint > range[1]) low = middle + 1;
    else return true;
  }
  return false;
};

const chars = (text: string): CharSet =>
  fromRanges([...text].map((char) => [char.codePointAt(0)!, char.codePointAt(0)!] as const));

export const DIGIT: CharSet = [[0x30, 0x39]];
export const WORD: CharSet = fromRanges([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
/** ECMAScript's `\s`: WhiteSpace and LineTerminator. */
export const SPACE: CharSet = fromRanges([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);
/** ECMAScript's `.` without the `s` flag. */
export const DOT: CharSet = complement(chars('\n\r\u2028\u2029'));
/** What may stand in a JSON string as it is: no control character, quote or backslash, and no half of a surrogate pair. */
export const JSON_PLAIN: CharSet = complement(
  fromRanges([
    [0, 0x1f],
    [0x22, 0x22],
    [0x5c, 0x5c],
    [0xd800, 0xdfff],
  ]),
);
/** What JSON writes with one short escape, by code point, except the slash, which needs none. */
export const SHORT_ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x22, '"'],
  [0x5c, '\\'],
  [0x08, 'b'],
  [0x0c, 'f'],
  [0x0a, 'n'],
  [0x0d, 'r'],
  [0x09, 't'],
]);
/** Every character that a pattern sent to an engine can write. */
export const JSON_WRITABLE: CharSet = union(
  JSON_PLAIN,
  fromRanges([...SHORT_ESCAPES.keys()].map((code) => [code, code] as const)),
);
