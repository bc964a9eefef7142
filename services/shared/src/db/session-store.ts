/** Sessions of the dashboard. The cookie's text is nowhere; its SHA-256 finds the row. */
import { sql } from 'kysely';
import type { UserId } from '../domain/ids.ts';
import type { Executor } from './client.ts';
import { decodeCursor, olderThan, type Page, type PageRequest, pageLimit, toPage } from './page.ts';

export type SessionMethod = 'password' | 'oidc' | 'claim' | 'invitation';

export interface Session {
  id: string;
  userId: UserId;
  method: SessionMethod;
  createdAtMs: number;
  lastSeenAtMs: number;
  expiresAtMs: number;
  /** When the user last proved who they are. */
  freshAtMs: number;
  ip: string | null;
  userAgent: string | null;
}

export interface NewSession extends Session {
  digest: string;
}

interface SessionRow {
  id: string;
  user_id: UserId;
  method: SessionMethod;
  created_at: Date;
  last_seen_at: Date;
  expires_at: Date;
  fresh_at: Date;
  ip: string | null;
  user_agent: string | null;
}

const view = (row: SessionRow): Session => ({
  id: row.id,
  userId: row.user_id,
  method: row.method,
  createdAtMs: row.created_at.getTime(),
  lastSeenAtMs: row.last_seen_at.getTime(),
  expiresAtMs: row.expires_at.getTime(),
  freshAtMs: row.fresh_at.getTime(),
  ip: row.ip,
  userAgent: row.user_agent,
});

export class SessionStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async create(session: NewSession): Promise<void> {
    await sql`INSERT INTO sessions (id, digest, user_id, method, created_at, last_seen_at, expires_at, fresh_at, ip, user_agent)
      VALUES (${session.id}, ${session.digest}, ${session.userId}, ${session.method}, ${new Date(session.createdAtMs)},
              ${new Date(session.lastSeenAtMs)}, ${new Date(session.expiresAtMs)}, ${new Date(session.freshAtMs)},
              ${session.ip}, ${session.userAgent})`.execute(this.#db);
  }

  /** The live session of a cookie: not revoked, not expired, seen after `idleSinceMs`. */
  async find(digest: string, nowMs: number, idleSinceMs: number): Promise<Session | null> {
    const { rows } = await sql<SessionRow>`
      SELECT * FROM sessions WHERE digest = ${digest} AND revoked_at IS NULL AND expires_at > ${new Date(nowMs)}
        AND last_seen_at > ${new Date(idleSinceMs)}`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  async touch(id: string, atMs: number): Promise<void> {
    await sql`UPDATE sessions SET last_seen_at = greatest(last_seen_at, ${new Date(atMs)}::timestamptz)
      WHERE id = ${id}`.execute(this.#db);
  }

  async refresh(id: string, atMs: number): Promise<void> {
    await sql`UPDATE sessions SET fresh_at = ${new Date(atMs)} WHERE id = ${id}`.execute(this.#db);
  }

  /** Live sessions of a user, newest first. */
  async list(userId: string, nowMs: number, idleSinceMs: number, page: PageRequest): Promise<Page<Session>> {
    const limit = pageLimit(page);
    const after = decodeCursor(page.cursor);
    const { rows } = await sql<SessionRow>`
      SELECT * FROM sessions
      WHERE user_id = ${userId} AND revoked_at IS NULL AND expires_at > ${new Date(nowMs)}
        AND last_seen_at > ${new Date(idleSinceMs)}
        AND ${olderThan(after)}
      ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(rows, limit, (row) => ({ atMs: row.created_at.getTime(), id: row.id }), view);
  }

  /** False when this user has no such session. */
  async revoke(userId: string, id: string, atMs: number): Promise<boolean> {
    const { numAffectedRows } = await sql`UPDATE sessions
      SET revoked_at = coalesce(revoked_at, ${new Date(atMs)}::timestamptz)
      WHERE id = ${id} AND user_id = ${userId}`.execute(this.#db);
    return numAffectedRows === 1n;
  }

  /** Every session of a user but `exceptId`. */
  async revokeAll(userId: string, exceptId: string | null, atMs: number): Promise<void> {
    await sql`UPDATE sessions SET revoked_at = ${new Date(atMs)}
      WHERE user_id = ${userId} AND revoked_at IS NULL AND id <> ${exceptId ?? ''}`.execute(this.#db);
  }

  /** Rows that nobody needs any more. */
  async forget(beforeMs: number): Promise<void> {
    await sql`DELETE FROM sessions WHERE expires_at < ${new Date(beforeMs)}`.execute(this.#db);
  }
}
