import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Catalog } from '../domain/catalog.ts';
import { NO_LIMITS } from '../domain/limits.ts';
import { startRedis, type TestRedis } from '../testkit/redis.ts';
import { readCatalog } from './catalog-store.ts';
import { ConsoleDirectory } from './console-directory.ts';
import { keyDigest } from './digest.ts';
import { FleetStore } from './fleet-store.ts';
import { KeyStore } from './key-store.ts';
import { globalKeys } from './keys.ts';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(() => redis.client.flushall());
afterAll(() => redis.stop());

test('a digest depends on the key and on the pepper, and shows neither', () => {
  const digest = keyDigest('tg_live_a', 'pepper');
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  expect(digest).not.toBe(keyDigest('tg_live_b', 'pepper'));
  expect(digest).not.toBe(keyDigest('tg_live_a', 'other'));
  // HMAC-SHA-256 of RFC 4231, test case 2.
  expect(keyDigest('what do ya want for nothing?', 'Jefe')).toBe(
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
});

test('an unknown key is told apart from a Redis that does not have all keys', async () => {
  const keys = new KeyStore(redis.client);
  expect(await keys.read('d')).toEqual({ kind: 'not_ready' });
  const record = {
    keyId: 'key_1' as const,
    accountId: 'acct_1' as const,
    projectId: null,
    userId: null,
    kind: 'api' as const,
    models: null,
    scopes: [],
    allowGrammars: false,
    limits: NO_LIMITS,
    accountLimits: NO_LIMITS,
    modelLimits: {},
    capDayNusd: '5',
    capMonthNusd: null,
    expiresAtMs: null,
    revokedAtMs: null,
    accountFrozen: false,
    weight: 1,
  };
  await new ConsoleDirectory(redis.client).publishKeys([{ digest: 'd', record }]);
  expect(await keys.read('d')).toEqual({ kind: 'found', record });
  await redis.client.set(globalKeys.keysReady, '1');
  expect(await keys.read('e')).toEqual({ kind: 'unknown' });
  await new ConsoleDirectory(redis.client).publishKeys([{ digest: 'd', record: null }]);
  expect(await keys.read('d')).toEqual({ kind: 'unknown' });
});

test('the catalogue arrives as published, prices exact', async () => {
  expect(await readCatalog(redis.client)).toBeNull();
  const catalog: Catalog = {
    version: 3,
    models: [
      {
        id: 'm',
        createdAt: 1,
        ownedBy: 'me',
        maxModelLen: 4096,
        defaultMaxTokens: null,
        templateTokens: 5,
        templateTokensPerMessage: 2,
        priceId: 'price_1',
        prices: { inputNusd: 9_007_199_254_740_993n, cachedInputNusd: 1n, outputNusd: 2n },
        enabled: true,
      },
    ],
  };
  await new ConsoleDirectory(redis.client).publishCatalog(catalog);
  expect(await readCatalog(redis.client)).toEqual(catalog);
});

test('workers announce themselves; what cannot be read is left out', async () => {
  const fleet = new FleetStore(redis.client);
  const worker = { url: 'http://w1:8000', engine: 'vllm' as const, atMs: 1, ttlMs: 2 };
  await fleet.register(worker);
  for (const [field, text] of [
    ['a', 'no json'],
    ['b', 'null'],
    ['c', '{"url":"ftp://x","engine":"vllm"}'],
  ] as const) {
    await redis.client.hset(globalKeys.workers, field, text);
  }
  expect(await fleet.registrations()).toEqual([worker]);
  await fleet.unregister(worker.url);
  expect(await fleet.registrations()).toEqual([]);
  await new ConsoleDirectory(redis.client).publishDraining(['http://w2:8000']);
  expect(await fleet.draining()).toEqual(new Set(['http://w2:8000']));
});

test('a router shows its view of the fleet and takes it away', async () => {
  const fleet = new FleetStore(redis.client);
  await fleet.publishView('r1', { atMs: 5, workers: [] });
  const directory = new ConsoleDirectory(redis.client);
  expect((await directory.fleet()).views.get('r1')).toEqual({ atMs: 5, workers: [] });
  await fleet.removeView('r1');
  expect((await directory.fleet()).views.size).toBe(0);
});

test('a publication counts for the server and the history in which it began, and for nothing that came after it', async () => {
  const server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  try {
    const directory = new ConsoleDirectory(server.client);
    const publish = async (nonce: string, meanwhile: () => Promise<unknown>) => {
      await directory.beginPublishing(nonce);
      await directory.publishCatalog({ version: 1, models: [] });
      await meanwhile();
      return directory.finishPublishing(nonce);
    };
    expect(await directory.isReady()).toBe(false);
    expect(await publish('a', () => server.client.flushall())).toBe(false);
    expect(await publish('b', () => server.restart())).toBe(false);
    expect(await publish('c', async () => {})).toBe(true);
    expect(await directory.isReady()).toBe(true);
    expect(await directory.finishPublishing('c')).toBe(false);
    // All data is there again, but nobody knows whether all of it is.
    await server.restart();
    expect(await server.client.exists(globalKeys.keysReady)).toBe(1);
    expect(await directory.isReady()).toBe(false);
    expect(await publish('d', async () => {})).toBe(true);
    await server.client.del(globalKeys.catalog);
    expect(await directory.isReady()).toBe(false);
  } finally {
    await server.stop();
  }
});
