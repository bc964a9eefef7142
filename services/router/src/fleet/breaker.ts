/**
 * Circuit breaker of one worker as a value and a step function.
 *
 * It trips after `tripAfter` failures in a row: a worker that fails everything must not get every k-th request. It
 * recovers through one request at a time (`probing`) after a pause that doubles with each relapse, so that a worker
 * that comes back gets traffic and one that does not costs one request per pause.
 */
export type Breaker =
  | { state: 'closed'; failures: number }
  | { state: 'open'; untilMs: number; pauseMs: number }
  | { state: 'probing'; pauseMs: number };

export type BreakerEvent = 'succeeded' | 'failed' | 'sent' | 'abandoned';

export interface BreakerPolicy {
  tripAfter: number;
  firstPauseMs: number;
  maxPauseMs: number;
}

export const DEFAULT_BREAKER: BreakerPolicy = { tripAfter: 3, firstPauseMs: 2_000, maxPauseMs: 60_000 };

export const CLOSED: Breaker = { state: 'closed', failures: 0 };

export function step(breaker: Breaker, event: BreakerEvent, nowMs: number, policy: BreakerPolicy): Breaker {
  switch (event) {
    case 'succeeded':
      return breaker.state === 'closed' && breaker.failures === 0 ? breaker : CLOSED;
    case 'sent':
      // The pause is over and somebody was sent there: the others wait for what becomes of it.
      return breaker.state === 'open' && nowMs >= breaker.untilMs
        ? { state: 'probing', pauseMs: breaker.pauseMs }
        : breaker;
    case 'abandoned':
      // The probing request ended without telling anything (its client left): the next one probes.
      return breaker.state === 'probing' ? { state: 'open', untilMs: nowMs, pauseMs: breaker.pauseMs } : breaker;
    case 'failed':
      return fail(breaker, nowMs, policy);
  }
}

function fail(breaker: Breaker, nowMs: number, policy: BreakerPolicy): Breaker {
  if (breaker.state === 'open') return breaker;
  if (breaker.state === 'probing') {
    const pauseMs = Math.min(breaker.pauseMs * 2, policy.maxPauseMs);
    return { state: 'open', untilMs: nowMs + pauseMs, pauseMs };
  }
  const failures = breaker.failures + 1;
  if (failures < policy.tripAfter) return { state: 'closed', failures };
  return { state: 'open', untilMs: nowMs + policy.firstPauseMs, pauseMs: policy.firstPauseMs };
}

/** True when the worker must not be chosen now. */
export function isOpen(breaker: Breaker, nowMs: number): boolean {
  return breaker.state === 'probing' || (breaker.state === 'open' && nowMs < breaker.untilMs);
}
