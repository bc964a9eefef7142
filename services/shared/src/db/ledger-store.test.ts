/** The ledger on both databases: PGlite (a local start), and PostgreSQL's own server, where races can show. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { sql } from 'kysely';
import type { AccountId } from '../domain/ids.ts';
import { counts, recordProof, testSeed } from '../testkit/counts.ts';
import { havePostgres, startPglite, startPostgres, type TestDatabase } from '../testkit/postgres.ts';
import { seededRandom } from '../testkit/seeded-random.ts';
import { AccountStore } from './account-store.ts';
import { BalanceError } from './balance.ts';
import { type Db, openDatabase } from './client.ts';
import { KeyStore } from './key-store.ts';
import { LeaseStore } from './lease-store.ts';
import { LedgerStore } from './ledger-store.ts';
import { MetaStore } from './meta-store.ts';
import { MigrationError, migrate, pendingMigrations } from './migrate.ts';
import { ModelStore } from './model-store.ts';
import { ReconcileStore } from './reconcile-store.ts';
import { tx } from './tx.ts';
import { UsageStore } from './usage-store.ts';

jest.setTimeout(60_000);

const databases: [string, () => Promise<TestDatabase>, number][] = [['PGlite', startPglite, 6]];
if (havePostgres()) databases.push(['PostgreSQL', startPostgres, 16]);

describe.each(databases)('the ledger on %s', (name, start, poolMax) => {
  let server: TestDatabase;
  let db: Db;
  let number = 0;

  beforeAll(async () => {
    server = await start();
    db = openDatabase({ url: server.url, poolMax, applicationName: 'test' });
    await migrate(db);
  }, 60_000);
  afterAll(async () => {
    await db?.destroy();
    await server?.stop();
  });

  async function account(creditNusd: bigint): Promise<AccountId> {
    const id: AccountId = `acct_${name}${++number}`;
    await new AccountStore(db).create({ id, name: 'test', createdAtMs: 1_000 + number });
    if (creditNusd > 0n) await new LedgerStore(db).credit(operation(id, creditNusd, 'first'));
    return id;
  }
  const operation = (accountId: string, amountNusd: bigint, key: string) => ({
    accountId,
    amountNusd,
    idemKey: `${accountId}-${key}`,
    reason: 'test',
  });

  test('migrations run once, from several processes at a time, and refuse a changed file', async () => {
    expect(await pendingMigrations(db)).toEqual([]);
    const results = await Promise.all([migrate(db), migrate(db)]);
    expect(results.map((result) => result.applied)).toEqual([[], []]);
    await sql`UPDATE schema_migrations SET checksum = 'x' || checksum WHERE name = '001_accounts.sql'`.execute(db);
    await expect(migrate(db)).rejects.toThrow(MigrationError);
    await sql`UPDATE schema_migrations SET checksum = substr(checksum, 2) WHERE name = '001_accounts.sql'`.execute(db);
  });

  test('concurrent spending of one account never goes below zero and never loses a transaction', async () => {
    const id = await account(1_000n);
    const ledger = new LedgerStore(db);
    const random = seededRandom(testSeed());
    const tries = counts(80, 1_000);
    let debited = 0n;
    let refused = 0;
    await Promise.all(
      Array.from({ length: tries }, async (_, index) => {
        const amount = BigInt(1 + random.int(40));
        // Half of them are sent twice, at the same time: one transaction each.
        const copies = index % 2 === 0 ? 2 : 1;
        const results = await Promise.allSettled(
          Array.from({ length: copies }, () => ledger.debit(operation(id, amount, `debit${index}`))),
        );
        const done = results.filter((result) => result.status === 'fulfilled');
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(BalanceError);
        }
        const applied = done.filter((result) => result.value.applied);
        expect(applied.length).toBeLessThanOrEqual(1);
        if (applied.length === 1) debited += amount;
        else refused++;
      }),
    );
    const balance = await ledger.balance(id);
    expect(balance).toMatchObject({ available: 1_000n - debited, credited: 1_000n - debited, receivable: 0n });
    expect(balance!.version).toBe(1n + BigInt(tries - refused));
    expect((await new ReconcileStore(db).auditLedger(1_000)).findings).toEqual([]);
    recordProof({
      name: `concurrent debits on ${name}`,
      count: tries,
      seed: testSeed(),
      result: 'balance exact, >= 0',
    });
  }, 120_000);

  test('leases opened and raised at the same time never cover the same money twice', async () => {
    const id = await account(100n);
    const lease = (leaseId: string, amountNusd: bigint) =>
      tx(db, async (trx) => {
        await new LedgerStore(trx).lockBalance(trx, id);
        const open = await new LeaseStore(trx).openOf(id);
        if (open) return (await new LeaseStore(trx).add(id, open.id, amountNusd, 1))?.lease.id;
        const row = { accountId: id, bucket: 0, history: 'h', era: 'e', amountNusd, expMs: 0 };
        return (await new LeaseStore(trx).open({ ...row, id: `lease_${leaseId}` })).lease.id;
      });
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => lease(`${id}${index}`, 10n)));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(10);
    expect(await new LedgerStore(db).balance(id)).toMatchObject({ available: 0n, leased: 100n });
    const open = (await new LeaseStore(db).openOf(id))!;
    expect(open).toMatchObject({ grantedNusd: 100n, seq: 1n });

    // Totals, not differences: booked by two at once they count once.
    const store = new LeaseStore(db);
    await Promise.all([30n, 10n, 30n, 20n].map((total) => store.bookReturned(id, open.id, total)));
    expect(await new LedgerStore(db).balance(id)).toMatchObject({ available: 30n, leased: 70n });
    await Promise.all([store.quarantine(id, open.id, 'history'), store.quarantine(id, open.id, 'missing')]);
    expect(await new LedgerStore(db).balance(id)).toMatchObject({ leased: 0n, quarantined: 70n });
    await Promise.all([store.release(id, open.id, 25n), store.release(id, open.id, 25n)]);
    expect(await new LedgerStore(db).balance(id)).toMatchObject({ available: 75n, quarantined: 25n });
    expect(await store.release(id, open.id, 0n)).toMatchObject({ state: 'closed', restNusd: 0n });
    expect(await new LedgerStore(db).balance(id)).toMatchObject({ available: 100n, quarantined: 0n });
  });

  test('the database itself refuses what the code must never do', async () => {
    const id = await account(10n);
    const other = await account(10n);
    const refused = async (work: Promise<unknown>, text: RegExp) => expect(work).rejects.toThrow(text);
    await refused(sql`UPDATE balances SET available = available + 1 WHERE account_id = ${id}`.execute(db), /identity/);
    await refused(
      sql`UPDATE balances SET available = -1, posted = 11 WHERE account_id = ${id}`.execute(db),
      /available_check/,
    );
    await refused(
      sql`UPDATE balances SET receivable = 5, credited = 5 WHERE account_id = ${id}`.execute(db),
      /debt_first/,
    );
    await refused(sql`UPDATE entries SET amount_nusd = 7`.execute(db), /immutable/);
    await refused(sql`DELETE FROM transactions`.execute(db), /immutable/);
    const lopsided = tx(db, async (trx) => {
      const row = { kind: 'credit_grant' as const, idem_key: `${id}-lopsided`, account_id: id };
      const made = await trx.insertInto('transactions').values(row).returning('id').executeTakeFirstOrThrow();
      const entry = { transaction_id: made.id, bucket_kind: 'available' as const, account_id: id, amount_nusd: 5n };
      await trx.insertInto('entries').values(entry).execute();
    });
    await refused(lopsided, /sum to 5/);
    const ledger = new LedgerStore(db);
    await refused(ledger.credit({ ...operation(other, 1n, ''), idemKey: `${id}-first` }), /another account/);
    await refused(ledger.credit(operation('acct_nobody', 1n, 'x')), /does not exist/);
    const models = new ModelStore(db);
    await models.create({ id: `m${name}`, ownedBy: 'x', maxModelLen: 10, createdAtMs: 1 });
    const prices = { inputNusd: 5n, cachedInputNusd: 6n, outputNusd: 1n };
    const price = { id: `price_${name}` as const, model: `m${name}`, validFromMs: 0 };
    await refused(models.addPrice({ ...price, prices }), /cached_not_above_input/);
    await models.addPrice({ ...price, prices: { ...prices, cachedInputNusd: 5n } });
    await refused(sql`UPDATE prices SET output_nusd = 2`.execute(db), /immutable/);
    expect(await ledger.balance(id)).toMatchObject({ available: 10n, credited: 10n });
  });

  test('another bucket count than the stored one is refused', async () => {
    const meta = new MetaStore(db);
    await meta.agreeOnBucketCount(256);
    await meta.agreeOnBucketCount(256);
    await expect(meta.agreeOnBucketCount(128)).rejects.toThrow('bucket_count = 256');
  });

  test('money beyond 2^53 stays exact, in both directions', async () => {
    const large = 9_007_199_254_740_993n;
    const id = await account(large);
    expect((await new LedgerStore(db).balance(id))!.available).toBe(large);
    const { rows } = await sql<{
      total: bigint;
    }>`SELECT sum(available) AS total FROM balances WHERE account_id = ${id}`.execute(db);
    expect(rows[0]!.total).toBe(large);
  });

  test('pages show every row once while rows are added', async () => {
    const id = await account(0n);
    const ledger = new LedgerStore(db);
    const keys = new KeyStore(db);
    for (let index = 0; index < 7; index++) {
      await ledger.credit(operation(id, 1n, `p${index}`));
      // All at the same moment: the id decides.
      const key = {
        id: `key_${name}${index}` as const,
        accountId: id,
        prefix: 'p',
        last4: 'l',
        name: 'k',
        createdAtMs: 5,
      };
      await keys.create({ ...key, digest: `${id}${index}` });
    }
    const walk = async <T>(read: (cursor: string | null) => Promise<{ data: T[]; next: string | null }>) => {
      const all: T[] = [];
      let cursor: string | null = null;
      do {
        const page: { data: T[]; next: string | null } = await read(cursor);
        all.push(...page.data);
        cursor = page.next;
        await ledger.credit(operation(id, 1n, `later${all.length}`));
      } while (cursor);
      return all;
    };
    const transactions = await walk((cursor) => ledger.list(id, { limit: 3, cursor }));
    expect(transactions.map((each) => each.idemKey)).toEqual([6, 5, 4, 3, 2, 1, 0].map((index) => `${id}-p${index}`));
    const found = await walk((cursor) => keys.list({ accountId: id, limit: 2, cursor }));
    expect(new Set(found.map((key) => key.id)).size).toBe(7);
    await expect(ledger.list(id, { limit: 1, cursor: 'nonsense' })).rejects.toThrow('cursor');
  });

  test('partitions are made ahead, once, and take what had already fallen into the default one', async () => {
    const usage = new UsageStore(db);
    const at = Date.UTC(2031, 4, 3);
    await sql`INSERT INTO request_log (request_id, admitted_at, account_id, key_id, model, endpoint, stream, final, outcome,
      status, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, count_source, amount_nusd, held_nusd,
      price_id, clipped, router_id, finished_at, duration_ms)
      VALUES ('req_early', ${new Date(at)}, 'a', 'k', 'm', 'e', true, true, 'served', 200, 1, 0, 1, 0, 'engine', 1, 1, 'p',
      false, 'r', ${new Date(at)}, 1)`.execute(db);
    expect(await usage.ensurePartitions(at, 1)).toEqual(['request_log_2031_05', 'request_log_2031_06']);
    expect(await usage.ensurePartitions(at, 1)).toEqual([]);
    const { rows } = await sql<{ part: string }>`
      SELECT tableoid::regclass::text AS part FROM request_log WHERE request_id = 'req_early'`.execute(db);
    expect(rows).toEqual([{ part: 'request_log_2031_05' }]);
    expect((await usage.get('req_early'))?.admittedAtMs).toBe(at);
  });
});
