/**
 * One attempt of one delivery: signed as the Standard Webhooks specification says, sent to nowhere inside, logged, and
 * due again later when it failed. Whoever dies meanwhile leaves it due again after the lease.
 */
import { createHmac } from 'node:crypto';
import type { Db } from '@tollgate/shared/db/client';
import { type DueDelivery, WebhookStore } from '@tollgate/shared/db/webhook-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { type OutboundRequest, postOutside, TargetRefused } from '@tollgate/shared/runtime/outbound';
import type { Sealer } from '@tollgate/shared/runtime/seal';

/** Waits after the 1st, 2nd, ... failure; after the last one it is given up: a day and a half in all. */
const WAITS_MS = [5_000, 30_000, 120_000, 600_000, 3_600_000, 21_600_000, 86_400_000];
const DEADLINE_MS = 10_000;
const LEASE_MS = 60_000;

export interface DeliverParts {
  db: Db;
  clock: Clock;
  logger: Logger;
  sealer: Sealer;
  allowInside: boolean;
  post?: (request: OutboundRequest) => Promise<{ status: number }>;
}

export class Deliverer {
  readonly #parts: DeliverParts;

  constructor(parts: DeliverParts) {
    this.#parts = parts;
  }

  /** Does nothing when the delivery is not due (any more): jobs may come twice. */
  async attempt(deliveryId: string): Promise<void> {
    const { db, clock } = this.#parts;
    const store = new WebhookStore(db);
    const due = await store.take(deliveryId, clock.nowMs(), LEASE_MS);
    if (!due) return;
    const startedMs = clock.monotonicMs();
    const result =
      due.webhook.removed || !due.webhook.enabled ? { error: 'disabled', final: true } : await this.#send(due);
    const ok = 'status' in result && result.status >= 200 && result.status < 300;
    const waitMs = 'final' in result ? undefined : WAITS_MS[due.attempts - 1];
    const nowMs = clock.nowMs();
    await store.finish(deliveryId, {
      state: ok ? 'delivered' : waitMs === undefined ? 'failed' : 'pending',
      status: 'status' in result ? result.status : null,
      error: ok ? null : 'error' in result ? result.error : `answered ${result.status}`,
      atMs: nowMs,
      nextAttemptAtMs: ok || waitMs === undefined ? null : nowMs + waitMs,
      durationMs: Math.round(clock.monotonicMs() - startedMs),
    });
  }

  async #send(due: DueDelivery): Promise<{ status: number } | { error: string } | { error: string; final: true }> {
    const { clock, allowInside, logger, post = postOutside } = this.#parts;
    const timestamp = String(Math.floor(clock.nowMs() / 1000));
    try {
      return await post({
        url: due.webhook.url,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'Tollgate-Webhooks/1',
          'webhook-id': due.eventId,
          'webhook-timestamp': timestamp,
          'webhook-signature': this.#secrets(due)
            .map((secret) => signature(secret, due.eventId, timestamp, due.body))
            .join(' '),
        },
        body: due.body,
        deadlineMs: DEADLINE_MS,
        allowInside,
      });
    } catch (error) {
      if (error instanceof TargetRefused) return { error: `target ${error.message}`, final: true };
      const { code, name } = error as { code?: string; name?: string };
      logger.info({ deliveryId: due.id, code: code ?? name }, 'a webhook was not delivered');
      return { error: String(code ?? name ?? 'failed').slice(0, 60) };
    }
  }

  /** The present secret, and the one before while its overlap lasts. */
  #secrets({ webhook }: DueDelivery): string[] {
    const open = (sealed: string) => this.#parts.sealer.open(sealed, `webhook ${webhook.id}`);
    const { previousSecret, previousUntilMs } = webhook;
    const overlaps = previousSecret !== null && previousUntilMs !== null && previousUntilMs > this.#parts.clock.nowMs();
    return [open(webhook.secret), ...(overlaps ? [open(previousSecret)] : [])];
  }
}

/** `v1,<base64 HMAC-SHA-256 of id.timestamp.body>`; the secret's text after `whsec_` is base64 of the key. */
export function signature(secret: string, id: string, timestamp: string, body: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}
