/**
 * One schema per keyword of JSON Schema (and per way in which engines were seen to treat it), with what the gate must say of it for
 * the pinned engine (XGrammar 0.2): `enforced` by the engine alone, `after` (sent without it, checked after), or refused by name.
 * Under dottxt what is `dropped` is refused instead.
 */
export interface SchemaCase {
  keyword: string;
  schema: Record<string, unknown>;
  openai: 'enforced' | 'after' | { refused: string; keyword: string };
  /** As under openai when absent. */
  dottxt?: { refused: string; keyword: string };
  /** The devworker's XGrammar 0.1 has a gap here that the pinned engine does not have. */
  loose01?: true;
}

/** Refused, with this pointer and this keyword. */
export const at = (refused: string, keyword: string) => ({ refused, keyword });

/** An object with the one property `a`, required, and no others. */
export const inObject = (a: unknown, more: Record<string, unknown> = {}) => ({
  type: 'object',
  properties: { a },
  required: ['a'],
  additionalProperties: false,
  ...more,
});
