/**
 * POSTs of the API's host that services answer, done once per Idempotency-Key.
 *
 * The row of a key is written by the very transaction that does the work, so that neither is ever there without the other.
 * Two equal calls at once meet at that row: the second waits until the first has ended, then finds what it made, or, if
 * it was undone, does the work itself. Nothing beats, nothing is taken over.
 *
 * Crash between any two steps:
 * - before the commit: neither row nor work is there, and the repeat is the first. What was done outside Postgres before
 *   belongs to nobody and is swept (bytes of a file).
 * - while it commits, unknown how: the repeat finds both or neither.
 * - after the commit: the repeat finds what was made. What is done outside Postgres after it is done by a sweep as well
 *   (files that are to be read, batches that are to be cancelled).
 *
 * A row says what was made and holds no answer: a repeat is told of that thing as it is now, and 404 once it was deleted.
 */
import { createHash, createHmac } from 'node:crypto';
import { sql } from 'kysely';
import type { Identity } from '../contracts/internal.ts';
import { AppError } from '../domain/errors.ts';
import { IDEMPOTENCY_HEADER } from '../domain/idempotency.ts';
import type { Db, Executor, Tx } from './client.ts';
import { tx } from './tx.ts';

/** An Idempotency-Key in its scope: account, project and user, as for generations. */
export interface PostName {
  accountId: string;
  projectId: string;
  /** Digest of user and key text. */
  key: string;
  /** Digests a body so that nobody can tell it from the row: the key's text, which is kept nowhere, goes in. */
  digest: (asked: unknown) => string;
  atMs: number;
}

export function postName({ accountId, projectId, userId }: Identity, keyText: string, atMs: number): PostName {
  return {
    accountId,
    projectId: projectId ?? '',
    key: createHash('sha256')
      .update(JSON.stringify([userId, keyText]))
      .digest('base64url'),
    digest: (asked) => createHmac('sha256', keyText).update(JSON.stringify(asked)).digest('base64url'),
    atMs,
  };
}

/** What a call says of itself: its Idempotency-Key, and who hears that it is a repeat. */
export interface RepeatAsk {
  key: string;
  onRepeat: () => void;
}

/** Whether something was made under the key, whatever was asked then. */
export async function isPostKnown(db: Executor, name: PostName): Promise<boolean> {
  return (await rowOf(db, name)) !== null;
}

/** One POST: the first of its key, or a repeat. */
export class OncePost {
  readonly #db: Db;
  readonly #name: PostName | null;
  readonly #body: string;
  readonly #onRepeat: () => void;
  #isRepeat = false;

  /** `repeat` null: it carries no key. `asked`: operation, what the path names, and the body. */
  constructor(db: Db, who: Identity, repeat: RepeatAsk | null, asked: unknown, atMs: number) {
    this.#db = db;
    this.#name = repeat && postName(who, repeat.key, atMs);
    this.#body = this.#name?.digest(asked) ?? '';
    this.#onRepeat = repeat?.onRepeat ?? (() => {});
  }

  /** An earlier call has done it; known after `known` or `once`. */
  get isRepeat(): boolean {
    return this.#isRepeat;
  }

  /** Name of a step of this call at another service, the same in each repeat; null without a key. */
  get stepKey(): string | null {
    return this.#name && `post:${this.#name.key}:${this.#body}`;
  }

  /**
   * Id of what an earlier call made; null = this one is the first, or carries no key.
   * @throws {AppError} `idempotency_key_reused` when something else was asked under the key.
   */
  async known(): Promise<string | null> {
    const row = this.#name && (await rowOf(this.#db, this.#name));
    if (row === null) return null;
    if (row.body !== this.#body) throw new AppError('idempotency_key_reused', { param: IDEMPOTENCY_HEADER });
    if (!this.#isRepeat) this.#onRepeat();
    this.#isRepeat = true;
    return row.made;
  }

  /**
   * Does the work in one transaction, or finds that an earlier call has done it, and answers the id of what was made.
   * `made`: that id, if this call makes it. `work` may run several times, and uses `trx` alone; what it throws undoes all
   * of it, and the next call under the key is the first again.
   * @throws {AppError} as `known`.
   */
  async once(made: string, work: (trx: Tx) => Promise<void>): Promise<string> {
    for (;;) {
      const isFirst = await tx(this.#db, async (trx) => {
        if (this.#name !== null && !(await claim(trx, this.#name, this.#body, made))) return false;
        await work(trx);
        return true;
      });
      if (isFirst) return made;
      const known = await this.known();
      // Null: its row was forgotten in this moment, a day after it was made.
      if (known !== null) return known;
    }
  }
}

async function rowOf(
  db: Executor,
  { accountId, projectId, key }: PostName,
): Promise<{ body: string; made: string } | null> {
  const { rows } = await sql<{ body: string; made: string }>`
    SELECT body, made FROM post_repeats
    WHERE account_id = ${accountId} AND project_id = ${projectId} AND key = ${key}`.execute(db);
  return rows[0] ?? null;
}

/** Waits for another call under the same key; false when that one has done it. */
async function claim(
  trx: Tx,
  { accountId, projectId, key, atMs }: PostName,
  body: string,
  made: string,
): Promise<boolean> {
  const { rows } = await sql`
    INSERT INTO post_repeats (account_id, project_id, key, body, made, created_at)
    VALUES (${accountId}, ${projectId}, ${key}, ${body}, ${made}, ${new Date(atMs)})
    ON CONFLICT DO NOTHING RETURNING key`.execute(trx);
  return rows.length > 0;
}

/** How long a key is known, and of how many keys an account at most (the oldest go first). */
export const POST_REPEATS = { keepMs: 86_400_000, perAccount: 100_000 };

/** Forgets what is over; returns how many. */
export async function forgetPosts(db: Db, nowMs: number, { keepMs, perAccount } = POST_REPEATS): Promise<number> {
  const old = await sql`DELETE FROM post_repeats WHERE created_at < ${new Date(nowMs - keepMs)}`.execute(db);
  const many = await sql`
    DELETE FROM post_repeats r USING (
      SELECT a.account_id, (
        SELECT n.created_at FROM post_repeats n WHERE n.account_id = a.account_id
        ORDER BY n.created_at DESC OFFSET ${perAccount} LIMIT 1) AS until
      FROM (SELECT DISTINCT account_id FROM post_repeats) a) o
    WHERE r.account_id = o.account_id AND r.created_at <= o.until`.execute(db);
  return Number((old.numAffectedRows ?? 0n) + (many.numAffectedRows ?? 0n));
}
