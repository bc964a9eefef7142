/**
 * Kept bodies, SQL side. A row of `body_retention` is an account's switch; every body is written under that row's lock,
 * so that what arrives after a switch was turned off is not kept, and the account's total is exact.
 */
import { sql } from 'kysely';
import type { KeptBody } from '../contracts/kept-body.ts';
import type { Db, Executor, Tx } from './client.ts';
import { tx } from './tx.ts';

const DAY_MS = 86_400_000;

export interface BodyRetention {
  enabled: boolean;
  days: number;
  storedBytes: bigint;
  changedAtMs: number;
  changedBy: string;
}

export interface StoredBody {
  accountId: string;
  keyId: string;
  admittedAtMs: number;
  expiresAtMs: number;
  sealed: Buffer;
  requestBytes: number;
  answerBytes: number;
  requestTruncated: boolean;
  answerTruncated: boolean;
}

interface RetentionRow {
  account_id: string;
  enabled: boolean;
  days: number;
  stored_bytes: bigint;
  changed_at: Date;
  changed_by: string;
}

export class BodyStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Null: never switched on. */
  async retention(accountId: string): Promise<BodyRetention | null> {
    const { rows } = await sql<RetentionRow>`
      SELECT * FROM body_retention WHERE account_id = ${accountId}`.execute(this.#db);
    const row = rows[0];
    return row
      ? {
          enabled: row.enabled,
          days: row.days,
          storedBytes: row.stored_bytes,
          changedAtMs: row.changed_at.getTime(),
          changedBy: row.changed_by,
        }
      : null;
  }

  /** Fewer days end earlier what is kept already; more days change nothing of it. `deleteKept` ends it now. */
  static async setRetention(
    db: Db,
    accountId: string,
    set: { enabled: boolean; days: number; deleteKept: boolean; atMs: number; by: string },
  ): Promise<void> {
    const at = new Date(set.atMs);
    const keptMs = set.deleteKept ? null : set.days * DAY_MS;
    await tx(db, async (trx) => {
      await sql`
        INSERT INTO body_retention (account_id, enabled, days, changed_at, changed_by)
        VALUES (${accountId}, ${set.enabled}, ${set.days}, ${at}, ${set.by})
        ON CONFLICT (account_id) DO UPDATE SET enabled = excluded.enabled, days = excluded.days,
          changed_at = excluded.changed_at, changed_by = excluded.changed_by`.execute(trx);
      const end = keptMs === null ? sql`${at}::timestamptz` : sql`admitted_at + ${keptMs}::bigint * interval '1 ms'`;
      await sql`UPDATE kept_bodies SET expires_at = least(expires_at, ${end})
        WHERE account_id = ${accountId} AND expires_at > ${end}`.execute(trx);
    });
  }

  /**
   * Writes what arrived; returns how many are kept now. Those of accounts that are not switched on, and those past an
   * account's bound, are not. A repeat changes nothing.
   */
  static async add(db: Db, bodies: readonly KeptBody[], mostBytes: bigint, nowMs: number): Promise<number> {
    const accounts = [...new Set(bodies.map(({ accountId }) => accountId))].sort();
    return tx(db, async (trx) => {
      let kept = 0;
      for (const accountId of accounts) {
        const { rows } = await sql<RetentionRow>`
          SELECT * FROM body_retention WHERE account_id = ${accountId} FOR UPDATE`.execute(trx);
        const retention = rows[0];
        if (!retention?.enabled) continue;
        let room = mostBytes - retention.stored_bytes;
        const fitting = bodies
          .filter((body) => body.accountId === accountId)
          .map((body) => ({ ...body, bytes: Buffer.from(body.sealed, 'base64') }))
          .filter(({ bytes }) => {
            if (room < bytes.length) return false;
            room -= BigInt(bytes.length);
            return true;
          });
        const added = await insert(trx, fitting, retention.days, nowMs);
        kept += added.length;
        await changeTotal(
          trx,
          accountId,
          added.reduce((sum, { size }) => sum + size, 0n),
        );
      }
      return kept;
    });
  }

  /** What was kept of a request, until its time is over. */
  async get(accountId: string, requestId: string, nowMs: number): Promise<StoredBody | null> {
    const { rows } = await sql<BodyRow>`
      SELECT * FROM kept_bodies WHERE request_id = ${requestId} AND account_id = ${accountId}
        AND expires_at > ${new Date(nowMs)}`.execute(this.#db);
    const row = rows[0];
    return row
      ? {
          accountId: row.account_id,
          keyId: row.key_id,
          admittedAtMs: row.admitted_at.getTime(),
          expiresAtMs: row.expires_at.getTime(),
          sealed: row.sealed,
          requestBytes: Number(row.request_bytes),
          answerBytes: Number(row.answer_bytes),
          requestTruncated: row.request_truncated,
          answerTruncated: row.answer_truncated,
        }
      : null;
  }

  /** Until when a request's body is kept, without reading it. */
  async keptUntilMs(accountId: string, requestId: string, nowMs: number): Promise<number | null> {
    const { rows } = await sql<{ expires_at: Date }>`
      SELECT expires_at FROM kept_bodies WHERE request_id = ${requestId} AND account_id = ${accountId}
        AND expires_at > ${new Date(nowMs)}`.execute(this.#db);
    return rows[0]?.expires_at.getTime() ?? null;
  }

  /** Deletes at most `most` whose time is over; returns how many. Several may do it at once. */
  static async deleteExpired(db: Db, nowMs: number, most: number): Promise<number> {
    return tx(db, async (trx) => {
      const { rows } = await sql<{ account_id: string; size: bigint }>`
        DELETE FROM kept_bodies WHERE request_id IN (
          SELECT request_id FROM kept_bodies WHERE expires_at <= ${new Date(nowMs)}
          ORDER BY expires_at LIMIT ${most} FOR UPDATE SKIP LOCKED)
        RETURNING account_id, octet_length(sealed)::bigint AS size`.execute(trx);
      const totals = new Map<string, bigint>();
      for (const { account_id: id, size } of rows) totals.set(id, (totals.get(id) ?? 0n) + size);
      for (const id of [...totals.keys()].sort()) await changeTotal(trx, id, -totals.get(id)!);
      return rows.length;
    });
  }
}

interface BodyRow {
  account_id: string;
  key_id: string;
  admitted_at: Date;
  expires_at: Date;
  sealed: Buffer;
  request_bytes: bigint;
  answer_bytes: bigint;
  request_truncated: boolean;
  answer_truncated: boolean;
}

async function insert(
  trx: Tx,
  bodies: readonly (KeptBody & { bytes: Buffer })[],
  days: number,
  nowMs: number,
): Promise<{ size: bigint }[]> {
  if (bodies.length === 0) return [];
  const of = <V>(value: (body: KeptBody & { bytes: Buffer }) => V): V[] => bodies.map(value);
  // A router's clock that is ahead must not keep anything longer than was promised.
  const at = of((body) => new Date(Math.min(body.admittedAtMs, nowMs)).toISOString());
  const { rows } = await sql<{ size: bigint }>`
    INSERT INTO kept_bodies (request_id, account_id, key_id, admitted_at, expires_at, sealed, request_bytes, answer_bytes,
      request_truncated, answer_truncated)
    SELECT b.id, b.account_id, b.key_id, b.at, b.at + ${days} * interval '24 hours', b.sealed, b.request_bytes,
      b.answer_bytes, b.request_truncated, b.answer_truncated
    FROM unnest(${of((b) => b.requestId)}::text[], ${of((b) => b.accountId)}::text[], ${of((b) => b.keyId)}::text[],
                ${at}::timestamptz[], ${of((b) => b.bytes)}::bytea[], ${of((b) => b.requestBytes)}::bigint[],
                ${of((b) => b.answerBytes)}::bigint[], ${of((b) => b.requestTruncated)}::bool[],
                ${of((b) => b.answerTruncated)}::bool[])
      AS b (id, account_id, key_id, at, sealed, request_bytes, answer_bytes, request_truncated, answer_truncated)
    ON CONFLICT (request_id) DO NOTHING RETURNING octet_length(sealed)::bigint AS size`.execute(trx);
  return rows;
}

async function changeTotal(trx: Tx, accountId: string, byBytes: bigint): Promise<void> {
  if (byBytes === 0n) return;
  await sql`UPDATE body_retention SET stored_bytes = stored_bytes + ${byBytes}
    WHERE account_id = ${accountId}`.execute(trx);
}
