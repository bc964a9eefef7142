/** What a structured answer must obey, in XGrammar's terms. */
export type Constraint =
  | { kind: 'json'; schema: string }
  | { kind: 'json_object' }
  | { kind: 'regex'; pattern: string }
  | { kind: 'choice'; choices: readonly string[] }
  | { kind: 'grammar'; ebnf: string }
  /** A structural tag as XGrammar takes it; `begin` is the fixed text before its JSON part, if it is one plain tag. */
  | { kind: 'structural_tag'; tag: string; begin: string | undefined };

/** Why a constraint was refused, in XGrammar's words as far as they are usable. */
export class ConstraintError extends Error {
  override readonly name = 'ConstraintError';
  readonly kind: Constraint['kind'];

  constructor(kind: Constraint['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
