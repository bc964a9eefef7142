/** Live gauges: read from the very counters that enforce, charging nothing. */
import type { LiveLimitsView } from '@tollgate/shared/contracts/console/insights';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Db } from '@tollgate/shared/db/client';
import { listKeys } from '@tollgate/shared/db/console-lists';
import type { ApiKey } from '@tollgate/shared/db/key-store';
import type { AccountId, KeyId } from '@tollgate/shared/domain/ids';
import type { KeyRecord } from '@tollgate/shared/domain/key';
import { NO_LIMITS, type RateLimits } from '@tollgate/shared/domain/limits';
import type { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { LimitsPeek } from '@tollgate/shared/redis/money-types';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import { noAccount } from '../accounts/service.ts';
import { isoTime } from '../http/values.ts';

const KEYS_SHOWN = 50;

export interface LimitReaderParts {
  db: Db;
  money: MoneyScripts;
  clock: Clock;
  logger: Logger;
}

type Scope = 'key' | 'account' | 'model';

export class LimitReader {
  readonly #parts: LimitReaderParts;

  constructor(parts: LimitReaderParts) {
    this.#parts = parts;
  }

  /** Requests of an account that run now; null when the counters cannot be read. */
  async running(accountId: string): Promise<number | null> {
    try {
      const record = recordOf(accountId, null, 'account', NO_LIMITS);
      return (await this.#parts.money.peekLimits(record, '-')).live.account;
    } catch {
      return null;
    }
  }

  async read(accountId: string): Promise<LiveLimitsView> {
    const { db, clock, logger } = this.#parts;
    const nowMs = clock.nowMs();
    const account = await new AccountStore(db).get(accountId);
    if (!account) throw noAccount();
    const modelLimits = await new AccountStore(db).modelLimits(accountId);
    const { data: keys } = await listKeys(db, { accountId, state: 'live', nowMs, limit: KEYS_SHOWN });
    const frame = { at: isoTime(nowMs), plan: account.plan };
    try {
      const models = [];
      for (const [model, limits] of Object.entries(modelLimits)) {
        const peek = await this.#peek(accountId, null, 'model', limits, model);
        models.push({ model, ...gauges(peek, 'model', limits) });
      }
      const shown = [];
      for (const key of keys) shown.push(await this.#key(key));
      const own = await this.#peek(accountId, null, 'account', account.limits);
      return { ...frame, available: true, account: gauges(own, 'account', account.limits), models, keys: shown };
    } catch (error) {
      logger.warn({ err: error }, 'limits cannot be read');
      return { ...frame, available: false, account: gauges(null, 'account', account.limits), models: [], keys: [] };
    }
  }

  async #key(key: ApiKey): Promise<LiveLimitsView['keys'][number]> {
    const peek = await this.#peek(key.accountId, key.id, 'key', key.limits);
    const cap = (limit: bigint | null, used: bigint | null) =>
      limit === null ? null : { limitNusd: String(limit), usedNusd: used === null ? null : String(used) };
    return {
      keyId: key.id,
      name: key.name,
      prefix: key.prefix,
      ...gauges(peek, 'key', key.limits),
      capDay: cap(key.capDayNusd, peek.usedDayNusd),
      capMonth: cap(key.capMonthNusd, peek.usedMonthNusd),
    };
  }

  /** One scope at a time: a reading of all three would show only the tightest. */
  #peek(accountId: string, keyId: string | null, scope: Scope, limits: RateLimits, model = '-'): Promise<LimitsPeek> {
    return this.#parts.money.peekLimits(recordOf(accountId, keyId, scope, limits, model), model);
  }
}

function recordOf(accountId: string, keyId: string | null, scope: Scope, limits: RateLimits, model = '-'): KeyRecord {
  return {
    keyId: (keyId ?? 'key_0') as KeyId,
    accountId: accountId as AccountId,
    projectId: null,
    userId: null,
    kind: 'api',
    models: null,
    scopes: [],
    allowGrammars: false,
    limits: scope === 'key' ? limits : NO_LIMITS,
    accountLimits: scope === 'account' ? limits : NO_LIMITS,
    modelLimits: scope === 'model' ? { [model]: limits } : {},
    capDayNusd: null,
    capMonthNusd: null,
    expiresAtMs: null,
    revokedAtMs: null,
    accountFrozen: false,
    weight: 1,
  };
}

function gauges(
  peek: LimitsPeek | null,
  scope: Scope,
  limits: RateLimits,
): Pick<LiveLimitsView['account'], keyof LiveLimitsView['account']> {
  const of = (state: { limit: number; remaining: number; resetMs: number } | null | undefined) =>
    state
      ? { limit: state.limit, remaining: Math.max(Math.trunc(state.remaining), 0), resetMs: Math.ceil(state.resetMs) }
      : null;
  return {
    requests: of(limits.requestsPerMinute === null ? null : peek?.limits.requests),
    tokens: of(limits.tokensPerMinute === null ? null : peek?.limits.tokens),
    concurrency: { limit: limits.concurrency, running: peek?.live[scope] ?? 0 },
  };
}
