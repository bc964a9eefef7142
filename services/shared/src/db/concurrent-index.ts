/**
 * Indexes that are built and dropped while others write to their table: `CREATE INDEX` alone keeps every writer out until it
 * has ended, which takes minutes for a large graph, and `DROP INDEX` waits for whoever is there and lets nobody pass.
 *
 * One at a time over all processes, by an advisory lock of the session: two concurrent builds on one table wait for each
 * other in a circle. So the session must be the caller's own: a pooler between may lend it by session, not by transaction.
 *
 * Crash between any two steps: the lock goes with the session. A build that ended in the middle leaves its index INVALID:
 * nobody reads it, everybody still writes to it. The next build finds it so, under the lock that proves that nobody is
 * building it any more, drops it and builds anew. A process that dies leaves its session building: it ends well, or as above.
 *
 * PGlite has one session for all: nobody could write meanwhile, and it is built in the plain way.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Db, Executor } from './client.ts';
import { LOCK_SPACES, sqlState, tx } from './tx.ts';

export interface IndexName {
  schema: string;
  name: string;
}

export interface NewIndex extends IndexName {
  /** What follows the name in `CREATE INDEX`: `ON table USING ...`. */
  definition: RawBuilder<unknown>;
  /** Memory that building it may take, bytes; never less than the server's own setting. */
  memoryBytes: number;
}

/** `there`: nothing had to be done. `busy`: another index is being built or dropped; ask again later. */
export type Built = 'built' | 'there' | 'busy';
export type Dropped = 'dropped' | 'absent' | 'busy';

/** How long a drop waits for transactions that still use the index, before it is left for later. */
const DROP_WAIT_MS = 5_000;
const LOCK_NOT_AVAILABLE = '55P03';

export async function buildIndex(db: Db, index: NewIndex): Promise<Built> {
  if ((await stateOf(db, index)) === 'valid') return 'there';
  if (await isSingleSession(db)) {
    await tx(db, async (trx) => {
      await setMemory(trx, index.memoryBytes, true);
      await sql`CREATE INDEX IF NOT EXISTS ${sql.id(index.name)} ${index.definition}`.execute(trx);
    });
    return 'built';
  }
  return alone(db, async (session): Promise<Built> => {
    const state = await stateOf(session, index);
    if (state === 'valid') return 'there';
    await setMemory(session, index.memoryBytes, false);
    // Of a build that was cut off: under the lock nobody else can be at it.
    if (state === 'invalid') await sql`DROP INDEX CONCURRENTLY IF EXISTS ${nameOf(index)}`.execute(session);
    await sql`CREATE INDEX CONCURRENTLY IF NOT EXISTS ${sql.id(index.name)} ${index.definition}`.execute(session);
    return 'built';
  });
}

export async function dropIndex(db: Db, index: IndexName): Promise<Dropped> {
  if ((await stateOf(db, index)) === 'absent') return 'absent';
  if (await isSingleSession(db)) {
    await sql`DROP INDEX IF EXISTS ${nameOf(index)}`.execute(db);
    return 'dropped';
  }
  return alone(db, async (session): Promise<Dropped> => {
    await sql`SELECT set_config('lock_timeout', ${String(DROP_WAIT_MS)}, false)`.execute(session);
    try {
      await sql`DROP INDEX CONCURRENTLY IF EXISTS ${nameOf(index)}`.execute(session);
      return 'dropped';
    } catch (error) {
      // It may be half gone: nobody uses it any more, and the next drop ends it.
      if (sqlState(error) !== LOCK_NOT_AVAILABLE) throw error;
      return 'busy';
    }
  });
}

/** `work` in a session of its own under the lock of all indexes, or `busy`. Leaves the session as it was. */
async function alone<T>(db: Db, work: (session: Db) => Promise<T>): Promise<T | 'busy'> {
  return db.connection().execute(async (session) => {
    const { rows } = await sql<{ got: boolean }>`
      SELECT pg_try_advisory_lock(${LOCK_SPACES.indexes}, 0) AS got`.execute(session);
    if (!rows[0]!.got) return 'busy';
    try {
      // However long it takes: a limit of the server or the role is meant for questions.
      await sql`SELECT set_config('statement_timeout', '0', false)`.execute(session);
      return await work(session);
    } finally {
      // A session that is gone has no settings and no locks.
      for (const name of ['statement_timeout', 'lock_timeout', 'maintenance_work_mem'])
        await sql`RESET ${sql.id(name)}`.execute(session).catch(() => {});
      await sql`SELECT pg_advisory_unlock(${LOCK_SPACES.indexes}, 0)`.execute(session).catch(() => {});
    }
  });
}

async function stateOf(db: Db, index: IndexName): Promise<'valid' | 'invalid' | 'absent'> {
  const { rows } = await sql<{ valid: boolean }>`
    SELECT i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ${index.schema} AND c.relname = ${index.name}`.execute(db);
  if (!rows[0]) return 'absent';
  return rows[0].valid ? 'valid' : 'invalid';
}

/** A graph that does not fit is built many times slower. */
async function setMemory(db: Executor, bytes: number, isLocal: boolean): Promise<void> {
  await sql`
    SELECT set_config('maintenance_work_mem', m.bytes / 1024 || 'kB', ${isLocal}) FROM (
      SELECT greatest(${bytes}::bigint, pg_size_bytes(current_setting('maintenance_work_mem'))) AS bytes) m`.execute(
    db,
  );
}

/** True for PGlite. */
async function isSingleSession(db: Db): Promise<boolean> {
  const { rows } = await sql<{ single: boolean }>`SELECT version() LIKE '%PGlite%' AS single`.execute(db);
  return rows[0]!.single;
}

const nameOf = ({ schema, name }: IndexName) => sql.id(schema, name);
