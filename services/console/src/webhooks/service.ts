/** Webhook endpoints of organisations and of the platform. Sending is metering's work; here they are set up and watched. */
import type { Page } from '@tollgate/shared/contracts/console/common';
import {
  ACCOUNT_EVENTS,
  type CreatedWebhookView,
  type CreateWebhook,
  type DeliveryView,
  type PatchWebhook,
  type RotateWebhookSecret,
  type WebhookView,
} from '@tollgate/shared/contracts/console/webhooks';
import type { Db } from '@tollgate/shared/db/client';
import { emit } from '@tollgate/shared/db/emit';
import { type Delivery, type Webhook, WebhookStore } from '@tollgate/shared/db/webhook-store';
import { AppError } from '@tollgate/shared/domain/errors';
import { newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import { targetProblem } from '@tollgate/shared/runtime/outbound';
import type { Random } from '@tollgate/shared/runtime/random';
import type { Sealer } from '@tollgate/shared/runtime/seal';
import { isoTime, isoTimeOrNull, type PageInput, pageRequest } from '../http/values.ts';

const OVERLAP_DEFAULT_MS = 86_400_000;
/** Endpoints per organisation. */
const MOST = 20;

export interface WebhookParts {
  db: Db;
  clock: Clock;
  random: Random;
  sealer: Sealer;
  /** Whether targets inside private networks are allowed. */
  allowPrivateTargets: boolean;
}

/** `accountId: null` = the platform's own endpoints. */
export class WebhookService {
  readonly #parts: WebhookParts;

  constructor(parts: WebhookParts) {
    this.#parts = parts;
  }

  async page(accountId: string | null, query: PageInput): Promise<Page<WebhookView>> {
    const page = await new WebhookStore(this.#parts.db).page(accountId, pageRequest(query));
    return { data: page.data.map((hook) => this.#view(hook)), next: page.next };
  }

  async create(accountId: string | null, input: CreateWebhook): Promise<CreatedWebhookView> {
    const { db, random, sealer, clock } = this.#parts;
    this.#check(accountId, input);
    const store = new WebhookStore(db);
    if ((await store.count(accountId)) >= MOST)
      throw new AppError('conflict', { message: `At most ${MOST} webhooks.` });
    const id = newId('hook', random.bytes);
    const secret = newSecret(random);
    await store.create({
      id,
      accountId,
      url: input.url,
      events: [...new Set(input.events)],
      description: input.description ?? null,
      secret: sealer.close(secret, `webhook ${id}`),
      atMs: clock.nowMs(),
    });
    return { ...(await this.#get(accountId, id)), secret };
  }

  async patch(accountId: string | null, id: string, input: PatchWebhook): Promise<WebhookView> {
    await this.#get(accountId, id);
    this.#check(accountId, input);
    await new WebhookStore(this.#parts.db).update(id, input);
    return this.#get(accountId, id);
  }

  async remove(accountId: string | null, id: string): Promise<void> {
    await this.#get(accountId, id);
    await new WebhookStore(this.#parts.db).remove(id, this.#parts.clock.nowMs());
  }

  /** Both secrets sign until the overlap ends. */
  async rotate(accountId: string | null, id: string, input: RotateWebhookSecret): Promise<CreatedWebhookView> {
    const { db, random, sealer, clock } = this.#parts;
    await this.#get(accountId, id);
    const secret = newSecret(random);
    const untilMs = clock.nowMs() + (input.overlapMs ?? OVERLAP_DEFAULT_MS);
    await new WebhookStore(db).rotate(id, sealer.close(secret, `webhook ${id}`), untilMs);
    return { ...(await this.#get(accountId, id)), secret };
  }

  /** Sends a test event to this endpoint alone. */
  async test(accountId: string | null, id: string): Promise<DeliveryView> {
    const { db, random, clock } = this.#parts;
    const hook = await this.#get(accountId, id);
    if (!hook.enabled) throw new AppError('conflict', { message: 'The webhook is off.' });
    const happening = { type: 'test', accountId, dedupeKey: `test:${random.uuid()}`, data: { webhookId: id } } as const;
    const [deliveryId] = await emit(db, happening, random, clock.nowMs(), id);
    return deliveryView((await new WebhookStore(db).delivery(id, deliveryId!))!);
  }

  async deliveries(accountId: string | null, id: string, query: PageInput): Promise<Page<DeliveryView>> {
    await this.#get(accountId, id);
    const page = await new WebhookStore(this.#parts.db).deliveries(id, pageRequest(query));
    return { data: page.data.map(deliveryView), next: page.next };
  }

  async redeliver(accountId: string | null, id: string, deliveryId: string): Promise<DeliveryView> {
    await this.#get(accountId, id);
    const store = new WebhookStore(this.#parts.db);
    if (!(await store.redeliver(id, deliveryId, this.#parts.clock.nowMs()))) {
      throw new AppError('not_found', { message: 'There is no such delivery.' });
    }
    return deliveryView((await store.delivery(id, deliveryId))!);
  }

  async #get(accountId: string | null, id: string): Promise<WebhookView> {
    const hook = await new WebhookStore(this.#parts.db).get(accountId, id);
    if (!hook) throw new AppError('not_found', { message: 'There is no such webhook.' });
    return this.#view(hook);
  }

  #check(accountId: string | null, input: PatchWebhook): void {
    const known: readonly string[] = [...ACCOUNT_EVENTS, 'test'];
    if (accountId !== null && input.events?.some((event) => !known.includes(event))) {
      throw new AppError('invalid_request', { message: 'events: worker.down is for operators', param: 'events' });
    }
    const problem = input.url === undefined ? null : targetProblem(input.url, this.#parts.allowPrivateTargets);
    if (problem) throw new AppError('invalid_request', { message: `url: ${problem}`, param: 'url' });
  }

  #view(hook: Webhook): WebhookView {
    const { previousUntilMs } = hook;
    return {
      webhookId: hook.id,
      url: hook.url,
      events: hook.events,
      description: hook.description,
      enabled: hook.enabled,
      createdAt: isoTime(hook.createdAtMs),
      previousSecretUntil:
        previousUntilMs !== null && previousUntilMs > this.#parts.clock.nowMs() ? isoTime(previousUntilMs) : null,
      lastDelivery: hook.lastDelivery && {
        at: isoTime(hook.lastDelivery.atMs),
        ok: hook.lastDelivery.ok,
        status: hook.lastDelivery.status,
      },
    };
  }
}

/** 24 random bytes in base64, with the prefix of the Standard Webhooks specification. */
const newSecret = (random: Pick<Random, 'bytes'>) => `whsec_${Buffer.from(random.bytes(24)).toString('base64')}`;

function deliveryView(delivery: Delivery): DeliveryView {
  return {
    deliveryId: delivery.id,
    event: delivery.eventType,
    eventId: delivery.eventId,
    state: delivery.state,
    attempts: delivery.attempts,
    status: delivery.status,
    error: delivery.error,
    createdAt: isoTime(delivery.createdAtMs),
    lastAttemptAt: isoTimeOrNull(delivery.lastAttemptAtMs),
    nextAttemptAt: delivery.state === 'pending' ? isoTimeOrNull(delivery.nextAttemptAtMs) : null,
    durationMs: delivery.durationMs,
  };
}
