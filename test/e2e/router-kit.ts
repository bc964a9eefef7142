/** A router with all its surroundings for tests: real Redis, workers, a key, and credit that a test grants by hand. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningRouter, startRouter } from '@tollgate/router/app';
import { routerShape } from '@tollgate/router/config';
import { parseUsageRecord } from '@tollgate/shared/contracts/money';
import type { CatalogModel } from '@tollgate/shared/domain/catalog';
import type { AccountId, LeaseId } from '@tollgate/shared/domain/ids';
import { type KeyRecord, mintKey } from '@tollgate/shared/domain/key';
import type { UsageRecord } from '@tollgate/shared/domain/usage';
import { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import { keyDigest } from '@tollgate/shared/redis/digest';
import { bucketOf, globalKeys } from '@tollgate/shared/redis/keys';
import { type LeaseView, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { keyRecord } from '@tollgate/shared/testkit/key-record';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';

export const PEPPER = 'a pepper for tests only, long enough';
export const BUCKETS = 4;
export const MODEL = 'Qwen/Qwen3-30B-A3B-FP8';

/** Prices that make a token cost a whole number of nano-USD: 100 in, 10 cached, 400 out. */
export const CATALOG_MODEL: CatalogModel = {
  id: MODEL,
  createdAt: 1_760_000_000,
  ownedBy: 'tests',
  maxModelLen: 32_768,
  defaultMaxTokens: 512,
  templateTokens: 32,
  templateTokensPerMessage: 16,
  priceId: 'price_test',
  prices: { inputNusd: 100_000_000n, cachedInputNusd: 10_000_000n, outputNusd: 400_000_000n },
  enabled: true,
};

export interface TestKey {
  text: string;
  record: KeyRecord;
  digest: string;
}

export interface Surroundings {
  redis: TestRedis;
  money: MoneyScripts;
  directory: ConsoleDirectory;
  /** Publishes a key; `change` overrides fields of its record. */
  key(change?: Partial<KeyRecord>): Promise<TestKey>;
  /** Publishes another version of a key's record, or that it is gone. */
  republish(key: TestKey, record: KeyRecord | null): Promise<void>;
  /** Grants credit as the keeper would; adds to a lease that is there. */
  credit(accountId: AccountId, nusd: bigint): Promise<LeaseId>;
  lease(accountId: AccountId): Promise<LeaseView | null>;
  /** All settled records that wait in the outboxes. */
  records(): Promise<UsageRecord[]>;
  /** Confirms everything in the outboxes, as metering does after its commit; returns the records. */
  drain(): Promise<UsageRecord[]>;
  /** Starts a router on it. `env` overrides variables; `logged` gets every line of its log, which else is silent. */
  router(
    workers: readonly string[],
    env?: Record<string, string>,
    logged?: (line: string) => void,
  ): Promise<RunningRouter>;
  /** A fresh folder that `stop` removes. */
  folder(): string;
  stop(): Promise<void>;
}

export async function startSurroundings(models: readonly CatalogModel[] = [CATALOG_MODEL]): Promise<Surroundings> {
  const redis = await startRedis();
  const money = new MoneyScripts(redis.client, BUCKETS);
  const directory = new ConsoleDirectory(redis.client);
  const routers: RunningRouter[] = [];
  const folders: string[] = [];
  const leases = new Map<string, { leaseId: LeaseId; granted: bigint }>();
  let seq = 0n;
  await directory.publishCatalog({ version: 1, models: [...models] });
  await redis.client.set(globalKeys.keysReady, '1');

  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'tollgate-router-'));
    folders.push(path);
    return path;
  };

  return {
    redis,
    money,
    directory,
    folder,
    async key(change = {}) {
      const minted = mintKey((count) => systemRandom.bytes(count));
      const record: KeyRecord = keyRecord(`key_${minted.publicId}`, `acct_${minted.publicId}`, change);
      const digest = keyDigest(minted.text, PEPPER);
      await directory.publishKeys([{ digest, record }]);
      return { text: minted.text, record, digest };
    },
    republish: (key, record) => directory.publishKeys([{ digest: key.digest, record }]),
    async credit(accountId, nusd) {
      const bucket = bucketOf(accountId, BUCKETS);
      const { era, history, nowMs } = await money.ensureEra(bucket, `era-${accountId}`);
      const known = leases.get(accountId);
      const granted = (known?.granted ?? 0n) + nusd;
      const leaseId: LeaseId = known?.leaseId ?? `lease_t${++seq}`;
      const { how } = await money.grant({
        accountId,
        leaseId,
        seq: seq,
        history,
        era,
        grantedNusd: granted,
        expMs: nowMs + 900_000,
        create: known === undefined,
        notAfterMs: nowMs + 5_000,
        caps: [],
      });
      if (how !== 'created' && how !== 'added') throw new Error(`no credit: ${how}`);
      leases.set(accountId, { leaseId, granted });
      return leaseId;
    },
    lease: async (accountId) => (await money.readLease(accountId)).lease,
    async records() {
      const all: UsageRecord[] = [];
      for (let bucket = 0; bucket < BUCKETS; bucket++) {
        const { entries } = await money.drainRead(bucket, 10_000);
        all.push(...entries.map((entry) => parseUsageRecord(entry.text)));
      }
      return all;
    },
    async drain() {
      const all: UsageRecord[] = [];
      for (let bucket = 0; bucket < BUCKETS; bucket++) {
        const { entries, history } = await money.drainRead(bucket, 10_000);
        if (entries.length > 0) await money.drainAck(bucket, history, entries);
        all.push(...entries.map((entry) => parseUsageRecord(entry.text)));
      }
      return all;
    },
    async router(workers, env = {}, logged) {
      const config = parseConfig(routerShape, {
        TOLLGATE_ROUTER_LISTEN: '127.0.0.1:0',
        REDIS_URL: redis.url,
        TOLLGATE_KEY_PEPPER: PEPPER,
        TOLLGATE_BUCKETS: String(BUCKETS),
        TOLLGATE_WORKERS: workers.join(','),
        TOLLGATE_SPOOL_DIR: folder(),
        TOLLGATE_PROBE_MS: '100',
        TOLLGATE_CONFIRM_MS: '50',
        TOLLGATE_STOP_GRACE_MS: '1000',
        // A shared test machine stalls for longer than a production Redis does.
        TOLLGATE_REDIS_DEADLINE_MS: '2000',
        ...env,
      });
      const logger = createLogger({
        service: 'router',
        level: (env.LOG_LEVEL as 'info') ?? (logged === undefined ? 'silent' : 'debug'),
        ...(logged && { destination: { write: logged } }),
      });
      const router = await startRouter({ config, logger });
      routers.push(router);
      await eventually('the router is ready', () => router.readiness().ready);
      return router;
    },
    async stop() {
      await Promise.all(routers.map((router) => router.stop()));
      await redis.stop();
      for (const path of folders) rmSync(path, { recursive: true, force: true });
    },
  };
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  json: any;
}

/** Posts a chat body (an object, or raw text) and reads the whole answer. */
export async function chat(
  router: Pick<RunningRouter, 'url'>,
  key: string | null,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Data of each event of an SSE text. */
export function events(text: string): string[] {
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice(6));
}

export const hello = (more: Record<string, unknown> = {}) => ({
  model: MODEL,
  messages: [{ role: 'user', content: 'hi there friend' }],
  max_tokens: 24,
  ...more,
});

/** Waits until nothing runs and every counter is back at 0. */
export function eventuallyQuiet(router: RunningRouter): Promise<true> {
  return eventually('all counters are back at 0', () => {
    const { running, queued, heldBeats, pendingVoids, workers } = router.counters();
    return (
      running === 0 && queued === 0 && heldBeats === 0 && pendingVoids === 0 && workers.every((count) => count === 0)
    );
  });
}
