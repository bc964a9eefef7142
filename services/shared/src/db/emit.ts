/** An event as it is sent: one JSON body, written once, the same for every endpoint and every attempt. */
import type { EventType } from '../contracts/console/webhooks.ts';
import { base62, newId } from '../domain/ids.ts';
import type { Random } from '../runtime/random.ts';
import type { Executor } from './client.ts';
import { WebhookStore } from './webhook-store.ts';

export interface Happening {
  type: EventType | 'test';
  accountId: string | null;
  /** Names the thing that happened: a second notice of it sends nothing. */
  dedupeKey: string;
  /** Holds no secret. */
  data: Record<string, unknown>;
}

/** Writes the event and its deliveries, in the transaction of what it tells of. */
export function emit(
  db: Executor,
  happening: Happening,
  random: Pick<Random, 'bytes'>,
  atMs: number,
  onlyWebhookId: string | null = null,
): Promise<string[]> {
  const id = newId('evt', random.bytes);
  const body = {
    id,
    type: happening.type,
    timestamp: new Date(atMs).toISOString(),
    accountId: happening.accountId,
    data: happening.data,
  };
  return new WebhookStore(db).emit(
    {
      id,
      type: happening.type,
      accountId: happening.accountId,
      body: JSON.stringify(body),
      dedupeKey: happening.dedupeKey,
      atMs,
      deliveryIdBase: base62(19, random.bytes),
    },
    onlyWebhookId,
  );
}
