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
  /** Text that obeys the constraint; `complete` is false when a hard limit cut it. Rejects with ConstraintError. */
  decode(request: DecodeRequest): Promise<{ text: string; complete: boolean }>;
  /** Compiles only. Rejects with ConstraintError. */
  check(constraint: Constraint): Promise<void>;
  close(): Promise<void>;
}

/** vLLM's refusal of a schema by its own list, before any grammar is built. */
export const UNSUPPORTED_FEATURES = 'The provided JSON schema contains features not supported by xgrammar.';
