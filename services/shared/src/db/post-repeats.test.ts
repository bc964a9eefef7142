/** POSTs done once per Idempotency-Key, on PostgreSQL's own server where there is one: races show there alone. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import type { Identity } from '../contracts/internal.ts';
import { havePostgres, startPglite, startPostgres, type TestDatabase } from '../testkit/postgres.ts';
import { AccountStore } from './account-store.ts';
import { type Db, openDatabase } from './client.ts';
import { migrate } from './migrate.ts';
import { forgetPosts, isPostKnown, OncePost, POST_REPEATS, postName } from './post-repeats.ts';

const who: Identity = { accountId: 'acct_a', keyId: 'key_1', projectId: null, userId: null };
const KEY = 'canary-key-text-of-a-client';
const AT_MS = 1_000_000;

let server: TestDatabase;
let db: Db;
let repeats = 0;
let next = 0;

beforeAll(async () => {
  server = await (havePostgres() ? startPostgres() : startPglite());
  db = openDatabase({ url: server.url, poolMax: havePostgres() ? 8 : 1, applicationName: 'test' });
  await migrate(db);
  for (const id of ['acct_a', 'acct_b'] as const) await new AccountStore(db).create({ id, name: id, createdAtMs: 0 });
  await sql`CREATE TABLE made (id text PRIMARY KEY)`.execute(db);
}, 60_000);
afterAll(async () => {
  await db.destroy();
  await server.stop();
});
beforeEach(async () => {
  repeats = 0;
  await sql`TRUNCATE made, post_repeats`.execute(db);
});

const post = (asked: unknown = ['make', 'body'], as = who, key: string | null = KEY, atMs = AT_MS) =>
  new OncePost(db, as, key === null ? null : { key, onRepeat: () => repeats++ }, asked, atMs);
/** Makes a thing under an id of its own; answers the id of what was made. */
async function make(of: OncePost, before = async () => {}): Promise<string> {
  const id = `thing_${++next}`;
  return of.once(id, async (trx) => {
    await before();
    await sql`INSERT INTO made VALUES (${id})`.execute(trx);
  });
}
const all = async () =>
  (await sql<{ id: string }>`SELECT id FROM made ORDER BY id`.execute(db)).rows.map(({ id }) => id);

test('equal calls at once are done once, and each gets what was made', async () => {
  const made = await Promise.all(Array.from({ length: 8 }, () => make(post())));
  expect(await all()).toEqual([made[0]]);
  expect([new Set(made).size, repeats]).toEqual([1, 7]);
  const again = post();
  expect([await again.known(), again.isRepeat]).toEqual([made[0], true]);
  expect(await make(post())).toBe(made[0]);
});

test('a first that is undone leaves nothing, and whoever waited for it does the work', async () => {
  const begun = Promise.withResolvers<void>();
  const fail = Promise.withResolvers<void>();
  const first = make(post(), async () => {
    begun.resolve();
    await fail.promise;
    throw new Error('undone');
  }).catch((error: Error) => error.message);
  await begun.promise;
  const second = make(post());
  fail.resolve();
  expect(await first).toBe('undone');
  const made = await second;
  expect(await all()).toEqual([made]);
  expect(repeats).toBe(0);
});

test('something else under the same key is refused, before and in the middle of a race', async () => {
  await make(post());
  const refused = { code: 'idempotency_key_reused', param: 'idempotency-key' };
  await expect(post(['make', 'other']).known()).rejects.toMatchObject(refused);
  await expect(make(post(['unmake', 'body']))).rejects.toMatchObject(refused);
  expect([(await all()).length, repeats]).toEqual([1, 0]);
});

test('a key counts within its account, project and user; without one each call is the first', async () => {
  const others = [{ accountId: 'acct_b' }, { projectId: 'p' }, { userId: 'u' }].map((part) => ({ ...who, ...part }));
  const made = [];
  for (const as of [who, ...others]) {
    expect(await post(undefined, as).known()).toBeNull();
    made.push(await make(post(undefined, as)));
  }
  for (const [i, as] of [who, ...others].entries()) expect(await post(undefined, as).known()).toBe(made[i]);
  // Another key of the same account is somebody's rotated key.
  expect(await post(undefined, { ...who, keyId: 'key_2' }).known()).toBe(made[0]);
  const free = () => post(undefined, who, null);
  expect(await make(free())).not.toBe(await make(free()));
  expect([await free().known(), free().stepKey]).toEqual([null, null]);
});

test('a step of it at another service has a name of its own, the same in each repeat', () => {
  expect(post().stepKey).toBe(post().stepKey);
  const names = [
    post(),
    post(['make', 'other']),
    post(undefined, who, 'other key'),
    post(undefined, { ...who, userId: 'u' }),
  ];
  expect(new Set(names.map(({ stepKey }) => stepKey)).size).toBe(names.length);
  for (const { stepKey } of names) expect(stepKey).toMatch(/^[\x20-\x7e]{1,200}$/);
});

test('neither the key nor the body can be read from what is kept', async () => {
  await make(post(['make', 'a body that is a canary']));
  const { rows } = await sql<{ row: string }>`SELECT row_to_json(r)::text AS row FROM post_repeats r`.execute(db);
  expect(rows[0]!.row).not.toMatch(/canary/);
});

test('keys are forgotten after a day, and the oldest when an account has too many', async () => {
  const at = (key: string, atMs: number, as = who) => make(post(undefined, as, key, atMs));
  for (let i = 0; i < 5; i++) await at(`k${i}`, AT_MS + i);
  await at('theirs', AT_MS, { ...who, accountId: 'acct_b' });
  const known = async () => {
    const names = ['k0', 'k1', 'k2', 'k3', 'k4'].map((key) => postName(who, key, 0));
    return (await Promise.all(names.map((name) => isPostKnown(db, name)))).filter(Boolean).length;
  };
  expect(await forgetPosts(db, AT_MS + POST_REPEATS.keepMs)).toBe(0);
  expect(await forgetPosts(db, AT_MS, { keepMs: 10, perAccount: 3 })).toBe(2);
  expect(await known()).toBe(3);
  expect(await forgetPosts(db, AT_MS + 4 + POST_REPEATS.keepMs)).toBe(3);
  expect([await known(), (await all()).length]).toEqual([1, 6]);
  // What was made stays, and the key is free again.
  expect(await post(undefined, who, 'k0').known()).toBeNull();
});
