/**
 * What a key may know of itself: totals, its requests, a receipt for each, spend by day. The router authenticates the key
 * and says which it is; nothing here can be asked for another one.
 */

import type { Identity } from '@tollgate/shared/contracts/internal';
import type { Db } from '@tollgate/shared/db/client';
import { pageRollups } from '@tollgate/shared/db/console-lists';
import { transactionId } from '@tollgate/shared/db/ledger-store';
import { ModelStore } from '@tollgate/shared/db/model-store';
import { OwnUsageStore } from '@tollgate/shared/db/own-usage-store';
import type { Page } from '@tollgate/shared/db/page';
import { ReceiptStore } from '@tollgate/shared/db/receipt-store';
import { type UsageRow, UsageStore } from '@tollgate/shared/db/usage-store';
import { AppError } from '@tollgate/shared/domain/errors';
import { nusdToUsd } from '@tollgate/shared/domain/money';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { BodyService } from '../bodies/service.ts';
import { isoTime, type PageInput, pageRequest } from '../http/values.ts';

const DAY_MS = 86_400_000;
/** Days of history, today included. */
const HISTORY_DAYS = 31;

export interface OwnUsageQuery extends PageInput {
  by?: 'hour' | 'day' | undefined;
  model?: string | undefined;
  from?: number | undefined;
  to?: number | undefined;
}

export interface OwnRequestsQuery extends OwnUsageQuery {
  /** What the client called the conversation, and its own user. */
  chat_id?: string | undefined;
  user?: string | undefined;
  user_id?: string | undefined;
  project_id?: string | undefined;
}

export class OwnUsage {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #bodies: Pick<BodyService, 'readOwn'> | null;

  /** `bodies`: what is kept of requests; null = nothing is. */
  constructor(db: Db, clock: Clock, bodies: Pick<BodyService, 'readOwn'> | null = null) {
    this.#db = db;
    this.#clock = clock;
    this.#bodies = bodies;
  }

  /** Totals by hour or UTC day and model, newest first. */
  async totals({ accountId, keyId }: Identity, query: OwnUsageQuery) {
    const by = query.by ?? 'day';
    const page = await pageRollups(this.#db, { ...pageRequest(query), ...rangeOf(query), accountId, keyId, by });
    return listed(page, (row) => ({
      object: 'usage',
      start: isoTime(row.startMs),
      by,
      model: row.model,
      requests: Number(row.requests),
      prompt_tokens: Number(row.promptTokens),
      cached_tokens: Number(row.cachedTokens),
      completion_tokens: Number(row.completionTokens),
      amount_nusd: String(row.amountNusd),
    }));
  }

  /** Finished requests, newest admission first. */
  async requests(who: Identity, query: OwnRequestsQuery) {
    const { accountId, keyId } = who;
    const filter = { ...pageRequest(query), ...rangeOf(query), ...labelsOf(who, query), accountId, keyId };
    return listed(await new UsageStore(this.#db).page(filter), shortView);
  }

  /**
   * Tokens, unit prices, ledger entries and times of one request; with `body` also what is kept of it. Throws 404 for
   * one that is not this key's, or not of the user and project that the caller speaks for.
   */
  async receipt(who: Identity, requestId: string, more: { body: boolean; callId: string | null }) {
    const { accountId } = who;
    const row = await new UsageStore(this.#db).get(requestId);
    if (row === null || !isTheirs(row, who)) {
      throw new AppError('not_found', { message: 'There is no such request, or it has not been posted yet.' });
    }
    const body = more.body ? { body: (await this.#bodies?.readOwn(who, requestId, more.callId)) ?? null } : {};
    const prices = await new ModelStore(this.#db).prices(row.model);
    const price = prices.find(({ id }) => id === row.priceId) ?? null;
    const entries = await new OwnUsageStore(this.#db).entriesOf(accountId, requestId);
    const signed = await new ReceiptStore(this.#db).latest(requestId);
    return {
      ...shortView(row),
      ...body,
      client_request_id: row.clientRequestId,
      final: row.final,
      reasoning_tokens: row.reasoningTokens,
      count_source: row.countSource,
      amount_usd: nusdToUsd(row.amountNusd),
      clipped_to_hold: row.clipped,
      price:
        price === null
          ? { id: row.priceId }
          : {
              id: row.priceId,
              unit: 'nano_usd_per_million_tokens',
              input: String(price.prices.inputNusd),
              cached_input: String(price.prices.cachedInputNusd),
              output: String(price.prices.outputNusd),
            },
      // Signed a moment after the posting; null until then.
      receipt: signed === null ? null : { jws: signed.jws, seq: String(signed.seq), hash: signed.hash },
      timing: { queue_ms: row.queueMs, first_token_ms: row.firstTokenMs, duration_ms: row.durationMs },
      entries: entries.map((entry) => ({
        transaction_id: transactionId(entry.transactionId),
        kind: entry.kind,
        created_at: isoTime(entry.createdAtMs),
        bucket: entry.bucket,
        amount_nusd: String(entry.amountNusd),
      })),
    };
  }

  /** Spend of the key: today, the last 7 days, this UTC month, and each day of the last 31. As posted in the ledger. */
  async history({ keyId }: Identity) {
    const nowMs = this.#clock.nowMs();
    const month = `${isoTime(nowMs).slice(0, 7)}-`;
    const today = isoTime(nowMs).slice(0, 10);
    const weekFrom = isoTime(nowMs - 6 * DAY_MS).slice(0, 10);
    const days = await new OwnUsageStore(this.#db).spendByDay(keyId, nowMs - (HISTORY_DAYS - 1) * DAY_MS);
    const sum = (matches: (day: string) => boolean): string =>
      String(days.reduce((total, { day, amountNusd }) => (matches(day) ? total + amountNusd : total), 0n));
    return {
      object: 'key.history',
      key_id: keyId,
      spend_nusd: {
        day: sum((day) => day === today),
        week: sum((day) => day >= weekFrom && day <= today),
        month: sum((day) => day.startsWith(month)),
      },
      days: days.map(({ day, amountNusd }) => ({ day, amount_nusd: String(amountNusd) })),
    };
  }
}

function isTheirs(row: UsageRow, { accountId, keyId, userId, projectId }: Identity): boolean {
  return (
    row.accountId === accountId &&
    row.keyId === keyId &&
    (userId === null || row.userId === userId) &&
    (projectId === null || row.projectId === projectId)
  );
}

function listed<T>(page: Page<T>, view: (row: T) => object) {
  return { object: 'list', data: page.data.map(view), next: page.next };
}

/** Who speaks for a user and a project sees theirs alone. */
function labelsOf({ userId, projectId }: Identity, query: OwnRequestsQuery) {
  if (userId !== null && query.user_id !== undefined && query.user_id !== userId) throw notYours('user_id');
  if (projectId !== null && query.project_id !== undefined && query.project_id !== projectId)
    throw notYours('project_id');
  const of = { user: userId ?? query.user_id, project: projectId ?? query.project_id };
  return {
    ...(of.user === undefined ? {} : { userId: of.user }),
    ...(of.project === undefined ? {} : { projectId: of.project }),
    ...(query.chat_id === undefined ? {} : { chatId: query.chat_id }),
    ...(query.user === undefined ? {} : { endUser: query.user }),
  };
}

const notYours = (param: string) =>
  new AppError('endpoint_not_allowed', { param, message: 'This key speaks for another user or project.' });

function rangeOf({ model, from, to }: OwnUsageQuery) {
  return {
    ...(model === undefined ? {} : { model }),
    ...(from === undefined ? {} : { fromMs: from }),
    ...(to === undefined ? {} : { toMs: to }),
  };
}

function shortView(row: UsageRow) {
  return {
    object: 'request',
    id: row.requestId,
    endpoint: row.endpoint,
    model: row.model,
    stream: row.stream,
    outcome: row.outcome,
    status: row.status,
    finish_reason: row.finishReason,
    prompt_tokens: row.promptTokens,
    cached_tokens: row.cachedTokens,
    completion_tokens: row.completionTokens,
    amount_nusd: String(row.amountNusd),
    admitted_at: isoTime(row.admittedAtMs),
    finished_at: isoTime(row.finishedAtMs),
    first_token_ms: row.firstTokenMs,
    duration_ms: row.durationMs,
    project_id: row.projectId,
    user_id: row.userId,
    chat_id: row.chatId,
    user_agent: row.userAgent,
    user: row.endUser,
  };
}
