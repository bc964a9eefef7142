/** Ends a request's hold exactly once: billed through the spool, or given back. */
import { encodeUsageRecord } from '@tollgate/shared/contracts/money';
import { costNusd } from '@tollgate/shared/domain/money';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import type { VoidInput } from '@tollgate/shared/redis/money-scripts';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Admission, RequestContext } from '../context.ts';
import type { Spool } from '../spool/spool.ts';
import { type Bill, billOf, type Ending, wantsTokenizer } from './bill.ts';
import type { Voids } from './voids.ts';

export interface SettlementMetrics {
  clipped(): void;
  estimated(): void;
}

export interface SettlementParts {
  spool: Pick<Spool, 'settle'>;
  voids: Pick<Voids, 'give'>;
  clock: Clock;
  logger: Logger;
  metrics: SettlementMetrics;
  /** Prompt tokens by the worker's own tokenizer; null when it does not answer in time. */
  countPrompt: (ctx: RequestContext) => Promise<number | null>;
}

export class Settlement {
  private readonly parts: SettlementParts;

  constructor(parts: SettlementParts) {
    this.parts = parts;
  }

  /**
   * Bills or voids. Idempotent; resolves when the bill is safe (spool file or Redis), rejects when neither took it.
   * `ctx.outcome` must be set. Called before the last bytes of an answer leave, and again for everybody in the
   * pipeline's `finally`.
   */
  settle(ctx: RequestContext): Promise<void> {
    if (ctx.admission === null) return Promise.resolve();
    ctx.settlement ??= this.run(ctx, ctx.admission);
    return ctx.settlement;
  }

  private async run(ctx: RequestContext, admission: Admission): Promise<void> {
    const ending = endingOf(ctx);
    if (wantsTokenizer(ending)) ending.tokenizedPrompt = await this.parts.countPrompt(ctx);
    const bill = billOf(ending);
    const ref = holdRef(ctx, admission);
    if (bill.kind === 'void') {
      this.parts.voids.give({ ...ref, tokens: bill.tokensKept });
      return;
    }
    const record = this.record(ctx, admission, bill);
    ctx.amountNusd = record.amountNusd;
    await this.parts.spool.settle({
      ...ref,
      leaseId: record.leaseId,
      amountNusd: record.amountNusd,
      tokens: record.promptTokens + record.completionTokens,
      record: encodeUsageRecord(record),
    });
  }

  private record(ctx: RequestContext, { intent }: Admission, bill: Bill & { kind: 'bill' }): UsageRecord {
    const nowMs = this.parts.clock.monotonicMs();
    const cost = costNusd(bill, intent.prices);
    const clipped = cost > intent.heldNusd;
    if (clipped) {
      this.parts.metrics.clipped();
      this.parts.logger.error({ requestId: ctx.requestId, cost: String(cost) }, 'a bill above its hold was clipped');
    }
    if (bill.source === 'estimated') this.parts.metrics.estimated();
    ctx.countSource = bill.source;
    ctx.counts = { ...ctx.counts, promptTokens: bill.promptTokens, completionTokens: bill.completionTokens };
    return {
      ...intent,
      version: 1,
      final: true,
      workerUrl: ctx.workerUrl,
      outcome: ctx.outcome!,
      status: ctx.status,
      finishReason: ctx.finishReason,
      promptTokens: bill.promptTokens,
      cachedTokens: bill.cachedTokens,
      completionTokens: bill.completionTokens,
      reasoningTokens: bill.reasoningTokens,
      countSource: bill.source,
      amountNusd: clipped ? intent.heldNusd : cost,
      clipped,
      absorbed: bill.absorbed,
      finishedAtMs: this.parts.clock.nowMs(),
      queueMs: ctx.queueMs,
      firstTokenMs: ctx.firstTokenMs === null ? null : ctx.firstTokenMs - ctx.startedMs,
      durationMs: nowMs - ctx.startedMs,
      endpoint: ctx.endpoint,
      clientRequestId: ctx.clientRequestId,
      ...(ctx.requestDigest === null ? {} : { requestDigest: ctx.requestDigest }),
      ...(ctx.engine === null ? {} : { engine: ctx.engine }),
      ...(ctx.request?.labels?.chatId ? { chatId: ctx.request.labels.chatId } : {}),
      ...(ctx.request?.labels?.user ? { endUser: ctx.request.labels.user } : {}),
      ...(ctx.userAgent === null ? {} : { userAgent: ctx.userAgent }),
    };
  }
}

function holdRef(ctx: RequestContext, { intent }: Admission): Omit<VoidInput, 'tokens'> {
  return { accountId: intent.accountId, keyId: intent.keyId, model: intent.model, requestId: ctx.requestId };
}

function endingOf(ctx: RequestContext): Ending {
  return {
    outcome: ctx.outcome ?? 'failed_internal',
    stream: ctx.request?.stream ?? false,
    dispatched: ctx.dispatched,
    answerStarted: ctx.answerStarted,
    counts: ctx.counts,
    promptBytes: ctx.promptBytes,
    guessedTokens: ctx.guessedTokens,
    tokenizedPrompt: null,
    abandonedTokens: ctx.abandonedTokens,
    resumeTokens: ctx.resumeTokens,
    invalidTokens: ctx.invalidTokens,
  };
}
