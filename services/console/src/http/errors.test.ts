/** What a caller is told when a store fails under a request: by the failure's code, and with a real server that makes them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Db, openDatabase } from '@tollgate/shared/db/client';
import { createLogger } from '@tollgate/shared/runtime/logger';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { havePostgres } from '@tollgate/shared/testkit/postgres';
import express from 'express';
import { sql } from 'kysely';
import { type Harness, startHarness } from '../testing/harness.ts';
import { errorHandler } from './errors.ts';

jest.setTimeout(300_000);

describe('a failure of the database, by its code', () => {
  let server: Server;
  let thrown: unknown;
  const ask = async () => {
    const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return {
      status: answer.status,
      headers: answer.headers,
      error: ((await answer.json()) as { error: { code: string } }).error,
    };
  };
  beforeAll(async () => {
    const app = express();
    app.get('/', () => {
      throw thrown;
    });
    app.use(errorHandler(createLogger({ service: 'test', level: 'silent' })));
    server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => void server.close());

  const withCode = (code: string) => Object.assign(new Error('secret text of the query'), { code });

  test.each([
    ...['40001', '40P01', '53100', '53200', '53300', '53400', '55P03', '57000', '57014', '57P01', '57P02', '57P03'],
    ...['57P05', '58000', '58030', '08006', '08P01', 'XX000', 'XX001', 'F0001', '25006', '25P03', '25P04'],
    ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'],
  ])('%s is 503 and says when to come back', async (code) => {
    thrown = withCode(code);
    const { status, headers, error } = await ask();
    expect([status, error.code]).toEqual([503, 'store_unavailable']);
    expect(headers.get('x-should-retry')).toBe('true');
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(headers.get('retry-after-ms'))).toBeGreaterThan(0);
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  // The query's or the data's fault: waiting helps nobody, and nobody must take it for an outage.
  test.each(['23505', '22P02', '42P01', '42601', '25P02', '40002', 'ENOENT', 'ERR_ASSERTION'])(
    '%s stays a 500 that is looked into',
    async (code) => {
      thrown = withCode(code);
      const { status, error } = await ask();
      expect([status, error.code]).toEqual([500, 'internal_error']);
      expect(JSON.stringify(error)).not.toContain('secret');
    },
  );
});

(havePostgres() ? describe : describe.skip)('on a real server', () => {
  let h: Harness;
  /** One connection, so that what it begins stays open. */
  let other: Db;
  let path = '';
  beforeAll(async () => {
    h = await startHarness({ database: 'postgres' });
    const { accountId } = (await h.post('/api/keys', { name: 'k' })).body;
    path = `/api/accounts/${accountId}/requests/newer?since=2026-01-01T00:00:00Z`;
    other = openDatabase({ url: h.databaseUrl, poolMax: 1, applicationName: 'test' });
  });
  afterAll(async () => {
    await other?.destroy();
    await h?.stop();
  });

  async function run(...statements: string[]): Promise<void> {
    for (const statement of statements) await sql.raw(statement).execute(other);
  }

  /** Waits until some query of the console stands behind a lock; returns its process. */
  const blocked = () =>
    eventually('the console waits for a lock', async () => {
      // Inside a transaction the list of sessions is a snapshot: one that connects later would never be seen.
      await run('SELECT pg_stat_clear_snapshot()');
      const { rows } = await sql<{ pid: number }>`SELECT pid FROM pg_stat_activity
        WHERE application_name = 'tollgate-console' AND wait_event_type = 'Lock'`.execute(other);
      return rows[0]?.pid ?? null;
    });

  test('a statement that is cut off is 503; the next one works', async () => {
    await run('BEGIN', 'LOCK TABLE request_log IN ACCESS EXCLUSIVE MODE');
    const answer = h.get(path);
    // What statement_timeout does at its time: SQLSTATE 57014.
    await run(`SELECT pg_cancel_backend(${await blocked()})`);
    const { status, headers, body } = await answer;
    expect([status, body.error.code, headers.has('retry-after')]).toEqual([503, 'store_unavailable', true]);
    await run('ROLLBACK');
    expect((await h.get(path)).status).toBe(200);
  });

  test('a connection that the server ends is 503; the next one works', async () => {
    await run('BEGIN', 'LOCK TABLE request_log IN ACCESS EXCLUSIVE MODE');
    const answer = h.get(path);
    await run(`SELECT pg_terminate_backend(${await blocked()})`);
    expect((await answer).status).toBe(503);
    await run('ROLLBACK');
    expect((await h.get(path)).status).toBe(200);
  });

  test('a read that loses a deadlock is done again, unseen', async () => {
    // The read takes the parent, then waits for the partition; this session takes them the other way round and is patient.
    await run(`ALTER SYSTEM SET deadlock_timeout = '3s'`, 'SELECT pg_reload_conf()', `SET deadlock_timeout = '1min'`);
    await run('BEGIN', 'LOCK TABLE request_log_default IN ACCESS EXCLUSIVE MODE');
    const before = await deadlocks();
    const answer = h.get(path);
    await blocked();
    await run('LOCK TABLE ONLY request_log IN ACCESS EXCLUSIVE MODE', 'COMMIT');
    expect((await answer).status).toBe(200);
    await eventually('the server counted the deadlock', async () => (await deadlocks()) > before);
  });

  async function deadlocks(): Promise<number> {
    const { rows } = await sql<{ deadlocks: bigint }>`
      SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`.execute(other);
    return Number(rows[0]!.deadlocks);
  }
});
