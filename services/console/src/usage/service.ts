/** What an account used: its finished requests and their roll-ups. */
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { RollupLine, RollupQuery, UsageLine, UsageQuery } from '@tollgate/shared/contracts/console/usage';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Db } from '@tollgate/shared/db/client';
import { pageRollups } from '@tollgate/shared/db/console-lists';
import { UsageStore } from '@tollgate/shared/db/usage-store';
import type { Outcome } from '@tollgate/shared/domain/outcome';
import { noAccount } from '../accounts/service.ts';
import type { Actor } from '../auth/actor.ts';
import { isoTime, type PageInput, pageRequest } from '../http/values.ts';

export class UsageService {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Finished requests, newest admission first. */
  async list(_actor: Actor, accountId: string, query: UsageQuery): Promise<Page<UsageLine>> {
    if (!(await new AccountStore(this.#db).get(accountId))) throw noAccount();
    const page = await new UsageStore(this.#db).page({
      ...pageRequest(query as PageInput),
      accountId,
      ...(query.keyId === undefined ? {} : { keyId: query.keyId }),
      ...(query.model === undefined ? {} : { model: query.model }),
      ...(query.from === undefined ? {} : { fromMs: query.from }),
      ...(query.to === undefined ? {} : { toMs: query.to }),
    });
    return {
      data: page.data.map((row) => ({
        requestId: row.requestId,
        model: row.model,
        outcome: row.outcome as Outcome,
        promptTokens: row.promptTokens,
        cachedTokens: row.cachedTokens,
        completionTokens: row.completionTokens,
        amountNusd: String(row.amountNusd),
        keyId: row.keyId,
        state: row.final ? 'final' : 'estimated',
        status: row.status,
        finishReason: row.finishReason,
        stream: row.stream,
        admittedAt: isoTime(row.admittedAtMs),
        finishedAt: isoTime(row.finishedAtMs),
        queueMs: row.queueMs,
        firstTokenMs: row.firstTokenMs,
        durationMs: row.durationMs,
      })),
      next: page.next,
    };
  }

  /** Totals per hour or UTC day, key and model, newest first. */
  async rollups(_actor: Actor, accountId: string, query: RollupQuery): Promise<Page<RollupLine>> {
    if (!(await new AccountStore(this.#db).get(accountId))) throw noAccount();
    const page = await pageRollups(this.#db, {
      ...pageRequest(query as PageInput),
      accountId,
      by: query.by ?? 'day',
      ...(query.keyId === undefined ? {} : { keyId: query.keyId }),
      ...(query.model === undefined ? {} : { model: query.model }),
      ...(query.from === undefined ? {} : { fromMs: query.from }),
      ...(query.to === undefined ? {} : { toMs: query.to }),
    });
    return {
      data: page.data.map((row) => ({
        start: isoTime(row.startMs),
        model: row.model,
        keyId: row.keyId,
        requests: Number(row.requests),
        promptTokens: Number(row.promptTokens),
        cachedTokens: Number(row.cachedTokens),
        completionTokens: Number(row.completionTokens),
        amountNusd: String(row.amountNusd),
      })),
      next: page.next,
    };
  }
}
