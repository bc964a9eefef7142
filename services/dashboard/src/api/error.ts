/** A refusal of the console or of the router, as a value that screens can show. */

/** Part of an error body of the wire; any of it may be missing when something else answered. */
export interface ApiErrorBody {
  message?: string | undefined;
  code?: string | undefined;
  param?: string | null | undefined;
  metadata?: Record<string, unknown> | undefined;
}

/** What the API refused with, or that it could not be reached (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  readonly requestId: string | null;
  readonly metadata: Record<string, unknown>;

  constructor(status: number, body: ApiErrorBody, requestId: string | null) {
    super(body.message ?? 'The console did not answer as expected.');
    this.name = 'ApiError';
    this.status = status;
    this.code = body.code ?? 'unknown';
    this.param = body.param ?? null;
    this.requestId = requestId;
    this.metadata = body.metadata ?? {};
  }
}
