import { afterAll, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { havePostgres, startPostgres, type TestPostgres } from '../testkit/postgres.ts';
import { openDatabase } from './client.ts';

let server: TestPostgres | undefined;
afterAll(() => server?.stop());

// PGlite runs in this process and cannot be killed alone.
(havePostgres() ? test : test.skip)(
  'a server that dies under a statement fails that statement, not the process',
  async () => {
    server = await startPostgres();
    const fatal: unknown[] = [];
    const note = (error: unknown) => void fatal.push(error);
    process.on('uncaughtException', note);
    const db = openDatabase({ url: server.url, poolMax: 2, applicationName: 'test' });
    try {
      await sql`SELECT 1`.execute(db);
      const running = sql`SELECT pg_sleep(60)`.execute(db).then(
        () => 'finished',
        () => 'failed',
      );
      await sql`SELECT 1`.execute(db);
      await server.crash();
      expect(await running).toBe('failed');
      const { rows } = await sql<{ one: number }>`SELECT 1 AS one`.execute(db);
      expect(rows).toEqual([{ one: 1 }]);
      expect(fatal).toEqual([]);
    } finally {
      process.off('uncaughtException', note);
      await db.destroy();
    }
  },
  60_000,
);
