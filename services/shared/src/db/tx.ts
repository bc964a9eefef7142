/**
 * The one transaction of the product (MONEY.md 3.5). READ COMMITTED with explicit row locks: whoever changes money
 * first locks the `balances` rows of the accounts concerned in ascending order of id, then leases, then the rest. So every
 * statement after the lock sees what the previous holder committed, and two transactions cannot wait for each other in
 * a circle; should they (or should a server run at a stricter default level), the work is simply done again.
 */
import { sql } from 'kysely';
import type { Db, Executor, Tx } from './client.ts';

/** serialization_failure, deadlock_detected. */
const RETRYABLE = new Set(['40001', '40P01']);
const ATTEMPTS = 10;

export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** True for an error after which the same transaction may succeed. */
export function isRetryable(error: unknown): boolean {
  return RETRYABLE.has(sqlState(error) ?? '');
}

/**
 * True when the database itself was at fault (gone, shutting down, out of resources, a statement cut off), as opposed
 * to the data: such an error says nothing about the records at hand.
 */
export function isInfrastructure(error: unknown): boolean {
  const code = sqlState(error);
  if (code === undefined) return true;
  if (isRetryable(error)) return true;
  return !/^[0-9A-Z]{5}$/.test(code) || /^(08|25|53|55|57|58|F0|XX)/.test(code);
}

/**
 * Runs `work` in a transaction and commits; on any error rolls back and throws it. `work` may run several times, so it
 * must have no effect outside the database. It must use `trx` alone: with one connection, the pool would wait for ever.
 */
export async function tx<T>(db: Db, work: (trx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().setIsolationLevel('read committed').execute(work);
    } catch (error) {
      if (!isRetryable(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

/** `work` inside the given transaction, or in a new one when a pool is given. */
export function inTx<T>(executor: Executor, work: (trx: Tx) => Promise<T>): Promise<T> {
  return executor.isTransaction ? work(executor as Tx) : tx(executor as Db, work);
}

/**
 * Takes an advisory lock until the end of the transaction, without waiting. Transaction-level, because on PGlite all
 * clients share one session and a session's lock would exclude nobody.
 */
export async function tryLock(trx: Tx, space: LockSpace, id: number): Promise<boolean> {
  const { rows } = await sql<{
    got: boolean;
  }>`SELECT pg_try_advisory_xact_lock(${LOCK_SPACES[space]}, ${id}) AS got`.execute(trx);
  return rows[0]!.got;
}

/** The same, waiting for it. */
export async function lock(trx: Tx, space: LockSpace, id: number): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${LOCK_SPACES[space]}, ${id})`.execute(trx);
}

export const LOCK_SPACES = {
  migrate: 0x7467_0001,
  drain: 0x7467_0002,
  keeper: 0x7467_0003,
  jobs: 0x7467_0004,
  audit: 0x7467_0005,
  indexes: 0x7467_0006,
} as const;
export type LockSpace = keyof typeof LOCK_SPACES;

/** `work` under a savepoint: when it throws, what it did is undone, the transaction lives on, and the error is thrown. */
export async function savepoint<T>(trx: Tx, work: () => Promise<T>): Promise<T> {
  await sql`SAVEPOINT part`.execute(trx);
  let result: T;
  try {
    result = await work();
  } catch (error) {
    // With the server gone there is nothing to roll back to, and the first error is the one to tell.
    if (!isInfrastructure(error)) await sql`ROLLBACK TO SAVEPOINT part`.execute(trx);
    throw error;
  }
  await sql`RELEASE SAVEPOINT part`.execute(trx);
  return result;
}
