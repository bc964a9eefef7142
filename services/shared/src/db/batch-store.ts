/** Batches and their lines. Every change says from which state, so that doing anything twice changes nothing. */
import { sql } from 'kysely';
import type { Db, Executor } from './client.ts';
import type { FileOwner } from './file-records.ts';
import { tx } from './tx.ts';

export type BatchStatus =
  | 'validating'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'failed'
  | 'expired'
  | 'cancelling'
  | 'cancelled';

export interface BatchFault {
  code: string;
  message: string;
  line: number | null;
}

export interface Batch extends FileOwner {
  id: string;
  keyId: string;
  userId: string | null;
  endpoint: string;
  inputFileId: string;
  outputFileId: string;
  errorFileId: string;
  hasOutput: boolean;
  hasErrors: boolean;
  completionWindow: string;
  /** After how many seconds its files go; null = as usual. */
  outputExpiresS: number | null;
  metadata: Record<string, string>;
  status: BatchStatus;
  /** Lines were given up at the end of its window. */
  expired: boolean;
  errors: BatchFault[];
  total: number;
  completed: number;
  failed: number;
  createdAtMs: number;
  expiresAtMs: number;
  inProgressAtMs: number | null;
  finalizingAtMs: number | null;
  cancellingAtMs: number | null;
  endedAtMs: number | null;
}

/** The Idempotency-Key of whoever asked for a batch, and what was asked: digests both. */
export interface BatchRepeat {
  key: string;
  body: string;
}

export type NewBatch = Pick<
  Batch,
  | 'id'
  | 'accountId'
  | 'projectId'
  | 'keyId'
  | 'userId'
  | 'endpoint'
  | 'inputFileId'
  | 'outputFileId'
  | 'errorFileId'
  | 'completionWindow'
  | 'outputExpiresS'
  | 'metadata'
  | 'createdAtMs'
  | 'expiresAtMs'
>;

/** A line as it is read from the file: to be run, or failed at once with its row of the error file. */
export interface NewLine {
  line: number;
  customId: string | null;
  body: string | null;
  result: string | null;
}

export interface PendingLine {
  line: number;
  customId: string;
  body: string;
}

interface Row {
  id: string;
  account_id: string;
  project_id: string;
  key_id: string;
  user_id: string | null;
  endpoint: string;
  input_file_id: string;
  output_file_id: string;
  error_file_id: string;
  has_output: boolean;
  has_errors: boolean;
  completion_window: string;
  output_expires_seconds: number | null;
  metadata: Record<string, string>;
  status: BatchStatus;
  expired: boolean;
  errors: BatchFault[];
  total: number;
  done: bigint;
  failed: bigint;
  created_at: Date;
  expires_at: Date;
  in_progress_at: Date | null;
  finalizing_at: Date | null;
  cancelling_at: Date | null;
  ended_at: Date | null;
}

const OPEN = sql`('validating', 'in_progress', 'finalizing', 'cancelling')`;
const COLUMNS = sql`b.*,
  (SELECT count(*) FROM batch_lines l WHERE l.batch_id = b.id AND l.state = 'done') AS done,
  (SELECT count(*) FROM batch_lines l WHERE l.batch_id = b.id AND l.state = 'failed') AS failed`;

export class BatchStore {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** False: there is one under this Idempotency-Key already (`repeated`), and nothing was written. */
  async create(batch: NewBatch, repeat: BatchRepeat | null = null): Promise<boolean> {
    const { rows } = await sql`
      INSERT INTO batches (id, account_id, project_id, key_id, user_id, endpoint, input_file_id, output_file_id,
        error_file_id, completion_window, output_expires_seconds, metadata, status, created_at, expires_at,
        repeat_key, repeat_body)
      VALUES (${batch.id}, ${batch.accountId}, ${batch.projectId}, ${batch.keyId}, ${batch.userId}, ${batch.endpoint},
        ${batch.inputFileId}, ${batch.outputFileId}, ${batch.errorFileId}, ${batch.completionWindow}, ${batch.outputExpiresS},
        ${JSON.stringify(batch.metadata)}, 'validating', ${new Date(batch.createdAtMs)},
        ${new Date(batch.expiresAtMs)}, ${repeat?.key ?? null}, ${repeat?.body ?? null})
      ON CONFLICT (account_id, project_id, repeat_key) WHERE repeat_key IS NOT NULL DO NOTHING RETURNING id`.execute(
      this.#db,
    );
    return rows.length > 0;
  }

  /** The batch that was asked for under this Idempotency-Key, and whether with the same body; null = none was. */
  async repeated(owner: FileOwner, repeat: BatchRepeat): Promise<{ batch: Batch; isSame: boolean } | null> {
    const { rows } = await sql<Row & { repeat_body: string }>`
      SELECT ${COLUMNS} FROM batches b WHERE account_id = ${owner.accountId} AND project_id = ${owner.projectId}
        AND repeat_key = ${repeat.key}`.execute(this.#db);
    const [row] = rows;
    return row ? { batch: view(row), isSame: row.repeat_body === repeat.body } : null;
  }

  /** Null for what does not exist and for what is somebody else's. */
  async get(owner: FileOwner, id: string): Promise<Batch | null> {
    const { rows } = await sql<Row>`
      SELECT ${COLUMNS} FROM batches b
      WHERE id = ${id} AND account_id = ${owner.accountId} AND project_id = ${owner.projectId}`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  /** For the runner, which works for everybody. */
  async find(id: string): Promise<Batch | null> {
    const { rows } = await sql<Row>`SELECT ${COLUMNS} FROM batches b WHERE id = ${id}`.execute(this.#db);
    return rows[0] ? view(rows[0]) : null;
  }

  /** Newest first; `after` = id of the last one of the page before. */
  async list(owner: FileOwner, limit: number, after: string | undefined): Promise<{ data: Batch[]; hasMore: boolean }> {
    const { rows } = await sql<Row>`
      SELECT ${COLUMNS} FROM batches b WHERE account_id = ${owner.accountId} AND project_id = ${owner.projectId}
      ${after === undefined ? sql`` : sql`AND (created_at, id) < (SELECT a.created_at, a.id FROM batches a WHERE a.id = ${after})`}
      ORDER BY created_at DESC, id DESC LIMIT ${limit + 1}`.execute(this.#db);
    return { data: rows.slice(0, limit).map(view), hasMore: rows.length > limit };
  }

  /** Batches that an account has in work. */
  async openCount(accountId: string): Promise<number> {
    const { rows } = await sql<{ open: bigint }>`
      SELECT count(*) AS open FROM batches WHERE account_id = ${accountId} AND status IN ${OPEN}`.execute(this.#db);
    return Number(rows[0]!.open);
  }

  /** Ids of everything that is not ended, oldest first. */
  async unfinished(limit: number): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      SELECT id FROM batches WHERE status IN ${OPEN} ORDER BY created_at LIMIT ${limit}`.execute(this.#db);
    return rows.map(({ id }) => id);
  }

  /** Lines that are there already stay: the file is read again from its start after a crash. */
  async addLines(batchId: string, lines: readonly NewLine[]): Promise<void> {
    if (lines.length === 0) return;
    await sql`
      INSERT INTO batch_lines (batch_id, line, custom_id, state, body, result)
      SELECT ${batchId}, l.line, l.custom_id, CASE WHEN l.body IS NULL THEN 'failed' ELSE 'pending' END, l.body, l.result
      FROM unnest(${lines.map((line) => line.line)}::int[], ${lines.map((line) => line.customId)}::text[],
        ${lines.map((line) => line.body)}::text[], ${lines.map((line) => line.result)}::text[])
        AS l (line, custom_id, body, result)
      ON CONFLICT DO NOTHING`.execute(this.#db);
  }

  /** The whole file was read. */
  async begin(id: string, total: number, nowMs: number): Promise<void> {
    await sql`
      UPDATE batches SET status = 'in_progress', total = ${total}, in_progress_at = ${new Date(nowMs)}
      WHERE id = ${id} AND status = 'validating'`.execute(this.#db);
    // Cancelled while the file was read: its lines are known now.
    await sql`UPDATE batches SET total = ${total} WHERE id = ${id} AND status = 'cancelling'`.execute(this.#db);
  }

  /** The file cannot be worked on at all. */
  async fail(id: string, errors: readonly BatchFault[], nowMs: number): Promise<void> {
    await tx(this.#db, async (trx) => {
      await sql`
        UPDATE batches SET status = 'failed', errors = ${JSON.stringify(errors)}, ended_at = ${new Date(nowMs)}
        WHERE id = ${id} AND status IN ('validating', 'cancelling')`.execute(trx);
      await sql`DELETE FROM batch_lines WHERE batch_id = ${id}`.execute(trx);
    });
  }

  /** The next lines to run, from a line on. */
  async pending(id: string, afterLine: number, limit: number): Promise<PendingLine[]> {
    const { rows } = await sql<{ line: number; custom_id: string; body: string }>`
      SELECT line, custom_id, body FROM batch_lines
      WHERE batch_id = ${id} AND state = 'pending' AND line > ${afterLine} ORDER BY line LIMIT ${limit}`.execute(
      this.#db,
    );
    return rows.map((row) => ({ line: row.line, customId: row.custom_id, body: row.body }));
  }

  /** A line has ended; only the first end counts. */
  async endLine(id: string, line: number, state: 'done' | 'failed', result: string): Promise<void> {
    await sql`
      UPDATE batch_lines SET state = ${state}, result = ${result}, body = NULL
      WHERE batch_id = ${id} AND line = ${line} AND state = 'pending'`.execute(this.#db);
  }

  /**
   * What nobody will run any more; `result` writes a line's row of the error file. `expired`: because the window is over,
   * which the batch remembers with the first of these lines.
   */
  async giveUp(id: string, expired: boolean, result: (line: PendingLine) => string): Promise<void> {
    for (let page = await this.pending(id, -1, PAGE); page.length > 0; page = await this.pending(id, -1, PAGE)) {
      await tx(this.#db, async (trx) => {
        if (expired) await sql`UPDATE batches SET expired = true WHERE id = ${id}`.execute(trx);
        await sql`
          UPDATE batch_lines SET state = 'failed', body = NULL, result = l.result
          FROM unnest(${page.map(({ line }) => line)}::int[], ${page.map(result)}::text[]) AS l (line, result)
          WHERE batch_lines.batch_id = ${id} AND batch_lines.line = l.line AND state = 'pending'`.execute(trx);
      });
    }
  }

  /** No line runs any more: the files are to be written. A batch that is being cancelled says so until its end. */
  async finalize(id: string, nowMs: number): Promise<void> {
    await sql`
      UPDATE batches SET finalizing_at = ${new Date(nowMs)},
        status = CASE WHEN status = 'in_progress' THEN 'finalizing' ELSE status END
      WHERE id = ${id} AND status IN ('in_progress', 'cancelling') AND finalizing_at IS NULL`.execute(this.#db);
  }

  async cancel(owner: FileOwner, id: string, nowMs: number, db: Executor = this.#db): Promise<void> {
    await sql`
      UPDATE batches SET status = 'cancelling', cancelling_at = ${new Date(nowMs)}
      WHERE id = ${id} AND account_id = ${owner.accountId} AND project_id = ${owner.projectId}
        AND status IN ('validating', 'in_progress')`.execute(db);
  }

  /** Rows of the output (`done`) or error (`failed`) file, in the order of the lines, page by page. */
  async *results(id: string, state: 'done' | 'failed'): AsyncGenerator<string> {
    for (let after = -1; ; ) {
      const { rows } = await sql<{ line: number; result: string }>`
        SELECT line, result FROM batch_lines
        WHERE batch_id = ${id} AND state = ${state} AND line > ${after} ORDER BY line LIMIT ${PAGE}`.execute(this.#db);
      for (const { result } of rows) yield result;
      if (rows.length < PAGE) return;
      after = rows.at(-1)!.line;
    }
  }

  /** The files are written; answers are kept there alone from now on. */
  async end(
    id: string,
    status: 'completed' | 'expired' | 'cancelled',
    files: { hasOutput: boolean; hasErrors: boolean },
    nowMs: number,
  ): Promise<void> {
    await tx(this.#db, async (trx) => {
      await sql`
        UPDATE batches SET status = ${status}, has_output = ${files.hasOutput}, has_errors = ${files.hasErrors},
          ended_at = ${new Date(nowMs)}
        WHERE id = ${id} AND status IN ('finalizing', 'cancelling')`.execute(trx);
      await sql`UPDATE batch_lines SET result = NULL, body = NULL WHERE batch_id = ${id}`.execute(trx);
    });
  }
}

const PAGE = 200;

/** What a line costs in per cent, by the account's plan. */
export async function batchPercent(db: Executor, accountId: string): Promise<number> {
  const { rows } = await sql<{ percent: number }>`
    SELECT p.batch_percent AS percent FROM accounts a JOIN plans p ON p.id = a.plan WHERE a.id = ${accountId}`.execute(
    db,
  );
  // An account on a plan that is gone pays what batches cost by default.
  return rows[0]?.percent ?? 50;
}

const ms = (at: Date | null): number | null => at?.getTime() ?? null;

function view(row: Row): Batch {
  return {
    id: row.id,
    accountId: row.account_id,
    projectId: row.project_id,
    keyId: row.key_id,
    userId: row.user_id,
    endpoint: row.endpoint,
    inputFileId: row.input_file_id,
    outputFileId: row.output_file_id,
    errorFileId: row.error_file_id,
    hasOutput: row.has_output,
    hasErrors: row.has_errors,
    completionWindow: row.completion_window,
    outputExpiresS: row.output_expires_seconds,
    metadata: row.metadata,
    status: row.status,
    expired: row.expired,
    errors: row.errors,
    total: row.total,
    completed: Number(row.done),
    failed: Number(row.failed),
    createdAtMs: row.created_at.getTime(),
    expiresAtMs: row.expires_at.getTime(),
    inProgressAtMs: ms(row.in_progress_at),
    finalizingAtMs: ms(row.finalizing_at),
    cancellingAtMs: ms(row.cancelling_at),
    endedAtMs: ms(row.ended_at),
  };
}
