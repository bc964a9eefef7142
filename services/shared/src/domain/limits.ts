/** Limits that one scope (a key, an account, an account's use of a model) may have; `null` means no limit. */
export interface RateLimits {
  requestsPerMinute: number | null;
  tokensPerMinute: number | null;
  /** Live holds at one time. */
  concurrency: number | null;
}

/** Concurrency of work that a service does for an account: no limit, and no place taken of those that the account has. */
export const UNCOUNTED = -2;

export const NO_LIMITS: RateLimits = { requestsPerMinute: null, tokensPerMinute: null, concurrency: null };

/** The scopes an admission is checked against, in the order in which a refusal names them. */
export const LIMIT_SCOPES = ['key', 'account', 'model'] as const;
export type LimitScope = (typeof LIMIT_SCOPES)[number];
export type LimitKind = 'requests' | 'tokens' | 'concurrency';

/** What is left of one limit after an admission, for the `x-ratelimit-*` headers. */
export interface LimitState {
  limit: number;
  remaining: number;
  resetMs: number;
}

/**
 * Tokens charged at admission against tokens-per-minute (MONEY.md 5.3): prompt bytes / 3 plus at most 1,024 of the
 * output limit, never above the bucket; corrected at settlement with what was really used.
 */
export function tokenRateEstimate(promptBytes: number, maxOutputTokens: number, capacity: number): number {
  return Math.min(Math.ceil(promptBytes / 3) + Math.min(maxOutputTokens, 1024), capacity);
}
