/**
 * Sends one line through the router like any client: admitted, held and billed by itself, at the batch's price, in the lane
 * that waits behind interactive work. Its Idempotency-Key is the line's own: after any crash the same line joins the
 * request that runs, or gets the bytes of the one that ran.
 */
import type { Batch, PendingLine } from '@tollgate/shared/db/batch-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import { answerRow, errorRow } from './input.ts';

export interface LineParts {
  routerUrl: string;
  /** A credential that acts for the batch's owner now. Throws AppError when its key may not be used any more. */
  actFor: (batch: Batch) => Promise<string>;
  clock: Clock;
  fetch: typeof fetch;
  /** Wait before the next try when the router names none. */
  retryMs: number;
  /** A try that has no answer after this is given up and made again: it finds what became of it. */
  tryMs: number;
}

export type LineEnd =
  | { kind: 'done' | 'failed'; result: string }
  /** The fleet has no room now: wait, then try again. */
  | { kind: 'later'; waitMs: number };

const MAX_WAIT_MS = 30_000;
/** Answers that a worker's trouble may have caused are asked for again so often. */
const MAX_TRIES = 3;

/** One line to its end, or until the batch must be looked at again (`signal`). `onBusy` slows the others down. */
export async function runLine(
  batch: Batch,
  line: PendingLine,
  parts: LineParts,
  signal: AbortSignal,
  onBusy: () => void,
): Promise<(LineEnd & { kind: 'done' | 'failed' }) | null> {
  for (let tries = 1; !signal.aborted; ) {
    const end = await tryLine(batch, line, parts, signal, tries);
    if (end === null) return null;
    if (end.kind !== 'later') return end;
    if (end.waitMs >= 0) onBusy();
    else tries++;
    try {
      await parts.clock.sleep(Math.min(Math.abs(end.waitMs) || parts.retryMs, MAX_WAIT_MS), signal);
    } catch {
      return null;
    }
  }
  return null;
}

async function tryLine(
  batch: Batch,
  { line, customId, body }: PendingLine,
  parts: LineParts,
  signal: AbortSignal,
  tries: number,
): Promise<LineEnd | null> {
  const failed = (code: string, message: string): LineEnd => ({
    kind: 'failed',
    result: errorRow(batch.id, line, customId, code, message),
  });
  let key: string;
  try {
    key = await parts.actFor(batch);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    if (code === 'invalid_api_key' || code === 'key_expired' || code === 'account_frozen') {
      return failed(code, message);
    }
    return { kind: 'later', waitMs: parts.retryMs };
  }
  let response: Response;
  let text: string;
  try {
    response = await parts.fetch(parts.routerUrl + batch.endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${key}`,
        'idempotency-key': `${batch.id}:${line}`,
        'x-tollgate-priority': 'batch',
      },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(parts.tryMs)]),
    });
    text = await response.text();
  } catch {
    // Cut by us, or the router is away: whatever it was doing goes on or is taken over, and the next try finds it.
    return signal.aborted ? null : { kind: 'later', waitMs: parts.retryMs };
  }
  const { status } = response;
  if (!isJson(text)) return { kind: 'later', waitMs: -parts.retryMs };
  const busy = status === 429 || status === 503;
  const wait = Number(response.headers.get('retry-after-ms') ?? 0) || parts.retryMs;
  if (busy && response.headers.get('x-should-retry') !== 'false') return { kind: 'later', waitMs: wait };
  // Nothing was billed for these: they may be tried again.
  if (status >= 500 && tries < MAX_TRIES) return { kind: 'later', waitMs: -wait };
  const result = answerRow(batch.id, line, customId, status, response.headers.get('x-request-id'), text);
  return { kind: status === 200 ? 'done' : 'failed', result };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
