/** Links for a new password, SQL side. The token is nowhere; its SHA-256 finds the row. */
import { sql } from 'kysely';
import type { Executor, Tx } from './client.ts';

export interface NewPasswordReset {
  digest: string;
  userId: string;
  issuedBy: string;
  createdAtMs: number;
  expiresAtMs: number;
}

export class PasswordResetStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async create(reset: NewPasswordReset): Promise<void> {
    await sql`INSERT INTO password_resets (digest, user_id, issued_by, created_at, expires_at)
      VALUES (${reset.digest}, ${reset.userId}, ${reset.issuedBy}, ${new Date(reset.createdAtMs)},
              ${new Date(reset.expiresAtMs)})`.execute(this.#db);
  }

  /** The user of a link that may be used now; it is used then, and every other link of that user with it. */
  async take(trx: Tx, digest: string, nowMs: number): Promise<string | null> {
    const { rows } = await sql<{ user_id: string }>`
      UPDATE password_resets SET used_at = ${new Date(nowMs)}
      WHERE digest = ${digest} AND used_at IS NULL AND expires_at > ${new Date(nowMs)} RETURNING user_id`.execute(trx);
    const userId = rows[0]?.user_id ?? null;
    if (userId !== null) await new PasswordResetStore(trx).endAll(userId, nowMs);
    return userId;
  }

  /** Ends every open link of a user. */
  async endAll(userId: string, nowMs: number): Promise<void> {
    await sql`UPDATE password_resets SET used_at = ${new Date(nowMs)}
      WHERE user_id = ${userId} AND used_at IS NULL`.execute(this.#db);
  }

  async forget(beforeMs: number): Promise<void> {
    await sql`DELETE FROM password_resets WHERE expires_at < ${new Date(beforeMs)}`.execute(this.#db);
  }
}
