/** The one way to Postgres: a pg pool under kysely. The same on PostgreSQL 15 to 18 and on PGlite behind its socket. */
import { Kysely, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import type { Schema } from './schema.ts';

export type Db = Kysely<Schema>;
export type Tx = Transaction<Schema>;
/** A store works on the pool or inside somebody's transaction. */
export type Executor = Db | Tx;

export interface DatabaseOptions {
  url: string;
  /**
   * Connections at most. 1 is enough everywhere and right for PGlite, which has one session: nothing here relies on
   * two statements at a time.
   */
  poolMax: number;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  /** How long to wait for a connection, e.g. while Postgres is down. */
  connectTimeoutMs?: number;
  /** Ends a statement that runs longer, on the server. Unset: no limit. */
  statementTimeoutMs?: number;
  /** Told about connections that broke while idle; the pool replaces them by itself. */
  onError?: (error: Error) => void;
}

const OID = { int8: 20, date: 1082, numeric: 1700, int8Array: 1016 } as const;

/**
 * pg gives int8 and numeric as text by default; here both are bigint, so that no amount ever becomes a double. A
 * numeric with decimals is a programming error and throws. `date` stays text: a Date would shift it by the time zone.
 */
const parsers: Partial<Record<number, (text: string) => unknown>> = {
  [OID.int8]: (text) => BigInt(text),
  [OID.numeric]: (text) => BigInt(text),
  [OID.date]: (text) => text,
  [OID.int8Array]: (text) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(BigInt)),
};

const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    (format === 'binary' ? undefined : parsers[oid]) ?? pg.types.getTypeParser(oid, format)) as never,
};

/** Opens a pool. Nothing connects until the first query. Close it with `db.destroy()`. */
export function openDatabase(options: DatabaseOptions): Db {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolMax,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: options.statementTimeoutMs }),
    types,
  });
  // Without a listener a broken idle connection would end the process.
  pool.on('error', (error) => options.onError?.(error));
  // Nor does the pool listen while a connection is lent; its query fails by itself, the second event must not be fatal.
  pool.on('connect', (client) => void client.on('error', () => {}));
  pool.on('connect', dropWhenEnded);
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
}

/** SQLSTATEs after which the server closes the connection: shut down by an operator, or a session over its time. */
const ENDS_CONNECTION = /^(57P0[1-5]|25P0[34])$/;

/**
 * The server's last word arrives before the end of its connection does, and kysely gives a connection back without
 * saying how its query went: the pool would lend it to the next query, which then fails for nothing. Closing it from
 * this side makes the pool drop it.
 */
function dropWhenEnded(client: pg.PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  client.query = ((...args: unknown[]) => {
    const result = query(...args);
    if (result instanceof Promise) {
      // Whoever asked handles the failure; this only watches, and comes first.
      result.catch((error: { code?: unknown }) => {
        if (typeof error.code === 'string' && ENDS_CONNECTION.test(error.code))
          void (client as pg.PoolClient & pg.Client).end();
      });
    }
    return result;
  }) as typeof client.query;
}
