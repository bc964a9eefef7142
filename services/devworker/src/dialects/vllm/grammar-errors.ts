/** vLLM's words for a refused constraint, with xgrammar pinned as the backend. */
import { UNSUPPORTED_FEATURES } from '../../grammar/client.ts';
import type { Constraint, ConstraintError } from '../../grammar/constraint.ts';
import { type ApiError, lateBadRequest } from './errors.ts';

/** The input processor's 400 for a constraint that the grammar engine would not compile. */
export function explainRefusal(error: ConstraintError, constraint: Constraint): ApiError {
  if (constraint.kind === 'grammar') return lateBadRequest('Invalid grammar specification.');
  if (constraint.kind === 'structural_tag') return lateBadRequest('Invalid structural tag specification.');
  if (constraint.kind === 'regex') return lateBadRequest(`Failed to transform regex into a grammar: ${error.message}`);
  if (error.message === UNSUPPORTED_FEATURES) return lateBadRequest(UNSUPPORTED_FEATURES);
  return lateBadRequest(`Failed to transform json schema into a grammar: ${error.message}`);
}
