/**
 * MONEY.md section 8, test 2: the final ledger is a function of the set of records, not of their order, batching, crashes or
 * number of workers; no batch fails twice; a record is confirmed only when Postgres has it. Planted bugs must be seen.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { encodeUsageRecord } from '@tollgate/shared/contracts/money';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { LedgerStore } from '@tollgate/shared/db/ledger-store';
import { ReconcileStore } from '@tollgate/shared/db/reconcile-store';
import { SettlementStore } from '@tollgate/shared/db/settlement-store';
import { tx } from '@tollgate/shared/db/tx';
import type { RequestId } from '@tollgate/shared/domain/ids';
import { compareStreamIds } from '@tollgate/shared/redis/drain';
import { bucketKeys } from '@tollgate/shared/redis/keys';
import { type MoneyClient, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { Registry } from '@tollgate/shared/runtime/metrics';
import { counts, recordProof, testSeed } from '@tollgate/shared/testkit/counts';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';
import { seededRandom } from '@tollgate/shared/testkit/seeded-random';
import fc from 'fast-check';
import { Drain, type DrainDeps } from '../../services/metering/src/drain/drain.ts';
import { Recorder } from '../../services/metering/src/drain/recorder.ts';
import { foldBatch } from '../../services/metering/src/drain/settle.ts';
import { createMetrics } from '../../services/metering/src/metrics.ts';
import { type Case, caseOf, expected, type Made, setUp } from './confluence-case.ts';
import { addAccount, BUCKETS, bucketNumber, intentOf, priceOf, recordOf, startDatabase } from './metering-harness.ts';

jest.setTimeout(120_000);

type Fold = typeof foldBatch;

let redis: TestRedis;
let db: Db;
let workers: { db: Db; scripts: MoneyScripts }[];
let stop: () => Promise<void>;
let real: boolean;

beforeAll(async () => {
  const started = await startDatabase();
  ({ db, real } = started);
  redis = await startRedis();
  workers = [1, 2].map(() => ({
    db: openDatabase({ url: started.server.url, poolMax: real ? 2 : 1, applicationName: 'worker' }),
    scripts: new MoneyScripts(redis.connect() as unknown as MoneyClient, BUCKETS),
  }));
  stop = async () => {
    for (const worker of workers) await worker.db.destroy();
    await db.destroy();
    await redis.stop();
    await started.server.stop();
  };
}, 60_000);
afterAll(() => stop?.());

class Crash extends Error {}

/** Delivers the texts in a random order, in random batches, with crashes at every step, by two workers at a time. */
async function deliver(
  spec: Case,
  order: number,
  fold: Fold,
  makeDrain: (deps: DrainDeps) => Drain = (deps) => new Drain(deps),
): Promise<void> {
  const random = seededRandom(spec.seed + order * 7919);
  await redis.client.flushall();
  await db.deleteFrom('dead_letters').execute();
  const made = await setUp(db, spec);
  const { deliveries } = made;
  const shuffled = deliveries
    .map((each) => ({ each, at: random.float() }))
    .sort((a, b) => a.at - b.at)
    .map(({ each }) => each);
  const sent: { bucket: number; streamId: string; routerId: string; requestId: RequestId | null }[] = [];
  for (let bucket = 0; bucket < BUCKETS; bucket++) await redis.client.hset(bucketKeys(bucket).state, 'outbox', 'box');
  const send = async (list: typeof deliveries) => {
    for (const { bucket, text, requestId } of list) {
      const routerId = `router-${random.int(2)}`;
      const streamId = (await redis.client.xadd(bucketKeys(bucket).outbox, '*', 'r', text, 'w', routerId))!;
      sent.push({ bucket, streamId, routerId, requestId });
    }
  };
  await send(shuffled);

  const logger = createLogger({ service: 'test', level: 'silent' });
  const metrics = createMetrics(new Registry());
  const drains = workers.map((worker) => {
    const inner = new Recorder({ store: new SettlementStore(worker.db), metrics, logger, fold });
    const recorder: DrainDeps['recorder'] = {
      async record(trx, texts) {
        const recorded = await inner.record(trx, texts);
        // Death inside the transaction, after all was written.
        if (random.int(6) === 0) throw new Crash('before commit');
        return recorded;
      },
    };
    const drain = makeDrain({
      ...worker,
      redis: redis.client,
      recorder,
      clock: systemClock,
      logger,
      metrics,
      batchSize: 1 + random.int(6),
      everyMs: 1,
      width: 1,
    });
    drain.onStep = (step) => {
      if (random.int(step === 'acknowledge' ? 3 : 8) === 0) throw new Crash(step);
    };
    return drain;
  });

  const buckets = [...new Set(deliveries.map(({ bucket }) => bucket))];
  const drainEverything = async () => {
    for (let round = 0; ; round++) {
      if (round > 500) throw new Error('the outbox does not get empty');
      const results = await Promise.all(
        drains.map(async (drain) => {
          try {
            return await drain.drainBatch(buckets[random.int(buckets.length)]!);
          } catch (error) {
            // Only our crashes: no record may make a batch fail.
            if (!(error instanceof Crash)) throw error;
            return null;
          }
        }),
      );
      if (round % 3 === 0) await confirmedIsStored(sent);
      if (results.every(Boolean)) {
        const left = await Promise.all(buckets.map((bucket) => redis.client.xlen(bucketKeys(bucket).outbox)));
        if (left.every((length) => length === 0)) return;
      }
    }
  };
  await drainEverything();
  await confirmedIsStored(sent);
  for (const { bucket, streamId, routerId } of sent) {
    const confirmed = (await workers[0]!.scripts.readConfirmations(routerId, [bucket])).get(bucket);
    // Everything is in Postgres, so every spool is empty.
    expect(confirmed && compareStreamIds(confirmed.streamId, streamId) >= 0).toBe(true);
  }
  await check(made, spec);
  // Routers that heard of a change of history send everything again.
  await send(shuffled);
  await drainEverything();
  await check(made, spec);
}

/** Reads what routers may drop, then looks whether Postgres has it. */
async function confirmedIsStored(
  sent: { bucket: number; streamId: string; routerId: string; requestId: RequestId | null }[],
) {
  const safe: RequestId[] = [];
  for (const routerId of new Set(sent.map((each) => each.routerId))) {
    const confirmations = await workers[0]!.scripts.readConfirmations(routerId, [...Array(BUCKETS).keys()]);
    for (const each of sent) {
      if (each.routerId !== routerId || !each.requestId) continue;
      const confirmed = confirmations.get(each.bucket);
      if (confirmed && compareStreamIds(each.streamId, confirmed.streamId) <= 0) safe.push(each.requestId);
    }
  }
  if (safe.length === 0) return;
  const ids = [...new Set(safe)];
  const rows = await db.selectFrom('settlements').select('request_id').where('request_id', 'in', ids).execute();
  expect(rows.map((row) => row.request_id).sort()).toEqual(ids.sort());
}

async function check(made: Made, spec: Case): Promise<void> {
  const { accounts, requests } = made;
  const ledger = new LedgerStore(db);
  const balances = await Promise.all(accounts.map((who) => ledger.balance(who.account)));
  const money = balances.map((balance) => {
    const { version: _, ...rest } = balance!;
    return rest;
  });
  expect(money).toEqual(expected(made));
  const store = new SettlementStore(db);
  for (const { requestId, tokens, spec: request } of requests) {
    const row = await store.get(requestId);
    if (tokens === null) expect(row).toBeNull();
    else {
      expect(row).toMatchObject({ state: request.final === null ? 'estimated' : 'final', amountNusd: priceOf(tokens) });
    }
  }
  const spend = await db
    .selectFrom('key_spend')
    .select(['key_id', 'amount_nusd'])
    .where(
      'key_id',
      'in',
      accounts.map((who) => who.key),
    )
    .execute();
  for (const [index, who] of accounts.entries()) {
    expect(spend.find((row) => row.key_id === who.key)?.amount_nusd ?? 0n).toBe(money[index]!.posted);
  }
  const letters = await db.selectFrom('dead_letters').select('text').execute();
  // No genuine record is among them.
  expect(letters.filter((letter) => letter.text.includes('"requestId"'))).toEqual([]);
  if (spec.malformed > 0) expect(letters.length).toBeGreaterThan(0);
  // Entries and balances agree, leases and balances agree, every posting has its settlement.
  const { findings } = await new ReconcileStore(db).auditLedger(1_000);
  expect(findings.filter((finding) => accounts.some((who) => who.account === finding.accountId))).toEqual([]);
}

const ORDERS = 3;

function property(fold: Fold, makeDrain?: (deps: DrainDeps) => Drain) {
  return fc.asyncProperty(caseOf, async (spec) => {
    for (let order = 0; order < ORDERS; order++) await deliver(spec, order, fold, makeDrain);
  });
}

describe('the ledger is a function of the set of records', () => {
  test('whatever the order, the batches, the crashes and the workers', async () => {
    const numRuns = counts(8, 400);
    await fc.assert(property(foldBatch), { numRuns, seed: testSeed(), endOnFailure: true });
    recordProof({
      name: `confluence of usage records (${real ? 'PostgreSQL' : 'PGlite'}), two workers, ${ORDERS} orders each`,
      count: numRuns,
      seed: testSeed(),
      result: 'same balances, no batch failed, confirmed = stored',
    });
  }, 1_800_000);

  test('a record that Postgres itself refuses costs its batch a few statements, once, and holds nothing up', async () => {
    await redis.client.flushall();
    const who = await addAccount(db, priceOf(1_000));
    const { sql } = await import('kysely');
    await sql`ALTER TABLE settlements ADD CONSTRAINT no_poison CHECK (outcome <> 'poison')`.execute(db);
    try {
      const bucket = bucketNumber(who.account);
      await redis.client.hset(bucketKeys(bucket).state, 'outbox', 'box');
      const ids = Array.from({ length: 20 }, (_, index): RequestId => `req_poison${index}`);
      for (const [index, requestId] of ids.entries()) {
        const intent = intentOf(who, requestId);
        const record = recordOf(intent, 1, index === 7 || index === 13 ? { outcome: 'poison' as never } : {});
        await redis.client.xadd(bucketKeys(bucket).outbox, '*', 'r', encodeUsageRecord(record), 'w', 'router-1');
      }
      const logger = createLogger({ service: 'test', level: 'silent' });
      const metrics = createMetrics(new Registry());
      const [worker] = workers;
      const drain = new Drain({
        ...worker!,
        redis: redis.client,
        recorder: new Recorder({ store: new SettlementStore(worker!.db), metrics, logger }),
        clock: systemClock,
        logger,
        metrics,
        batchSize: 100,
        everyMs: 1,
        width: 1,
      });
      expect(await drain.drainBatch(bucket)).toMatchObject({ drained: 20 });
      expect(await redis.client.xlen(bucketKeys(bucket).outbox)).toBe(0);
      expect(await new LedgerStore(db).balance(who.account)).toMatchObject({
        posted: priceOf(18),
        available: priceOf(982),
      });
      const dead = await db.selectFrom('dead_letters').select('error').where('text', 'like', '%poison%').execute();
      expect(dead.map((row) => /no_poison/.test(row.error))).toEqual([true, true]);
      await db.deleteFrom('dead_letters').execute();
    } finally {
      await sql`ALTER TABLE settlements DROP CONSTRAINT no_poison`.execute(db);
    }
  });
});

/** The same cases pass with the true code: what was seen was the bug. */
const soundAgain = () => fc.assert(property(foldBatch), { numRuns: 1, seed: testSeed(), endOnFailure: true });

describe('planted bugs are seen', () => {
  const mutants: [string, Fold][] = [
    [
      'a final is posted on top of its estimate',
      (state, items, prices) => {
        const unsettled = new Map([...state.settlements].map(([id, row]) => [id, { ...row, amountNusd: 0n }]));
        return foldBatch({ ...state, settlements: unsettled }, items, prices);
      },
    ],
    [
      'an estimate that is met again is posted again',
      (state, items, prices) => {
        const lowered = new Map(
          [...state.settlements].map(([id, row]) => [
            id,
            row.state === 'estimated' ? { ...row, amountNusd: -1n } : row,
          ]),
        );
        const result = foldBatch({ ...state, settlements: lowered }, items, prices);
        return result;
      },
    ],
    [
      'an estimate after the final is taken for news',
      (state, items, prices) => {
        const reopened = new Map(
          [...state.settlements].map(([id, row]) => [id, { ...row, state: 'estimated' as const }]),
        );
        return foldBatch({ ...state, settlements: reopened }, items, prices);
      },
    ],
    [
      'leases do not pay: everything comes from available',
      (state, items, prices) => foldBatch({ ...state, leases: new Map() }, items, prices),
    ],
    [
      'what a lease cannot pay is forgotten',
      (state, items, prices) => {
        const result = foldBatch(state, items, prices);
        const leases = result.writes.leases.map((lease) => ({ ...lease, overdrawn: 0n }));
        return { ...result, writes: { ...result.writes, leases } };
      },
    ],
    [
      'the spend of keys is not counted down when a final is below its estimate',
      (state, items, prices) => {
        const result = foldBatch(state, items, prices);
        const spend = result.writes.spend.filter((each) => each.deltaNusd > 0n);
        return { ...result, writes: { ...result.writes, spend } };
      },
    ],
  ];

  test.each(mutants)(
    '%s',
    async (_, fold) => {
      const numRuns = counts(60, 200);
      const outcome = await fc.check(property(fold), { numRuns, seed: testSeed(), endOnFailure: true });
      expect(outcome.failed).toBe(true);
      await soundAgain();
    },
    600_000,
  );

  test('records are acknowledged before they are committed', async () => {
    class Hasty extends Drain {
      readonly #deps: DrainDeps;
      constructor(deps: DrainDeps) {
        super(deps);
        this.#deps = deps;
      }
      override async drainBatch(bucket: number) {
        const { scripts, batchSize } = this.#deps;
        const { history, entries } = await scripts.drainRead(bucket, batchSize);
        if (entries.length > 0) await scripts.drainAck(bucket, history, entries);
        const texts = entries.map(({ id, text }) => ({ source: `${bucket}|${id}`, text, streamId: id }));
        await tx(this.#deps.db, (trx) => this.#deps.recorder.record(trx, texts));
        return { drained: entries.length, length: entries.length, busy: false };
      }
    }
    const outcome = await fc.check(
      property(foldBatch, (deps) => new Hasty(deps)),
      { numRuns: counts(60, 200), seed: testSeed(), endOnFailure: true },
    );
    expect(outcome.failed).toBe(true);
    await soundAgain();
  }, 600_000);
});
