/**
 * Requests of known keys that ended without a bill, for the request log that people read: kept in a bounded list, written
 * to Redis once a second beside the hot path. Nothing depends on it: what does not fit, or meets no Redis, is let go.
 */
import type { Refusal } from '@tollgate/shared/domain/refusal';
import type { RefusalLog } from '@tollgate/shared/redis/refusal-log';
import type { Clock, Timer } from '@tollgate/shared/runtime/clock';
import type { RequestContext } from './context.ts';

const EVERY_MS = 1_000;
const MOST = 2_000;

export class RefusalBook {
  readonly #log: Pick<RefusalLog, 'append'>;
  readonly #clock: Clock;
  readonly #routerId: string;
  #lines: string[] = [];
  #timer: Timer | null = null;

  constructor(log: Pick<RefusalLog, 'append'>, clock: Clock, routerId: string) {
    this.#log = log;
    this.#clock = clock;
    this.#routerId = routerId;
  }

  /** Does nothing for what was billed, was served, or belongs to nobody. */
  note(ctx: RequestContext, durationMs: number): void {
    if (ctx.key === null || ctx.amountNusd !== null || ctx.outcome === null || ctx.outcome === 'served') return;
    if (this.#lines.length >= MOST) return;
    const refusal: Refusal = {
      requestId: ctx.requestId,
      atMs: Math.round(this.#clock.nowMs() - durationMs),
      accountId: ctx.key.accountId,
      keyId: ctx.key.keyId,
      projectId: ctx.key.projectId,
      userId: ctx.key.userId,
      // Only names that we sell: a client's typing errors would be so many models in every chart.
      model: ctx.model?.id ?? 'unknown',
      endpoint: ctx.endpoint,
      stream: ctx.request?.stream ?? false,
      outcome: ctx.outcome,
      status: ctx.status || ctx.error?.spec.status || 499,
      code: ctx.error?.code ?? null,
      queueMs: ctx.queueMs,
      durationMs: Math.round(durationMs),
      workerUrl: ctx.workerUrl,
      routerId: this.#routerId,
      clientRequestId: ctx.clientRequestId,
      userAgent: ctx.userAgent,
    };
    this.#lines.push(JSON.stringify(refusal));
    this.#timer ??= this.#clock
      .setTimeout(() => {
        void this.flush();
      }, EVERY_MS)
      .unref();
  }

  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length > 0) await this.#log.append(lines.join('\n')).catch(() => {});
  }
}
