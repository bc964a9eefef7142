/** Users: who signs in, and with what. Passwords are hashes here, the second factor is sealed, recovery codes are digests. */
import { sql } from 'kysely';
import type { UserId } from '../domain/ids.ts';
import type { Executor, Tx } from './client.ts';

export interface User {
  id: UserId;
  /** Lower case. */
  email: string;
  emailVerified: boolean;
  name: string;
  passwordHash: string | null;
  operator: boolean;
  /** Sealed; set but unconfirmed while it is being set up. */
  totpSecret: string | null;
  twoFactor: boolean;
  createdAtMs: number;
}

export interface NewUser {
  id: UserId;
  email: string;
  emailVerified?: boolean;
  name: string;
  passwordHash: string | null;
  operator?: boolean;
  createdAtMs: number;
}

interface UserRow {
  id: UserId;
  email: string;
  email_verified_at: Date | null;
  name: string;
  password_hash: string | null;
  operator: boolean;
  totp_secret: string | null;
  totp_confirmed_at: Date | null;
  created_at: Date;
}

const view = (row: UserRow): User => ({
  id: row.id,
  email: row.email,
  emailVerified: row.email_verified_at !== null,
  name: row.name,
  passwordHash: row.password_hash,
  operator: row.operator,
  totpSecret: row.totp_secret,
  twoFactor: row.totp_confirmed_at !== null,
  createdAtMs: row.created_at.getTime(),
});

export class UserStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Null when the e-mail is taken. */
  async create(user: NewUser): Promise<User | null> {
    const { rows } = await sql<UserRow>`
      INSERT INTO users (id, email, email_verified_at, name, password_hash, operator, created_at)
      VALUES (${user.id}, ${user.email}, ${user.emailVerified ? new Date(user.createdAtMs) : null}, ${user.name},
              ${user.passwordHash}, ${user.operator ?? false}, ${new Date(user.createdAtMs)})
      ON CONFLICT (email) DO NOTHING RETURNING *`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  async get(id: string): Promise<User | null> {
    const { rows } = await sql<UserRow>`SELECT * FROM users WHERE id = ${id}`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  async byEmail(email: string): Promise<User | null> {
    const { rows } = await sql<UserRow>`SELECT * FROM users WHERE email = ${email}`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  async byIdentity(provider: string, subject: string): Promise<User | null> {
    const { rows } = await sql<UserRow>`
      SELECT u.* FROM user_identities i JOIN users u ON u.id = i.user_id
      WHERE i.provider = ${provider} AND i.subject = ${subject}`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  async link(provider: string, subject: string, userId: string, atMs: number): Promise<void> {
    await sql`INSERT INTO user_identities (provider, subject, user_id, created_at)
      VALUES (${provider}, ${subject}, ${userId}, ${new Date(atMs)}) ON CONFLICT DO NOTHING`.execute(this.#db);
  }

  async anyOperator(): Promise<boolean> {
    const { rows } = await sql`SELECT 1 FROM users WHERE operator LIMIT 1`.execute(this.#db);
    return rows.length > 0;
  }

  /** Users whose e-mail or name holds the text, at most 20. */
  async search(like: string): Promise<User[]> {
    const { rows } = await sql<UserRow>`
      SELECT * FROM users WHERE email LIKE ${like} OR name ILIKE ${like} ORDER BY email LIMIT 20`.execute(this.#db);
    return rows.map(view);
  }

  async rename(id: string, name: string): Promise<void> {
    await sql`UPDATE users SET name = ${name} WHERE id = ${id}`.execute(this.#db);
  }

  async setPassword(id: string, passwordHash: string | null): Promise<void> {
    await sql`UPDATE users SET password_hash = ${passwordHash} WHERE id = ${id}`.execute(this.#db);
  }

  async setOperator(id: string): Promise<void> {
    await sql`UPDATE users SET operator = true WHERE id = ${id}`.execute(this.#db);
  }

  async markVerified(id: string, atMs: number): Promise<void> {
    await sql`UPDATE users SET email_verified_at = coalesce(email_verified_at, ${new Date(atMs)}::timestamptz)
      WHERE id = ${id}`.execute(this.#db);
  }

  /** A sealed secret, not yet confirmed; refused (false) while a confirmed one is there. */
  async beginTotp(id: string, sealed: string): Promise<boolean> {
    const { numAffectedRows } = await sql`UPDATE users SET totp_secret = ${sealed}
      WHERE id = ${id} AND totp_confirmed_at IS NULL`.execute(this.#db);
    return numAffectedRows === 1n;
  }

  async confirmTotp(id: string, atMs: number): Promise<void> {
    await sql`UPDATE users SET totp_confirmed_at = ${new Date(atMs)}
      WHERE id = ${id} AND totp_secret IS NOT NULL`.execute(this.#db);
  }

  async dropTotp(id: string): Promise<void> {
    await sql`UPDATE users SET totp_secret = NULL, totp_confirmed_at = NULL WHERE id = ${id}`.execute(this.#db);
    await sql`DELETE FROM recovery_codes WHERE user_id = ${id}`.execute(this.#db);
  }

  /** True once per time step: a code that was seen over somebody's shoulder works no second time. */
  async takeTotpStep(id: string, step: number): Promise<boolean> {
    const { numAffectedRows } = await sql`UPDATE users SET totp_last_step = ${step}
      WHERE id = ${id} AND totp_last_step < ${step}`.execute(this.#db);
    return numAffectedRows === 1n;
  }

  async replaceRecoveryCodes(trx: Tx, id: string, digests: readonly string[]): Promise<void> {
    await sql`DELETE FROM recovery_codes WHERE user_id = ${id}`.execute(trx);
    await sql`INSERT INTO recovery_codes (user_id, digest)
      SELECT ${id}, d FROM unnest(${[...digests]}::text[]) AS d`.execute(trx);
  }

  /** True when the code was there and unused; it is used now. */
  async takeRecoveryCode(id: string, digest: string, atMs: number): Promise<boolean> {
    const { numAffectedRows } = await sql`UPDATE recovery_codes SET used_at = ${new Date(atMs)}
      WHERE user_id = ${id} AND digest = ${digest} AND used_at IS NULL`.execute(this.#db);
    return numAffectedRows === 1n;
  }
}
