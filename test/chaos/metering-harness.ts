/**
 * Metering in this process on a real Redis and a real PostgreSQL (PGlite where none is installed), and a small stand-in for
 * a router: it admits, beats and settles through the same scripts, and decides nothing by itself.
 */
import { encodeIntent, encodeProgress, encodeUsageRecord } from '@tollgate/shared/contracts/money';
import { AccountStore } from '@tollgate/shared/db/account-store';
import type { Balance } from '@tollgate/shared/db/balance';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { KeyStore } from '@tollgate/shared/db/key-store';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { migrate } from '@tollgate/shared/db/migrate';
import { ModelStore } from '@tollgate/shared/db/model-store';
import { SettlementStore } from '@tollgate/shared/db/settlement-store';
import type { AccountId, KeyId, LeaseId, PriceId, RequestId } from '@tollgate/shared/domain/ids';
import { NO_LIMITS } from '@tollgate/shared/domain/limits';
import { costNusd, type UnitPrices } from '@tollgate/shared/domain/money';
import type { Intent, UsageRecord } from '@tollgate/shared/domain/usage';
import { bucketOf } from '@tollgate/shared/redis/keys';
import { type AdmitResult, type MoneyClient, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { havePostgres, startPglite, startPostgres, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';
import { type Metering, type MeteringOptions, startMetering } from '../../services/metering/src/app.ts';

export const BUCKETS = 4;
export const MODEL = 'test/model';
export const PRICE: { id: PriceId; prices: UnitPrices } = {
  id: 'price_test',
  // 1 token = 1,000 nano-USD, cached 100, output 2,000.
  prices: { inputNusd: 1_000_000_000n, cachedInputNusd: 100_000_000n, outputNusd: 2_000_000_000n },
};

export interface TestAccount {
  account: AccountId;
  key: KeyId;
}

/** Short times, so that tests of minutes take seconds. Loops run at their own pace unless a test makes them not. */
export function testOptions(databaseUrl: string, redisUrl: string): MeteringOptions {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    metricsListen: null,
    databaseUrl,
    redisUrl,
    serviceToken: 'test-service-token',
    bucketCount: BUCKETS,
    poolMax: 4,
    batchSize: 100,
    drainEveryMs: 20,
    lease: {
      leaseMs: 60_000,
      minLeaseNusd: 1_000_000n,
      createWindowMs: 5_000,
      verdictTtlMs: 5_000,
      standalone: false,
    },
    keeper: { needSweepMs: 100, leaseSweepMs: 100, idleMs: 60_000, fullShare: 0.9, freeShare: 0.8 },
    release: { skewMs: 0, graceMs: 0 },
    reaper: { everyMs: 100, unbeatenMs: 60_000, silentMs: 60_000, marginMs: 0, auditEveryMs: 300_000 },
    jobs: null,
    batches: null,
    reclaimOnStop: true,
  };
}

/** An empty, migrated database with one model and its price. */
export async function startDatabase(
  real = havePostgres(),
): Promise<{ server: TestDatabase; db: Db; real: boolean; crash: () => Promise<void> }> {
  const postgres = real ? await startPostgres() : null;
  const server = postgres ?? (await startPglite());
  const db = openDatabase({ url: server.url, poolMax: real ? 4 : 1, applicationName: 'test' });
  await migrate(db);
  await addModel(db);
  return { server, db, real, crash: async () => postgres?.crash() };
}

export async function addModel(db: Db): Promise<void> {
  const models = new ModelStore(db);
  await models.create({ id: MODEL, ownedBy: 'test', maxModelLen: 32_768, createdAtMs: 1 });
  await models.addPrice({ ...PRICE, model: MODEL, validFromMs: 0 });
}

let accounts = 0;
let requests = 0;

export async function addAccount(db: Db, creditNusd: bigint): Promise<TestAccount> {
  const number = ++accounts;
  const account: AccountId = `acct_t${number}`;
  const key: KeyId = `key_t${number}`;
  const createdAtMs = Date.now();
  await new AccountStore(db).create({ id: account, name: `account ${number}`, createdAtMs });
  await new KeyStore(db).create({
    id: key,
    accountId: account,
    name: 'test',
    digest: `digest${number}`,
    prefix: 'tg_live_test',
    last4: 'abcd',
    createdAtMs,
  });
  if (creditNusd > 0n) {
    await new LedgerStore(db).credit({
      accountId: account,
      amountNusd: creditNusd,
      idemKey: `c${number}`,
      reason: 'test',
    });
  }
  return { account, key };
}

export function newRequest(): RequestId {
  return `req_t${++requests}`;
}

/** An admitted request of that account, without a worker. */
export function intentOf({ account, key }: TestAccount, requestId: RequestId, part: Partial<Intent> = {}): Intent {
  return {
    requestId,
    accountId: account,
    keyId: key,
    projectId: null,
    userId: null,
    model: MODEL,
    leaseId: 'lease_none',
    history: 'run:repl',
    heldNusd: priceOf(1_000),
    priceId: PRICE.id,
    prices: PRICE.prices,
    admittedAtMs: Date.UTC(2026, 10, 1),
    routerId: 'router-1',
    workerUrl: null,
    promptBytes: 0,
    stream: true,
    ...part,
  };
}

/** A final record of that many completion tokens and no prompt, as a router writes it. */
export function recordOf(intent: Intent, completionTokens: number, part: Partial<UsageRecord> = {}): UsageRecord {
  const tokens = { promptTokens: 0, cachedTokens: 0, completionTokens, ...part };
  return {
    ...intent,
    version: 1,
    final: true,
    outcome: 'served',
    status: 200,
    finishReason: 'stop',
    ...tokens,
    reasoningTokens: 0,
    countSource: 'engine',
    amountNusd: costNusd(tokens, intent.prices),
    clipped: false,
    absorbed: {},
    finishedAtMs: intent.admittedAtMs + 1_000,
    queueMs: 1,
    firstTokenMs: 2,
    durationMs: 1_000,
    endpoint: '/v1/chat/completions',
    clientRequestId: null,
    ...part,
  };
}

/** Nano-USD of that many completion tokens. */
export const priceOf = (completionTokens: number): bigint => BigInt(completionTokens) * 2_000n;

export class MiniRouter {
  readonly scripts: MoneyScripts;
  readonly routerId: string;

  constructor(redis: TestRedis, routerId = 'router-1') {
    this.scripts = new MoneyScripts(redis.connect() as unknown as MoneyClient, BUCKETS);
    this.routerId = routerId;
  }

  /** One admission of that hold. */
  admitOnce({ account, key }: TestAccount, requestId: RequestId, amountNusd: bigint): Promise<AdmitResult> {
    return this.scripts.admit({
      accountId: account,
      keyId: key,
      model: MODEL,
      requestId,
      amountNusd,
      limits: { key: NO_LIMITS, account: NO_LIMITS, model: NO_LIMITS },
      tokenCharge: { key: 0, account: 0, model: 0 },
      capDayNusd: null,
      capMonthNusd: null,
      outboxBound: 1_000_000,
      lowWaterNusd: 0n,
    });
  }

  /** Admits, asking again while there is no lease; fails after the deadline. */
  async admit(who: TestAccount, amountNusd: bigint, deadlineMs = 10_000): Promise<Intent> {
    const requestId = newRequest();
    const result = await eventually(
      'admission',
      async () => {
        const answer = await this.admitOnce(who, requestId, amountNusd);
        return answer.kind === 'ok' || answer.kind === 'held' ? answer : null;
      },
      { deadlineMs, everyMs: 20 },
    );
    return this.intent(who, requestId, result, amountNusd);
  }

  intent(
    who: TestAccount,
    requestId: RequestId,
    admitted: { leaseId: LeaseId; history: string; admittedAtMs: number },
    heldNusd: bigint,
  ): Intent {
    const { leaseId, history, admittedAtMs } = admitted;
    return intentOf(who, requestId, { leaseId, history, admittedAtMs, heldNusd, routerId: this.routerId });
  }

  async beat(intent: Intent, completionTokens: number): Promise<string> {
    const [result] = await this.scripts.heartbeat(this.#bucket(intent), [
      {
        ...intent,
        amountNusd: intent.heldNusd,
        intent: encodeIntent(intent),
        progress: encodeProgress({ promptTokens: 0, completionTokens, source: 'engine' }),
      },
    ]);
    return result!;
  }

  settle(record: UsageRecord) {
    return this.scripts.settle({
      accountId: record.accountId,
      keyId: record.keyId,
      model: record.model,
      requestId: record.requestId,
      routerId: this.routerId,
      leaseId: record.leaseId,
      amountNusd: record.amountNusd,
      tokens: record.promptTokens + record.completionTokens,
      record: encodeUsageRecord(record),
    });
  }

  #bucket(intent: Intent): number {
    return bucketNumber(intent.accountId);
  }
}

export const bucketNumber = (account: string): number => bucketOf(account, BUCKETS);

export interface World {
  redis: TestRedis;
  db: Db;
  databaseUrl: string;
  /** Restartable PostgreSQL (true) or PGlite. */
  real: boolean;
  /** SIGKILL of PostgreSQL and a start with recovery; nothing on PGlite. */
  crashDatabase(): Promise<void>;
  router: MiniRouter;
  account(creditNusd: bigint): Promise<TestAccount>;
  balance(who: TestAccount): Promise<Balance>;
  settled(requestId: string): ReturnType<SettlementStore['get']>;
  /** Starts metering with these options over the test's defaults. */
  metering(change?: (options: MeteringOptions) => MeteringOptions): Promise<Metering & { stop(): Promise<void> }>;
  stop(): Promise<void>;
}

export async function startWorld(real = havePostgres()): Promise<World> {
  const [redis, { server, db, crash }] = await Promise.all([startRedis(), startDatabase(real)]);
  const running: (() => Promise<void>)[] = [];
  return {
    redis,
    db,
    databaseUrl: server.url,
    real,
    crashDatabase: crash,
    router: new MiniRouter(redis),
    account: (creditNusd) => addAccount(db, creditNusd),
    balance: async ({ account }) => (await new LedgerStore(db).balance(account))!,
    settled: (requestId) => new SettlementStore(db).get(requestId),
    async metering(change = (options) => options) {
      const logger = createLogger({ service: 'metering', level: 'silent' });
      const lifecycle = createLifecycle({ logger, graceMs: 20_000 });
      const options = change(testOptions(server.url, redis.url));
      const metering = await startMetering({ ...options, lifecycle, logger });
      const stop = () => lifecycle.stop('test');
      running.push(stop);
      return { ...metering, stop };
    },
    async stop() {
      for (const stop of running) await stop();
      await db.destroy();
      await redis.stop();
      await server.stop();
    },
  };
}

/** Waits until those columns of the account's balance have those values; fails with the difference. */
export async function reachesBalance(world: World, who: TestAccount, expected: Partial<Balance>): Promise<void> {
  const names = Object.keys(expected) as (keyof Balance)[];
  try {
    await eventually('the balance', async () => {
      const balance = await world.balance(who);
      return names.every((name) => balance[name] === expected[name]);
    });
  } catch (cause) {
    const balance = await world.balance(who);
    const seen = names.map((name) => `${name} ${balance[name]}, not ${expected[name]}`).join('; ');
    throw new Error(`balance of ${who.account}: ${seen}`, { cause });
  }
}
