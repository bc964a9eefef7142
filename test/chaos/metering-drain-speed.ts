/**
 * How fast the drain is: fills the outboxes of a real Redis, drains them into a real PostgreSQL (PGlite where none is
 * installed) and prints JSON. Not a test: `node --conditions=tollgate-source test/chaos/metering-drain-speed.ts [records]`.
 */
import { encodeUsageRecord } from '@tollgate/shared/contracts/money';
import { openDatabase } from '@tollgate/shared/db/client';
import { LeaseStore } from '@tollgate/shared/db/lease-store';
import { SettlementStore } from '@tollgate/shared/db/settlement-store';
import { UsageStore } from '@tollgate/shared/db/usage-store';
import { bucketKeys } from '@tollgate/shared/redis/keys';
import { type MoneyClient, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { systemClock } from '@tollgate/shared/runtime/clock';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { Registry } from '@tollgate/shared/runtime/metrics';
import { startRedis } from '@tollgate/shared/testkit/redis';
import { Drain } from '../../services/metering/src/drain/drain.ts';
import { Recorder } from '../../services/metering/src/drain/recorder.ts';
import { createMetrics } from '../../services/metering/src/metrics.ts';
import {
  addAccount,
  BUCKETS,
  bucketNumber,
  intentOf,
  newRequest,
  recordOf,
  startDatabase,
} from './metering-harness.ts';

const records = Number(process.argv[2] ?? 40_000);
const ACCOUNTS = 40;
const { server, db, real } = await startDatabase();
const redis = await startRedis();
const logger = createLogger({ service: 'speed', level: 'warn' });
const results: Record<string, unknown>[] = [];
await new UsageStore(db).ensurePartitions(Date.now());

for (const { width, batchSize } of [
  { width: 1, batchSize: 500 },
  { width: 2, batchSize: 500 },
  { width: 4, batchSize: 1_000 },
]) {
  const accounts = await Promise.all(
    Array.from({ length: ACCOUNTS }, async () => {
      const who = await addAccount(db, 1_000_000_000_000n);
      const { lease } = await new LeaseStore(db).open({
        id: `lease_${who.account.slice(5)}`,
        accountId: who.account,
        bucket: bucketNumber(who.account),
        history: 'run:repl',
        era: 'era',
        amountNusd: 500_000_000_000n,
        expMs: 0,
      });
      return { ...who, leaseId: lease.id };
    }),
  );
  for (let bucket = 0; bucket < BUCKETS; bucket++) await redis.client.hset(bucketKeys(bucket).state, 'outbox', 'box');
  for (let from = 0; from < records; from += 1_000) {
    const pipeline = redis.client.pipeline();
    for (let index = from; index < Math.min(from + 1_000, records); index++) {
      const { account, key, leaseId } = accounts[index % ACCOUNTS]!;
      const part = { leaseId, admittedAtMs: Date.now(), workerUrl: 'http://127.0.0.1:9000' };
      const intent = intentOf({ account, key }, newRequest(), part);
      const text = encodeUsageRecord(recordOf(intent, 1 + (index % 400)));
      pipeline.xadd(bucketKeys(bucketNumber(account)).outbox, '*', 'r', text, 'w', 'router-1');
    }
    await pipeline.exec();
  }
  const pool = openDatabase({ url: server.url, poolMax: real ? width : 1, applicationName: 'speed' });
  const metrics = createMetrics(new Registry());
  const drain = new Drain({
    db: pool,
    redis: redis.client,
    scripts: new MoneyScripts(redis.client as unknown as MoneyClient, BUCKETS),
    recorder: new Recorder({ store: new SettlementStore(pool), metrics, logger }),
    clock: systemClock,
    logger,
    metrics,
    batchSize,
    everyMs: 1,
    width,
  });
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  let drained = 0;
  for (let count = await drain.drainAll(); count > 0; count = await drain.drainAll()) drained += count;
  const seconds = (performance.now() - startedMs) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  results.push({
    database: real ? 'PostgreSQL' : 'PGlite',
    width,
    batchSize,
    records: drained,
    perSecond: Math.round(drained / seconds),
    nodeCpuUsPerRecord: Math.round((cpu.user + cpu.system) / drained),
  });
  await pool.destroy();
}
process.stdout.write(`${JSON.stringify(results, null, 1)}\n`);
await db.destroy();
await redis.stop();
await server.stop();
