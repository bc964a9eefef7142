/** Strings for the engine: length, pattern and format become one pattern, since it takes only one of them. */
import type { EngineDialect } from './dialect.ts';
import { emitEnum } from './emit-enum.ts';
import type { EngineSchema, Note } from './enforceable.ts';
import type { Flat } from './flat.ts';
import { FORMATS } from './formats.ts';
import { anyTextPattern, emitPattern, literalStrings } from './regex-emit.ts';
import { parseRegex, type RegexNode } from './regex-parse.ts';
import { allows } from './values.ts';

/**
 * XGrammar 0.2.8 compiles a counted repetition in time that grows with its square (255: 0.05 s, 1,000: 0.6 s, 5,000: 30 s; its own
 * `maxLength` is quick, but writes raw control characters and no quotes). Longer bounds are left to the check after.
 */
const MAX_COUNTED = 256;

/** Characters that may still be counted in this schema's grammar. */
export interface CountBudget {
  left: number;
}
export const MAX_COUNTED_IN_ALL = 2_560;

export function emitString(
  flat: Flat,
  dialect: EngineDialect,
  note: Note,
  budget: CountBudget,
): EngineSchema | undefined {
  if (flat.minLength > flat.maxLength) return undefined;
  const known = flat.formats.filter(({ name }) => FORMATS.has(name));
  const choice = chosen(flat, known);
  for (const { pointer } of flat.patterns.slice(1)) {
    note({ pointer, keyword: 'pattern', how: 'dropped', reason: 'a second pattern for the same string' });
  }
  for (const { pointer } of known.slice(choice?.keyword === 'format' ? 1 : 0)) {
    note({ pointer, keyword: 'format', how: 'dropped', reason: 'beside a pattern or another format' });
  }
  if (choice === undefined) return emitPlain(flat, note, budget);
  const listed = choice.keyword === 'pattern' ? literalStrings(choice.parsed) : undefined;
  if (listed !== undefined) {
    const kept = [...new Set(listed)].filter((text) => allows(flat, text) === 'yes');
    return emitEnum(kept, choice.pointer, dialect, note);
  }
  const made = emitPattern(choice.parsed, {
    minLength: flat.minLength,
    maxLength: flat.maxLength,
    asciiClassesOnly: dialect.xgrammar === '0.1',
  });
  const { pointer, keyword } = choice;
  if (made.pattern === undefined) {
    note({ pointer, keyword, how: 'dropped', reason: 'this pattern cannot be told to the engine' });
    return emitPlain(flat, note, budget);
  }
  if (!made.exact) {
    const how = made.lookahead ? 'dropped' : 'loose';
    note({
      pointer,
      keyword,
      how,
      reason: made.lookahead ? 'lookaheads are not enforced' : 'a class with letters above ASCII',
    });
  }
  if (!made.lengthExact && flat.lengthAt !== undefined) {
    note({ ...flat.lengthAt, how: 'dropped', reason: `a length beside a ${keyword}` });
  }
  return { type: 'string', pattern: made.pattern };
}

function chosen(
  flat: Flat,
  known: Flat['formats'],
): { parsed: RegexNode; pointer: string; keyword: 'pattern' | 'format' } | undefined {
  const pattern = flat.patterns[0];
  if (pattern !== undefined)
    return { parsed: parseRegex(pattern.source), pointer: pattern.pointer, keyword: 'pattern' };
  const format = known[0];
  if (format === undefined) return undefined;
  return { parsed: FORMATS.get(format.name)!, pointer: format.pointer, keyword: 'format' };
}

function emitPlain(flat: Flat, note: Note, budget: CountBudget): EngineSchema {
  if (flat.minLength === 0 && flat.maxLength === Number.POSITIVE_INFINITY) return { type: 'string' };
  if (flat.maxLength === 0) return { enum: [''] };
  const open = flat.maxLength === Number.POSITIVE_INFINITY;
  const count = open ? flat.minLength : flat.maxLength;
  if (count <= MAX_COUNTED && count <= budget.left) {
    budget.left -= count;
    return { type: 'string', pattern: anyTextPattern(flat.minLength, flat.maxLength) };
  }
  if (flat.lengthAt !== undefined) note({ ...flat.lengthAt, how: 'loose', reason: 'too long to count in a grammar' });
  return flat.minLength === 0
    ? { type: 'string' }
    : { type: 'string', pattern: anyTextPattern(1, Number.POSITIVE_INFINITY) };
}
