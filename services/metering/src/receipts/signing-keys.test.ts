import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { migrate } from '@tollgate/shared/db/migrate';
import { ReceiptStore } from '@tollgate/shared/db/receipt-store';
import { systemRandom } from '@tollgate/shared/runtime/random';
import { fakeClock } from '@tollgate/shared/testkit/fake-clock';
import { startPglite, type TestDatabase } from '@tollgate/shared/testkit/postgres';
import { compactVerify, createLocalJWKSet } from 'jose';
import { currentSigner } from './signing-keys.ts';

const TOKEN = 'a service token for tests only';
const DAY_MS = 86_400_000;
const clock = fakeClock();
let database: TestDatabase;
let db: Db;
let store: ReceiptStore;

beforeAll(async () => {
  database = await startPglite();
  db = openDatabase({ url: database.url, poolMax: 1, applicationName: 'test' });
  await migrate(db);
  store = new ReceiptStore(db);
}, 60_000);
afterAll(async () => {
  await db.destroy();
  await database.stop();
});

const signer = (serviceToken = TOKEN) => currentSigner(store, { serviceToken, clock, random: systemRandom });
/** As anybody verifies: by the published keys alone. */
async function verified(jws: string): Promise<string> {
  const keys = (await store.keys()).map(({ publicJwk }) => publicJwk);
  const { payload } = await compactVerify(jws, createLocalJWKSet({ keys: keys as never }));
  return new TextDecoder().decode(payload);
}

test('after 90 days another key signs; what any key ever signed is verified by the published set', async () => {
  const first = await signer();
  const old = await first.sign('{"n":1}');
  await clock.advance(90 * DAY_MS);
  expect((await signer()).kid).toBe(first.kid);
  await clock.advance(1);
  const second = await signer();
  expect(second.kid).not.toBe(first.kid);
  expect((await signer()).kid).toBe(second.kid);
  expect(await verified(old)).toBe('{"n":1}');
  expect(await verified(await second.sign('{"n":2}'))).toBe('{"n":2}');
  expect(await store.keys()).toHaveLength(2);
});

test('under another service token a new key signs, and no private part is published or stored in the clear', async () => {
  const before = await signer();
  const other = await signer('another service token, as long');
  expect(other.kid).not.toBe(before.kid);
  for (const { publicJwk, privateSealed } of await store.keys()) {
    expect(publicJwk).toMatchObject({ kty: 'OKP', crv: 'Ed25519', use: 'sig', alg: 'EdDSA' });
    expect(publicJwk).not.toHaveProperty('d');
    expect(privateSealed).not.toContain('"d"');
  }
});
