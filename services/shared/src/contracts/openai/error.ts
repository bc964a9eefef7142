import type { AppError } from '../../domain/errors.ts';

/** OpenAI's error object: all four keys are always there; `metadata` is ours. */
export interface OpenAiError {
  error: {
    message: string;
    type: string;
    param: string | null;
    code: string | null;
    metadata?: Record<string, unknown>;
  };
}

/**
 * An AppError as OpenAI's error object. `docsBase` is the base URL of the error pages without a trailing slash;
 * each code has its page there (`metadata.doc_url`).
 */
export function openAiError(error: AppError, docsBase: string): OpenAiError {
  return {
    error: {
      message: error.message,
      type: error.spec.type,
      param: error.param,
      code: error.code,
      metadata: { ...error.metadata, doc_url: `${docsBase}/${error.code}` },
    },
  };
}
