/** One account on a real Redis, for tests of the money scripts: short ways to say what a test is about. */
import type { AccountId, KeyId, LeaseId, RequestId } from '../domain/ids.ts';
import { NO_LIMITS, type RateLimits } from '../domain/limits.ts';
import { bucketKeys, bucketOf } from '../redis/keys.ts';
import { type AdmitInput, MoneyScripts, type MoneyScriptsOptions } from '../redis/money-scripts.ts';
import { startRedis, type TestRedis, type TestRedisOptions } from './redis.ts';

export interface MoneyFixture {
  redis: TestRedis;
  money: MoneyScripts;
  bucket: number;
  keys: ReturnType<typeof bucketKeys>;
  account: AccountId;
  key: KeyId;
  model: string;
  /** Empties Redis and forgets the lease. */
  reset(): Promise<void>;
  /** Makes a lease of that size with a new id; returns its id. */
  lease(grantedNusd: bigint, options?: { expInMs?: number }): Promise<LeaseId>;
  admit(request: string, amountNusd: bigint, options?: Partial<AdmitInput>): ReturnType<MoneyScripts['admit']>;
  settle(request: string, amountNusd: bigint, options?: SettleOptions): ReturnType<MoneyScripts['settle']>;
  voidHold(request: string, tokens?: number): ReturnType<MoneyScripts['voidHold']>;
  beat(request: string, leaseId: LeaseId, amountNusd: bigint): Promise<string>;
  /** [free, held, spent, returned] of the lease in Redis; null = none. */
  totals(): Promise<[bigint, bigint, bigint, bigint] | null>;
}

interface SettleOptions {
  leaseId?: LeaseId;
  routerId?: string;
  tokens?: number;
  record?: string;
}

export const BUCKETS = 4;
export const reqId = (name: string): RequestId => `req_${name}`;
export const limitsOf = (part: Partial<RateLimits>): RateLimits => ({ ...NO_LIMITS, ...part });

/** Starts a Redis; `stop` it with `redis.stop()`. */
export async function moneyFixture(
  options: MoneyScriptsOptions & { redis?: TestRedisOptions } = {},
): Promise<MoneyFixture> {
  const redis = await startRedis(options.redis);
  const account: AccountId = 'acct_test';
  const key: KeyId = 'key_test';
  const model = 'test/model';
  const money = new MoneyScripts(redis.client, BUCKETS, options);
  const bucket = bucketOf(account, BUCKETS);
  const place = { accountId: account, keyId: key, model };
  let seq = 0n;
  let leaseId: LeaseId = 'lease_none';

  return {
    redis,
    money,
    bucket,
    keys: bucketKeys(bucket),
    account,
    key,
    model,
    async reset() {
      await redis.client.flushall();
      leaseId = 'lease_none';
    },
    async lease(grantedNusd, { expInMs = 600_000 } = {}) {
      const { era, history, nowMs } = await money.ensureEra(bucket, `era${seq}`);
      leaseId = `lease_${++seq}`;
      const lease = { accountId: account, leaseId, seq, history, era, grantedNusd, expMs: nowMs + expInMs };
      const { how } = await money.grant({ ...lease, create: true, notAfterMs: nowMs + 5_000, caps: [] });
      if (how !== 'created') throw new Error(`no lease: ${how}`);
      return leaseId;
    },
    admit: (request, amountNusd, more = {}) =>
      money.admit({
        ...place,
        requestId: reqId(request),
        amountNusd,
        limits: { key: NO_LIMITS, account: NO_LIMITS, model: NO_LIMITS },
        tokenCharge: { key: 0, account: 0, model: 0 },
        capDayNusd: null,
        capMonthNusd: null,
        outboxBound: 1000,
        lowWaterNusd: 0n,
        ...more,
      }),
    settle: (request, amountNusd, more = {}) =>
      money.settle({
        ...place,
        requestId: reqId(request),
        routerId: 'router1',
        leaseId,
        amountNusd,
        tokens: 0,
        record: `{"requestId":"req_${request}"}`,
        ...more,
      }),
    voidHold: (request, tokens = 0) => money.voidHold({ ...place, requestId: reqId(request), tokens }),
    async beat(request, ofLease, amountNusd) {
      const beat = { ...place, requestId: reqId(request), leaseId: ofLease, history: 'h', admittedAtMs: 5, amountNusd };
      return (await money.heartbeat(bucket, [{ ...beat, intent: '{"i":1}', progress: '{"p":1}' }]))[0]!;
    },
    async totals() {
      const { lease } = await money.readLease(account);
      return lease && [lease.freeNusd, lease.heldNusd, lease.spentNusd, lease.returnedNusd];
    },
  };
}
