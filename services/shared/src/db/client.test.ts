import { connect, createServer } from 'node:net';
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

(havePostgres() ? test : test.skip)(
  'a connection that the server has ended is lent to nobody, even before its end arrives',
  async () => {
    server ??= await startPostgres();
    const upstream = new URL(server.url);
    // Passes on every byte, never the end: as a busy machine does for a moment.
    const relay = createServer((client) => {
      const behind = connect({ host: upstream.hostname, port: Number(upstream.port), allowHalfOpen: true });
      client.on('error', () => {}).on('close', () => behind.destroy());
      behind.on('error', () => {}).on('data', (bytes) => client.write(bytes));
      client.on('data', (bytes) => behind.write(bytes));
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    const { port } = relay.address() as { port: number };
    const through = new URL(server.url);
    through.port = String(port);
    const db = openDatabase({ url: through.href, poolMax: 1, applicationName: 'test', connectTimeoutMs: 5_000 });
    try {
      const ended = sql`SELECT pg_terminate_backend(pg_backend_pid())`.execute(db);
      await expect(ended).rejects.toMatchObject({ code: '57P01' });
      const { rows } = await sql<{ one: number }>`SELECT 1 AS one`.execute(db);
      expect(rows).toEqual([{ one: 1 }]);
    } finally {
      await db.destroy();
      relay.close();
    }
  },
  60_000,
);
