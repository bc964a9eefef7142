/**
 * Copies of requests and answers on their way to metering, sealed here. Best effort, and bounded: no request, no bill and
 * no answer waits for it. What finds no room in memory, or no metering for a minute, is let go and counted.
 */
import type { ServerResponse } from 'node:http';
import { KEPT_BODIES_MOST, type KeptBody } from '@tollgate/shared/contracts/kept-body';
import { type BodyBox, bodyPlace } from '@tollgate/shared/runtime/body-box';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { RequestContext } from '../context.ts';
import { tapAnswer } from '../relay/client-side.ts';
import { BodyCopy, type CopyRoom } from './copy.ts';

export interface CourierOptions {
  /** Of a request, and of an answer. */
  maxBodyBytes: number;
  /** Of all copies together, from their first byte until metering has them. */
  maxBufferBytes: number;
  flushMs: number;
  /** Between two tries while metering does not answer. */
  retryMs: number;
  giveUpAfterMs: number;
  /** Sealed bytes of one call. */
  callBytes: number;
}

export const COURIER_DEFAULTS = {
  flushMs: 200,
  retryMs: 1_000,
  giveUpAfterMs: 60_000,
  callBytes: 4 * 1024 * 1024,
} as const;

export type DropReason = 'no_room' | 'undelivered' | 'failed';

export interface BodyMetrics {
  bodiesSent(count: number): void;
  bodyDropped(reason: DropReason): void;
}

/** `taken` = metering has decided over all of them; `refused` = it will never take this call; `later` = try again. */
export type SendBodies = (bodies: readonly KeptBody[]) => Promise<'taken' | 'refused' | 'later'>;

export interface CourierParts {
  box: Pick<BodyBox, 'close'>;
  send: SendBodies;
  clock: Clock;
  metrics: BodyMetrics;
  options: CourierOptions;
}

interface Parcel {
  body: KeptBody;
  copy: BodyCopy;
  untilMs: number;
}

export class BodyCourier implements CopyRoom {
  readonly #parts: CourierParts;
  #used = 0;
  #queue: Parcel[] = [];
  readonly #closing = new Set<Promise<void>>();
  #timer: Timer | null = null;
  #sending: Promise<void> | null = null;

  constructor(parts: CourierParts) {
    this.#parts = parts;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#parts.options.maxBufferBytes) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }

  /** Bytes that all copies hold now. */
  get buffered(): number {
    return this.#used;
  }

  /** Copies what was received, and from here on what the client is given. */
  begin(ctx: RequestContext, request: Buffer, response: ServerResponse): void {
    const copy = new BodyCopy(request, this.#parts.options.maxBodyBytes, this);
    tapAnswer(response, copy);
    ctx.bodyCopy = copy;
  }

  /** The request has ended. What was never admitted, or was answered from an earlier one's bytes, is not kept. */
  end(ctx: RequestContext): void {
    const { bodyCopy: copy, admission } = ctx;
    if (copy === null) return;
    if (admission === null || ctx.outcome === 'replayed') {
      copy.release();
      return;
    }
    const { accountId, keyId, admittedAtMs } = admission.intent;
    const whose = { accountId, keyId, requestId: ctx.requestId, admittedAtMs };
    const work = this.#close(whose, copy, ctx.takenOver?.text).finally(() => this.#closing.delete(work));
    this.#closing.add(work);
  }

  async #close(
    whose: Pick<KeptBody, 'accountId' | 'keyId' | 'requestId' | 'admittedAtMs'>,
    copy: BodyCopy,
    before: string | undefined,
  ): Promise<void> {
    const { box, metrics, clock, options } = this.#parts;
    const { pair, ...sizes } = copy.copied(before);
    // Not even the request found room: a row that says nothing helps nobody.
    if (pair.request === '') {
      copy.release();
      metrics.bodyDropped('no_room');
      return;
    }
    try {
      const sealed = await box.close(pair, bodyPlace(whose.accountId, whose.requestId));
      const body = { ...whose, ...sizes, sealed: sealed.toString('base64') };
      this.#queue.push({ body, copy, untilMs: clock.monotonicMs() + options.giveUpAfterMs });
      this.#soon(options.flushMs);
    } catch {
      copy.release();
      metrics.bodyDropped('failed');
    }
  }

  /** Sends what there is; for the stop. Resolves when all is sent, or after one failed try. */
  async flush(): Promise<void> {
    await Promise.all(this.#closing);
    this.#timer?.cancel();
    this.#timer = null;
    await this.#sending;
    while (this.#queue.length > 0 && (await this.#sendOne()));
    for (const { copy } of this.#queue) this.#drop(copy, 'undelivered');
    this.#queue = [];
  }

  #soon(afterMs: number): void {
    if (this.#sending !== null) return;
    this.#timer ??= this.#parts.clock
      .setTimeout(() => {
        this.#timer = null;
        this.#sending = this.#sendAll().finally(() => {
          this.#sending = null;
          if (this.#queue.length > 0) this.#soon(this.#parts.options.retryMs);
        });
      }, afterMs)
      .unref();
  }

  async #sendAll(): Promise<void> {
    while (this.#queue.length > 0 && (await this.#sendOne()));
  }

  /** False: metering does not take anything now. */
  async #sendOne(): Promise<boolean> {
    const { send, clock, metrics } = this.#parts;
    const nowMs = clock.monotonicMs();
    while (this.#queue.length > 0 && this.#queue[0]!.untilMs <= nowMs) {
      this.#drop(this.#queue.shift()!.copy, 'undelivered');
    }
    const parcels = this.#call();
    if (parcels.length === 0) return false;
    const answer = await send(parcels.map(({ body }) => body)).catch(() => 'later' as const);
    if (answer === 'later') return false;
    // Nothing else takes from the front while a call is under way.
    this.#queue = this.#queue.slice(parcels.length);
    if (answer === 'refused') {
      for (const { copy } of parcels) this.#drop(copy, 'failed');
      return true;
    }
    for (const { copy } of parcels) copy.release();
    metrics.bodiesSent(parcels.length);
    return true;
  }

  /** The first of the queue that fit into one call; at least one. */
  #call(): Parcel[] {
    let bytes = 0;
    const parcels: Parcel[] = [];
    for (const parcel of this.#queue) {
      bytes += parcel.body.sealed.length;
      if (parcels.length > 0 && (bytes > this.#parts.options.callBytes || parcels.length >= KEPT_BODIES_MOST)) break;
      parcels.push(parcel);
    }
    return parcels;
  }

  #drop(copy: BodyCopy, reason: DropReason): void {
    copy.release();
    this.#parts.metrics.bodyDropped(reason);
  }
}
