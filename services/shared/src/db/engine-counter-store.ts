/** The engines' own counters by worker and hour, and the bills of the same hours. */
import { sql } from 'kysely';
import type { Db, Tx } from './client.ts';
import { tx } from './tx.ts';

/** Totals since the engine's start. */
export interface EngineCounters {
  promptTokens: number;
  completionTokens: number;
  requests: number;
  /** Unix time of the process's start in seconds; null when it does not tell. */
  startedS: number | null;
}

export interface EngineSample extends EngineCounters {
  workerUrl: string;
  atMs: number;
}

/** One worker over a stretch of hours. */
export interface EngineWork {
  workerUrl: string;
  engine: { promptTokens: number; completionTokens: number; requests: number; restarts: number };
  billed: { promptTokens: number; completionTokens: number; requests: number };
  /** Output tokens that were made and billed to nobody, by cause, as the records say. */
  absorbed: Record<string, number>;
}

interface SampleRow {
  started_s: number | null;
  prompt_tokens: bigint;
  completion_tokens: bigint;
  requests: bigint;
  at: Date;
}

export class EngineCounterStore {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * Adds what the counters grew by since the last sample to the hour of this one. The first sample of a worker adds
   * nothing: what it did before was nobody's to watch. Older samples than the last are left out.
   */
  async add(sample: EngineSample): Promise<void> {
    await tx(this.#db, async (trx) => {
      const { rows } = await sql<SampleRow>`
        SELECT * FROM engine_samples WHERE worker_url = ${sample.workerUrl} FOR UPDATE`.execute(trx);
      const last = rows[0];
      if (last && (last.at.getTime() >= sample.atMs || isOlder(last, sample))) return;
      await keep(trx, sample);
      if (last) await grow(trx, sample, growthSince(last, sample));
    });
  }

  /** Drops hours before then, and workers that nobody has seen since: fleets come and go. Answers how many rows went. */
  async forget(beforeMs: number): Promise<number> {
    const before = new Date(beforeMs);
    const hours = await sql`DELETE FROM engine_hours WHERE hour < ${before}`.execute(this.#db);
    const samples = await sql`DELETE FROM engine_samples WHERE at < ${before}`.execute(this.#db);
    return Number((hours.numAffectedRows ?? 0n) + (samples.numAffectedRows ?? 0n));
  }

  /** Work and bills of each worker that was sampled in [from, to); both are whole hours. */
  async compare(fromMs: number, toMs: number): Promise<EngineWork[]> {
    const [from, to] = [new Date(fromMs), new Date(toMs)];
    const { rows } = await sql<{
      worker_url: string;
      prompt: bigint;
      completion: bigint;
      requests: bigint;
      restarts: bigint;
      billed_prompt: bigint;
      billed_completion: bigint;
      billed_requests: bigint;
      absorbed: Record<string, number> | null;
    }>`
      SELECT e.*, coalesce(b.prompt, 0) AS billed_prompt, coalesce(b.completion, 0) AS billed_completion,
        coalesce(b.requests, 0) AS billed_requests, a.absorbed
      FROM (SELECT worker_url, sum(prompt_tokens)::bigint AS prompt, sum(completion_tokens)::bigint AS completion,
          sum(requests)::bigint AS requests, sum(restarts)::bigint AS restarts
        FROM engine_hours WHERE hour >= ${from} AND hour < ${to} GROUP BY worker_url) e
      LEFT JOIN (SELECT worker_url, sum(prompt_tokens)::bigint AS prompt, sum(completion_tokens)::bigint AS completion,
          count(*) AS requests
        FROM request_log WHERE finished_at >= ${from} AND finished_at < ${to}
          AND admitted_at >= ${new Date(fromMs - LONGEST_MS)} AND admitted_at < ${to}
        GROUP BY worker_url) b USING (worker_url)
      LEFT JOIN (SELECT worker_url, jsonb_object_agg(cause, tokens) AS absorbed FROM
          (SELECT l.worker_url, c.key AS cause, sum(c.value::bigint)::bigint AS tokens
           FROM request_log l CROSS JOIN LATERAL jsonb_each_text(l.absorbed) c
           WHERE l.absorbed IS NOT NULL AND l.finished_at >= ${from} AND l.finished_at < ${to}
             AND l.admitted_at >= ${new Date(fromMs - LONGEST_MS)} AND l.admitted_at < ${to}
           GROUP BY 1, 2) s GROUP BY worker_url) a USING (worker_url)
      ORDER BY e.worker_url`.execute(this.#db);
    return rows.map((row) => ({
      workerUrl: row.worker_url,
      engine: {
        promptTokens: Number(row.prompt),
        completionTokens: Number(row.completion),
        requests: Number(row.requests),
        restarts: Number(row.restarts),
      },
      billed: {
        promptTokens: Number(row.billed_prompt),
        completionTokens: Number(row.billed_completion),
        requests: Number(row.billed_requests),
      },
      absorbed: row.absorbed ?? {},
    }));
  }
}

/** No request lives longer between its admission and its end. */
const LONGEST_MS = 3 * 3_600_000;

async function keep(trx: Tx, sample: EngineSample): Promise<void> {
  await sql`
    INSERT INTO engine_samples (worker_url, started_s, prompt_tokens, completion_tokens, requests, at)
    VALUES (${sample.workerUrl}, ${sample.startedS}, ${sample.promptTokens}, ${sample.completionTokens},
      ${sample.requests}, ${new Date(sample.atMs)})
    ON CONFLICT (worker_url) DO UPDATE SET started_s = excluded.started_s, prompt_tokens = excluded.prompt_tokens,
      completion_tokens = excluded.completion_tokens, requests = excluded.requests, at = excluded.at`.execute(trx);
}

async function grow(trx: Tx, { workerUrl, atMs }: EngineSample, growth: Growth): Promise<void> {
  await sql`
    INSERT INTO engine_hours AS h (worker_url, hour, prompt_tokens, completion_tokens, requests, restarts)
    VALUES (${workerUrl}, date_trunc('hour', ${new Date(atMs)}::timestamptz), ${growth.promptTokens},
      ${growth.completionTokens}, ${growth.requests}, ${growth.restarts})
    ON CONFLICT (worker_url, hour) DO UPDATE SET prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
      completion_tokens = h.completion_tokens + excluded.completion_tokens,
      requests = h.requests + excluded.requests, restarts = h.restarts + excluded.restarts`.execute(trx);
}

/** Routers look at different moments by clocks of their own: the same process cannot have counted down. */
function isOlder(last: SampleRow, now: EngineSample): boolean {
  const isSame = last.started_s !== null && last.started_s === now.startedS;
  const down = now.promptTokens < Number(last.prompt_tokens) || now.completionTokens < Number(last.completion_tokens);
  return isSame && down;
}

interface Growth {
  promptTokens: number;
  completionTokens: number;
  requests: number;
  restarts: number;
}

/** A counter that went down, or another process, has begun again from 0: what it lost in between nobody saw. */
function growthSince(last: SampleRow, now: EngineSample): Growth {
  const [prompt, completion, requests] = [last.prompt_tokens, last.completion_tokens, last.requests].map(Number) as [
    number,
    number,
    number,
  ];
  const isOther = last.started_s !== null && now.startedS !== null && last.started_s !== now.startedS;
  if (isOther || now.promptTokens < prompt || now.completionTokens < completion) {
    const { promptTokens, completionTokens } = now;
    return { promptTokens, completionTokens, requests: now.requests, restarts: 1 };
  }
  return {
    promptTokens: now.promptTokens - prompt,
    completionTokens: now.completionTokens - completion,
    requests: Math.max(0, now.requests - requests),
    restarts: 0,
  };
}
