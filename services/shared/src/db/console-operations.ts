/** Idempotency of the console's POSTs: what a first call made, found again by its repeats (see 010_console.sql). */
import { sql } from 'kysely';
import type { KeyId } from '../domain/ids.ts';
import type { Executor, Tx } from './client.ts';

export interface ConsoleOperation {
  scope: string;
  idemKey: string;
  requestHash: string;
  nonce: string;
  keyId: KeyId;
}

export class ConsoleOperationStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async find(scope: string, idemKey: string): Promise<ConsoleOperation | null> {
    const { rows } = await sql<ConsoleOperation>`
      SELECT scope, idem_key AS "idemKey", request_hash AS "requestHash", nonce, key_id AS "keyId"
      FROM console_operations WHERE scope = ${scope} AND idem_key = ${idemKey}`.execute(this.#db);
    return rows[0] ?? null;
  }

  /**
   * Adds the row, in the transaction that does the work. False when another call holds that key: it waits for that call
   * to end, so that after a false its row can be read once this transaction has ended.
   */
  async claim(trx: Tx, operation: ConsoleOperation, atMs: number): Promise<boolean> {
    const { numAffectedRows } = await sql`
      INSERT INTO console_operations (scope, idem_key, request_hash, nonce, key_id, created_at)
      VALUES (${operation.scope}, ${operation.idemKey}, ${operation.requestHash}, ${operation.nonce},
              ${operation.keyId}, ${new Date(atMs)})
      ON CONFLICT DO NOTHING`.execute(trx);
    return numAffectedRows === 1n;
  }

  /** Forgets operations that began before `beforeMs`. */
  async forget(beforeMs: number): Promise<void> {
    await sql`DELETE FROM console_operations WHERE created_at < ${new Date(beforeMs)}`.execute(this.#db);
  }
}

/** Holds the row of a key until the end of the transaction, so that what is read of it stays true. False when there is none. */
export async function lockKeyRow(trx: Tx, keyId: string): Promise<boolean> {
  const { rows } = await sql`SELECT 1 FROM api_keys WHERE id = ${keyId} FOR UPDATE`.execute(trx);
  return rows.length === 1;
}

/** The newest key that was made by rotating `keyId`, if any. */
export async function successorOf(trx: Tx, keyId: string): Promise<KeyId | null> {
  const { rows } = await sql<{ id: KeyId }>`
    SELECT id FROM api_keys WHERE rotated_from = ${keyId} ORDER BY created_at DESC, id DESC LIMIT 1`.execute(trx);
  return rows[0]?.id ?? null;
}

/**
 * Taken around "read from Postgres, write to Redis", so that an older reading never overwrites a newer one, whoever
 * publishes. Key space of its own (one 64-bit id), not that of `tryLock`.
 */
export async function lockPublishing(trx: Tx): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(7521962890199041)`.execute(trx);
}
