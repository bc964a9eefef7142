/** Decodes under a grammar, away from the event loop. */
import type { Constraint } from './constraint.ts';

export interface DecodeRequest {
  constraint: Constraint;
  /** Seed of the values. */
  seed: number;
  /** Bytes after which the decoder closes whatever it can. */
  softLimit: number;
}

export interface GrammarClient {
  /** Text that obeys the constraint. Rejects with ConstraintError when it cannot be compiled. */
  decode(request: DecodeRequest): Promise<string>;
  /** Compiles only. */
  check(constraint: Constraint): Promise<void>;
  close(): Promise<void>;
}
