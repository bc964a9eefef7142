import type { AppError } from '@tollgate/shared/domain/errors';
import type { ChatRequest } from './request.ts';

/**
 * A contract profile: how one API speaks. The pipeline knows only this; a further API is a further profile.
 * Today there is one, written in code; the seam is here so that profiles can become data files.
 */
export interface ContractProfile {
  name: string;
  /** Path before `/chat/completions` and `/models`. */
  basePath: string;
  /** JSON value of the body -> request model. Throws AppError with `param` set. */
  parseChat(body: unknown): ChatRequest;
  /** The error object of this contract. */
  renderError(error: AppError): unknown;
}
