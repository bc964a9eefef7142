/** The audit log: append-only (a trigger refuses anything else) and chained, so that a change anywhere shows. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Db, Executor } from './client.ts';
import { decodeCursor, type Page, type PageRequest, pageLimit, toPage } from './page.ts';
import { lock, tx } from './tx.ts';

export interface AuditEntry {
  atMs: number;
  /** User id, `admin-token`, key id or `system`. */
  actor: string;
  accountId: string | null;
  action: string;
  target: string | null;
  /** Must hold no secret. */
  detail: Record<string, unknown>;
  ip: string | null;
  requestId: string | null;
}

export interface AuditRow extends AuditEntry {
  seq: number;
  actorName: string | null;
  hash: string;
}

export interface AuditFilter extends PageRequest {
  accountId?: string;
  fromMs?: number;
  toMs?: number;
  /** An action, or its first part. */
  action?: string;
  actor?: string;
}

export interface AuditVerdict {
  ok: boolean;
  lines: number;
  lastHash: string | null;
  /** First line that does not fit. */
  brokenAt: number | null;
  /** It stopped at its limit: there are lines behind. */
  more: boolean;
}

/** Where a check goes on: behind the line `after`, whose hash was `hash`. */
export interface AuditStretch {
  after: number;
  hash: string;
  /** Lines at most; all of them when absent. */
  limit?: number;
}

interface Row {
  seq: bigint;
  at: Date;
  actor: string;
  actor_name: string | null;
  account_id: string | null;
  action: string;
  target: string | null;
  detail: string;
  ip: string | null;
  request_id: string | null;
  previous_hash: string;
  hash: string;
}

const GENESIS = '0'.repeat(64);
const VERIFY_BATCH = 1_000;

/** Over an array, so that no field can borrow from its neighbour. */
function hashOf(row: Omit<Row, 'hash' | 'actor_name'>): string {
  const text = JSON.stringify([
    row.previous_hash,
    String(row.seq),
    row.at.toISOString(),
    row.actor,
    row.account_id,
    row.action,
    row.target,
    row.detail,
    row.ip,
    row.request_id,
  ]);
  return createHash('sha256').update(text).digest('hex');
}

export class AuditStore {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Appends lines in order; one writer at a time, whichever process it is in. */
  static append(db: Db, entries: readonly AuditEntry[]): Promise<void> {
    return tx(db, async (trx) => {
      await lock(trx, 'audit', 0);
      const { rows } = await sql<{ seq: bigint; hash: string }>`
        SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1`.execute(trx);
      let seq = rows[0]?.seq ?? 0n;
      let previousHash = rows[0]?.hash ?? GENESIS;
      for (const entry of entries) {
        seq += 1n;
        const row = {
          seq,
          at: new Date(entry.atMs),
          actor: storable(entry.actor)!,
          account_id: entry.accountId,
          action: entry.action,
          target: storable(entry.target),
          detail: storable(JSON.stringify(entry.detail))!,
          ip: entry.ip,
          request_id: entry.requestId,
          previous_hash: previousHash,
        };
        const hash = hashOf(row);
        await sql`INSERT INTO audit_log (seq, at, actor, account_id, action, target, detail, ip, request_id, previous_hash, hash)
          VALUES (${row.seq}, ${row.at}, ${row.actor}, ${row.account_id}, ${row.action}, ${row.target}, ${row.detail},
                  ${row.ip}, ${row.request_id}, ${row.previous_hash}, ${hash})`.execute(trx);
        previousHash = hash;
      }
    });
  }

  /** Newest first. */
  async page(filter: AuditFilter): Promise<Page<AuditRow>> {
    const limit = pageLimit(filter);
    const after = decodeCursor(filter.cursor);
    const before = after && /^\d{1,18}$/.test(after.id) ? BigInt(after.id) : null;
    const action = filter.action ?? null;
    const { rows } = await sql<Row>`
      SELECT l.*, u.name AS actor_name FROM audit_log l LEFT JOIN users u ON u.id = l.actor
      WHERE (${filter.accountId ?? null}::text IS NULL OR l.account_id = ${filter.accountId ?? null})
        AND (${filter.actor ?? null}::text IS NULL OR l.actor = ${filter.actor ?? null} OR u.email = ${filter.actor ?? null})
        AND (${action}::text IS NULL OR l.action = ${action} OR starts_with(l.action, ${action} || '.'))
        AND l.at >= ${new Date(filter.fromMs ?? 0)} AND l.at < ${new Date(filter.toMs ?? Date.UTC(9999, 0, 1))}
        AND (${before}::bigint IS NULL OR l.seq < ${before}::bigint)
      ORDER BY l.seq DESC LIMIT ${limit + 1}`.execute(this.#db);
    return toPage(
      rows,
      limit,
      (row) => ({ atMs: 0, id: String(row.seq) }),
      (row) => ({
        seq: Number(row.seq),
        atMs: row.at.getTime(),
        actor: row.actor,
        actorName: row.actor_name,
        accountId: row.account_id,
        action: row.action,
        target: row.target,
        detail: JSON.parse(row.detail) as Record<string, unknown>,
        ip: row.ip,
        requestId: row.request_id,
        hash: row.hash,
      }),
    );
  }

  /** Reads the chain in batches and recomputes every hash: the whole of it, or a stretch behind a line that is known. */
  async verify(stretch: Partial<AuditStretch> = {}): Promise<AuditVerdict> {
    const limit = stretch.limit ?? Number.POSITIVE_INFINITY;
    let last = BigInt(stretch.after ?? 0);
    let previousHash = stretch.hash ?? GENESIS;
    for (let read = 0; read < limit; ) {
      const batch = Math.min(VERIFY_BATCH, limit - read);
      const { rows } = await sql<Row>`
        SELECT *, NULL AS actor_name FROM audit_log WHERE seq > ${last} ORDER BY seq LIMIT ${batch}`.execute(this.#db);
      for (const row of rows) {
        const fits = row.seq === last + 1n && row.previous_hash === previousHash && row.hash === hashOf(row);
        if (!fits) {
          const lines = Number(last);
          return { ok: false, lines, lastHash: hashAt(last, previousHash), brokenAt: lines + 1, more: false };
        }
        last = row.seq;
        previousHash = row.hash;
      }
      if (rows.length < batch) {
        return { ok: true, lines: Number(last), lastHash: hashAt(last, previousHash), brokenAt: null, more: false };
      }
      read += rows.length;
    }
    return { ok: true, lines: Number(last), lastHash: hashAt(last, previousHash), brokenAt: null, more: true };
  }
}

/** Before the first line there is none. */
const hashAt = (seq: bigint, hash: string) => (seq === 0n ? null : hash);

/** Postgres stores no NUL and no half of a surrogate pair. */
function storable(text: string | null): string | null {
  return text === null ? null : text.replaceAll('\0', '\\0').toWellFormed();
}
