/**
 * A Redis as the console and the lease keeper leave it: keys, catalogue, one lease per account; and a drain that takes
 * usage records out again. Postgres and the metering service stay away, so that their work does not share the two cores
 * with what is measured; the router cannot tell the difference, it sees the same keys and the same confirmations.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '@tollgate/shared/domain/catalog';
import { newId } from '@tollgate/shared/domain/ids';
import { type KeyRecord, mintKey } from '@tollgate/shared/domain/key';
import { MAX_LEASE_NUSD } from '@tollgate/shared/domain/money';
import { ConsoleDirectory } from '@tollgate/shared/redis/console-directory';
import { keyDigest } from '@tollgate/shared/redis/digest';
import { bucketOf } from '@tollgate/shared/redis/keys';
import { MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import { Redis } from 'ioredis';
import { MODEL } from './traffic.ts';

export const BUCKETS = 256;
export const PEPPER = 'bench-pepper-bench-pepper-bench-pepper';
const LEASE_MS = 24 * 3_600_000;
/** Every limit is on, none is reached: each is looked up and charged. */
const LIMITS = { requestsPerMinute: 6_000_000, tokensPerMinute: 1_000_000_000, concurrency: 100_000 };

export interface SeededKey {
  text: string;
  digest: string;
  record: KeyRecord;
}

/** Random bytes that repeat: the same keys in each run. */
function bytesFrom(seed: string): (count: number) => Uint8Array {
  let turn = 0;
  return (count) => {
    const parts: Buffer[] = [];
    for (let have = 0; have < count; have += 32) {
      parts.push(createHash('sha256').update(`${seed}:${turn++}`).digest());
    }
    return Buffer.concat(parts).subarray(0, count);
  };
}

function catalog(): Catalog {
  const model = {
    id: MODEL,
    createdAt: 1_795_235_419,
    ownedBy: 'bench',
    maxModelLen: 32_768,
    defaultMaxTokens: null,
    templateTokens: 8,
    templateTokensPerMessage: 8,
    priceId: 'price_bench' as const,
    prices: { inputNusd: 100_000_000n, cachedInputNusd: 50_000_000n, outputNusd: 300_000_000n },
    enabled: true,
  };
  return { version: 1, models: [model] };
}

function seedKey(i: number): SeededKey {
  const bytes = bytesFrom(`bench-key-${i}`);
  const { text } = mintKey(bytes);
  const record: KeyRecord = {
    keyId: newId('key', bytes),
    accountId: newId('acct', bytes),
    projectId: null,
    userId: null,
    kind: 'api',
    models: null,
    scopes: [],
    allowGrammars: false,
    limits: LIMITS,
    accountLimits: LIMITS,
    modelLimits: { [MODEL]: LIMITS },
    capDayNusd: String(MAX_LEASE_NUSD),
    capMonthNusd: String(MAX_LEASE_NUSD),
    expiresAtMs: null,
    revokedAtMs: null,
    accountFrozen: false,
    weight: 1,
  };
  return { text, digest: keyDigest(text, PEPPER), record };
}

/** Fills an empty Redis with `count` keys, each of an account of its own with a lease, and the catalogue. */
export async function seedRedis(url: string, count: number): Promise<SeededKey[]> {
  const redis = new Redis(url, { connectionName: 'bench-seed' });
  try {
    const keys = Array.from({ length: count }, (_, i) => seedKey(i));
    const directory = new ConsoleDirectory(redis);
    await directory.beginPublishing('bench');
    await directory.publishKeys(keys.map(({ digest, record }) => ({ digest, record })));
    await directory.publishCatalog(catalog());
    if (!(await directory.finishPublishing('bench'))) throw new Error('Redis was emptied while it was filled');
    const money = new MoneyScripts(redis, BUCKETS);
    for (const { record } of keys) {
      const { era, history, nowMs } = await money.ensureEra(bucketOf(record.accountId, BUCKETS), `era-${record.keyId}`);
      const { how } = await money.grant({
        accountId: record.accountId,
        leaseId: newId('lease', bytesFrom(record.accountId)),
        seq: 1n,
        history,
        era,
        grantedNusd: MAX_LEASE_NUSD,
        expMs: nowMs + LEASE_MS,
        create: true,
        notAfterMs: nowMs + 5_000,
        caps: [],
      });
      if (how !== 'created') throw new Error(`a lease was not made: ${how}`);
    }
    return keys;
  } finally {
    redis.disconnect();
  }
}

/** Buckets that the keys' accounts fall into. */
export function bucketsOf(keys: readonly SeededKey[]): number[] {
  return [...new Set(keys.map(({ record }) => bucketOf(record.accountId, BUCKETS)))];
}
