/**
 * `x-tollgate-route-explain: 1`: why this worker. The answer's header of the same name holds the score of each candidate. It
 * names workers, so it takes a key with the scope `route-explain`; having all scopes is not enough.
 */
import type { KeyRecord } from '@tollgate/shared/domain/key';
import type { HeaderOf } from './contract/profile.ts';
import type { CostTerms } from './routing/policy.ts';

export const EXPLAIN_HEADER = 'x-tollgate-route-explain';
export const EXPLAIN_SCOPE = 'route-explain';
/** Proxies refuse long headers: the best candidates are told, the rest counted. */
const MAX_CANDIDATES = 16;

export interface CandidateScore {
  worker: string;
  /** Predicted cost, milliseconds; null where the policy compares something else. */
  costMs: number | null;
  /** What it is made of: (queueMs + prefillMs) x factor. */
  terms: CostTerms | null;
  running: number;
  pendingPrefillMs: number;
  /** Tokens of the prompt that the worker is believed to hold. */
  hitTokens: number;
  /** Multiplier of slow or failing workers, 1 = healthy. */
  health: number;
}

export function mayExplain(key: KeyRecord, header: HeaderOf): boolean {
  return header(EXPLAIN_HEADER) === '1' && key.scopes.includes(EXPLAIN_SCOPE);
}

/** The header's value; cheapest first. */
export function explanation(policy: string, chosen: string, scores: readonly CandidateScore[]): string {
  const sorted = [...scores].sort((a, b) => (a.costMs ?? 0) - (b.costMs ?? 0));
  const candidates = sorted.slice(0, MAX_CANDIDATES).map((score) => ({
    ...score,
    costMs: score.costMs === null ? null : round(score.costMs),
    terms: score.terms && {
      queueMs: round(score.terms.queueMs),
      prefillMs: round(score.terms.prefillMs),
      factor: round(score.terms.factor),
    },
    pendingPrefillMs: round(score.pendingPrefillMs),
    health: round(score.health),
  }));
  return JSON.stringify({ policy, chosen, of: scores.length, candidates });
}

const round = (value: number): number => Math.round(value * 100) / 100;
