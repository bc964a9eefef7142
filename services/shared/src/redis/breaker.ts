/** A circuit breaker as a value and a step function: no clock and no client inside. */

export interface BreakerConfig {
  /** Consecutive failures that open it. */
  failures: number;
  /** How long it stays open before one probe is let through; doubles with each failed probe up to the most. */
  openMs: number;
  mostOpenMs: number;
}

export const BREAKER_DEFAULTS: BreakerConfig = { failures: 5, openMs: 250, mostOpenMs: 2_000 };

export type BreakerState =
  | { kind: 'closed'; failures: number }
  | { kind: 'open'; untilMs: number; openMs: number }
  | { kind: 'probing'; openMs: number };

export const BREAKER_CLOSED: BreakerState = { kind: 'closed', failures: 0 };

/** `ask` = may a call go out now?, `ok` and `failed` = how one ended. `nowMs` is monotonic. */
export type BreakerEvent = 'ask' | 'ok' | 'failed';

export interface BreakerStep {
  state: BreakerState;
  /** Answer to `ask`; true for the other events. */
  allowed: boolean;
}

/** One step. While probing, only the probe is out: other calls are refused until it ends. */
export function breakerStep(
  state: BreakerState,
  event: BreakerEvent,
  nowMs: number,
  config: BreakerConfig = BREAKER_DEFAULTS,
): BreakerStep {
  if (event === 'ask') {
    if (state.kind === 'closed') return { state, allowed: true };
    if (state.kind === 'open' && nowMs >= state.untilMs) {
      return { state: { kind: 'probing', openMs: state.openMs }, allowed: true };
    }
    return { state, allowed: false };
  }
  if (event === 'ok') {
    // An answer to a call that went out before it opened proves nothing about now, but neither does it harm.
    return { state: BREAKER_CLOSED, allowed: true };
  }
  if (state.kind === 'probing') {
    const openMs = Math.min(state.openMs * 2, config.mostOpenMs);
    return { state: { kind: 'open', untilMs: nowMs + openMs, openMs }, allowed: true };
  }
  if (state.kind === 'open') return { state, allowed: true };
  const failures = state.failures + 1;
  if (failures < config.failures) return { state: { kind: 'closed', failures }, allowed: true };
  return { state: { kind: 'open', untilMs: nowMs + config.openMs, openMs: config.openMs }, allowed: true };
}
