/** Indexes that are built under load, on PostgreSQL's own server: PGlite has one session, and nobody who could wait. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import pg from 'pg';
import { eventually } from '../testkit/eventually.ts';
import { havePostgres, startPostgres, type TestPostgres } from '../testkit/postgres.ts';
import { type Db, openDatabase } from './client.ts';
import { buildIndex, dropIndex } from './concurrent-index.ts';

(havePostgres() ? describe : describe.skip)('on a server with many sessions', () => {
  let server: TestPostgres;
  let db: Db;

  beforeAll(async () => {
    server = await startPostgres();
    db = openDatabase({ url: server.url, poolMax: 8, applicationName: 'test' });
    await sql`CREATE TABLE things (id integer)`.execute(db);
  }, 60_000);
  afterAll(async () => {
    await db?.destroy();
    await server?.stop();
  });

  const index = (name: string) => ({
    ...{ schema: 'public', name },
    definition: sql`ON things (id)`,
    memoryBytes: 2_000_000,
  });
  const isValid = async (name: string): Promise<boolean | null> => {
    const { rows } = await sql<{ valid: boolean }>`
      SELECT i.indisvalid AS valid FROM pg_index i WHERE i.indexrelid = to_regclass(${name})`.execute(db);
    return rows[0]?.valid ?? null;
  };
  const write = (id: number) =>
    db.transaction().execute(async (trx) => {
      await sql`SET LOCAL lock_timeout = '10s'`.execute(trx);
      await sql`INSERT INTO things VALUES (${id})`.execute(trx);
    });
  /** A build that waits: for a transaction that has written and goes on. */
  async function waitingBuild(name: string) {
    const writer = new pg.Client({ connectionString: server.url });
    // It is gone with a server that is killed.
    writer.on('error', () => {});
    await writer.connect();
    await writer.query('BEGIN; INSERT INTO things VALUES (0)');
    const building = buildIndex(db, index(name)).catch((error: unknown) => error as Error);
    await eventually('it is being built', async () => (await isValid(name)) === false);
    const end = async () => {
      await writer.query('COMMIT').catch(() => {});
      await writer.end().catch(() => {});
    };
    return { end, building };
  }

  test('whoever writes goes on writing, and another build is told to come again', async () => {
    expect(await buildIndex(db, index('first'))).toBe('built');
    expect(await buildIndex(db, index('first'))).toBe('there');
    const { end, building } = await waitingBuild('second');
    // A plain CREATE INDEX stands in the line before these, behind the open transaction.
    for (let id = 1; id <= 5; id++) await write(id);
    expect(await buildIndex(db, index('third'))).toBe('busy');
    expect(await dropIndex(db, index('first'))).toBe('busy');
    expect(await isValid('second')).toBe(false);
    await end();
    expect(await building).toBe('built');
    expect([await isValid('first'), await isValid('second'), await isValid('third')]).toEqual([true, true, null]);
    expect([await dropIndex(db, index('first')), await dropIndex(db, index('first'))]).toEqual(['dropped', 'absent']);
  }, 60_000);

  const endSession = () =>
    sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND pid <> pg_backend_pid()`.execute(db);
  const CUTS: [string, string, () => Promise<unknown>][] = [
    ['its session is ended', 'cut_session', endSession],
    ['the server is killed', 'cut_server', () => server.crash()],
  ];
  test.each(CUTS)(
    'a build that is cut off because %s leaves an index that nobody reads; the next one builds it anew',
    async (_why, name, cut) => {
      const { end, building } = await waitingBuild(name);
      await cut();
      expect(await building).toBeInstanceOf(Error);
      await end();
      expect(await eventually('the server answers', async () => [await isValid(name)])).toEqual([false]);
      expect(await buildIndex(db, index(name))).toBe('built');
      expect(await isValid(name)).toBe(true);
    },
    60_000,
  );

  test('leaves its session as it was', async () => {
    const single = openDatabase({ url: server.url, poolMax: 1, applicationName: 'test' });
    try {
      await sql`ALTER ROLE postgres SET statement_timeout = '50s'`.execute(db);
      expect(await buildIndex(single, index('tidy'))).toBe('built');
      expect(await dropIndex(single, index('tidy'))).toBe('dropped');
      const { rows } = await sql<Record<string, string>>`
        SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
               (SELECT setting FROM pg_settings WHERE name = 'maintenance_work_mem') =
               (SELECT boot_val FROM pg_settings WHERE name = 'maintenance_work_mem') AS memory,
               (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks`.execute(single);
      expect(rows).toEqual([{ statement: '50s', lock: '0', memory: true, locks: 0 }]);
    } finally {
      await single.destroy();
    }
  }, 60_000);
});
