/** What a request whose router is gone is billed, from its last heartbeat. Pure. */
import { MalformedText, parseIntent, parseProgress } from '@tollgate/shared/contracts/money';
import { costNusd } from '@tollgate/shared/domain/money';
import type { Intent, Progress, UsageRecord } from '@tollgate/shared/domain/usage';

/** Prompt tokens when no engine told them: bytes / 4 (MONEY.md section 6, last row). */
const BYTES_PER_TOKEN = 4;

/**
 * The estimated record, or null when the request is to be voided: nothing had been delivered, or the hold does not say
 * enough. `nowMs` = Redis clock.
 */
export function estimateRecord(
  hold: { intent: string | null; progress: string | null },
  nowMs: number,
): UsageRecord | null {
  let intent: Intent;
  let progress: Progress;
  try {
    if (!hold.intent || !hold.progress) return null;
    intent = parseIntent(hold.intent);
    progress = parseProgress(hold.progress);
  } catch (error) {
    if (error instanceof MalformedText) return null;
    throw error;
  }
  // "Nothing sent yet: void" (MONEY.md section 6).
  if (progress.completionTokens === 0) return null;
  const guessed = progress.promptTokens === null;
  const promptTokens = progress.promptTokens ?? Math.ceil(intent.promptBytes / BYTES_PER_TOKEN);
  // Cached counts come only in an answer's last chunk: the prompt is billed at the full input price.
  const tokens = { promptTokens, cachedTokens: 0, completionTokens: progress.completionTokens };
  const cost = costNusd(tokens, intent.prices);
  const clipped = cost > intent.heldNusd;
  return {
    ...intent,
    version: 1,
    final: false,
    outcome: 'router_lost',
    // The client's answer ended without one.
    status: 0,
    finishReason: null,
    ...tokens,
    reasoningTokens: 0,
    countSource: guessed || progress.source === 'estimated' ? 'estimated' : 'heartbeat',
    amountNusd: clipped ? intent.heldNusd : cost,
    clipped,
    absorbed: {},
    finishedAtMs: nowMs,
    queueMs: null,
    firstTokenMs: null,
    durationMs: Math.max(nowMs - intent.admittedAtMs, 0),
    endpoint: 'unknown',
    clientRequestId: null,
  };
}
