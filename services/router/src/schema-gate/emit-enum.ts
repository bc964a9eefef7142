/** Lists of fixed values for the engine. */
import type { EngineDialect } from './dialect.ts';
import type { EngineSchema, Note } from './enforceable.ts';

/** Undefined when nothing is left of the list. */
export function emitEnum(
  values: readonly unknown[],
  pointer: string,
  dialect: EngineDialect,
  note: Note,
): EngineSchema | undefined {
  if (values.length === 0) return undefined;
  if (dialect.xgrammar === '0.1' && !startApart(values)) {
    note({ pointer, keyword: 'enum', how: 'loose', reason: 'XGrammar 0.1 mixes values that begin alike' });
  }
  return { enum: [...values] };
}

/**
 * XGrammar 0.1.27 joins the values of a list into one automaton and lets a beginning run on into another value's end
 * (`twittertweet`, `quorafollow`: `quoratweet`). Values that differ in their first character were never mixed (879 random lists).
 */
function startApart(values: readonly unknown[]): boolean {
  const starts = new Set(values.map((value) => JSON.stringify(value).slice(0, typeof value === 'string' ? 2 : 1)));
  return starts.size === values.length;
}
