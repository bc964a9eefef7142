/** `x-tollgate-route-explain` of an answer: why this worker. Read with care: a header of another version must not break a page. */

export interface Candidate {
  worker: string;
  costMs: number | null;
  /** Of the cost; null where the routing policy compares something else. */
  terms: { queueMs: number; prefillMs: number; factor: number } | null;
  running: number;
  hitTokens: number;
  health: number;
}

export interface Explanation {
  policy: string;
  chosen: string;
  /** How many workers were compared; the header tells the best of them. */
  of: number;
  /** Cheapest first. */
  candidates: Candidate[];
}

const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const numberOrNull = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

/** Null when there is none, or when it is not understood. */
export function readExplanation(header: string | null): Explanation | null {
  if (header === null) return null;
  try {
    const { policy, chosen, of, candidates } = JSON.parse(header) as Record<string, unknown>;
    if (typeof policy !== 'string' || typeof chosen !== 'string' || !Array.isArray(candidates)) return null;
    return {
      policy,
      chosen,
      of: number(of),
      candidates: (candidates as Record<string, unknown>[]).map(
        ({ worker, costMs, terms, running, hitTokens, health }) => {
          const parts = terms as Record<string, unknown> | null | undefined;
          return {
            worker: String(worker),
            costMs: numberOrNull(costMs),
            terms: parts
              ? {
                  queueMs: number(parts.queueMs),
                  prefillMs: number(parts.prefillMs),
                  factor: number(parts.factor),
                }
              : null,
            running: number(running),
            hitTokens: number(hitTokens),
            health: number(health),
          };
        },
      ),
    };
  } catch {
    return null;
  }
}

/** `0.312 s`, in one piece: all terms in one unit, so that they can be compared by eye. */
export const seconds = (ms: number | null) => (ms === null ? '–' : `${(ms / 1000).toFixed(3)}\u00a0s`);
