/** The request log: pages of a snapshot, one request in full, and export. */
import type {
  NewerView,
  RequestDetail,
  RequestLine,
  RequestPage,
  RequestsExportQuery,
  RequestsQuery,
} from '@tollgate/shared/contracts/console/requests';
import type { Db } from '@tollgate/shared/db/client';
import { keyNames } from '@tollgate/shared/db/console-lists';
import { transactionId } from '@tollgate/shared/db/ledger-store';
import { ModelStore } from '@tollgate/shared/db/model-store';
import { decodeCursor } from '@tollgate/shared/db/page';
import { type RequestFilter, type RequestRow, RequestStore } from '@tollgate/shared/db/request-store';
import { AppError } from '@tollgate/shared/domain/errors';
import { costNusd } from '@tollgate/shared/domain/money';
import type { Outcome } from '@tollgate/shared/domain/outcome';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Actor } from '../auth/actor.ts';
import type { BodyService } from '../bodies/service.ts';
import { type Table, tableAnswer } from '../http/export.ts';
import type { Streamed } from '../http/route.ts';
import { isoTime, pageRequest } from '../http/values.ts';
import type { LimitReader } from '../insights/limits.ts';

const NEWER_MOST = 1_000;
/** A request that runs longer than this is not looked for among the newer ones. */
const LOOK_BACK_MS = 15 * 60_000;
const EXPORT_ROWS = 10_000;

/** Codes that a client got for an outcome of an admitted request; refusals carry their own. */
const CODE_OF: Partial<Record<string, string>> = {
  worker_lost: 'worker_stream_broken',
  worker_error: 'invalid_output',
  timed_out: 'stream_timeout',
  failed_internal: 'internal_error',
};

export interface RequestServiceParts {
  db: Db;
  clock: Clock;
  limits: LimitReader;
  bodies: Pick<BodyService, 'keptUntilMs'>;
}

export class RequestService {
  readonly #parts: RequestServiceParts;

  constructor(parts: RequestServiceParts) {
    this.#parts = parts;
  }

  /** Newest admission first. The cursor names the snapshot, so that later rows never move earlier ones. */
  async page(accountId: string, query: RequestsQuery): Promise<RequestPage> {
    const { db, clock } = this.#parts;
    const { snapshotMs, cursor } = splitCursor(query.cursor, clock.nowMs());
    const { limit } = pageRequest({ limit: query.limit, cursor });
    const { rows, next } = await new RequestStore(db).page({
      ...filterOf(accountId, query),
      toMs: Math.min(query.to ?? snapshotMs + 1, snapshotMs + 1),
      after: decodeCursor(cursor),
      limit,
    });
    return {
      data: await this.lines(rows),
      next: next === null ? null : `${snapshotMs}.${next}`,
      snapshotAt: isoTime(snapshotMs),
    };
  }

  async lines(rows: readonly RequestRow[]): Promise<RequestLine[]> {
    const names = await keyNames(
      this.#parts.db,
      rows.map((row) => row.key_id),
    );
    return rows.map((row) => lineOf(row, names.get(row.key_id) ?? null));
  }

  async newer(accountId: string, sinceMs: number): Promise<NewerView> {
    const newer = await new RequestStore(this.#parts.db).newer(accountId, sinceMs, LOOK_BACK_MS, NEWER_MOST);
    return { newer, inFlight: await this.#parts.limits.running(accountId) };
  }

  async detail(actor: Actor, accountId: string, requestId: string): Promise<RequestDetail> {
    const { db } = this.#parts;
    const store = new RequestStore(db);
    const row = await store.get(requestId, accountId);
    if (!row) throw new AppError('not_found', { message: 'There is no such request.' });
    const [line] = await this.lines([row]);
    const ledger = row.refused ? [] : await store.ledgerOf(requestId);
    const keptUntilMs = await this.#parts.bodies.keptUntilMs(accountId, requestId);
    const absorbed = row.absorbed as Record<string, number> | null;
    const decodeMs = row.first_token_ms === null ? 0 : row.duration_ms - row.first_token_ms;
    return {
      ...line!,
      accountId: row.account_id as RequestDetail['accountId'],
      final: row.final,
      finishedAt: isoTime(row.finished_at.getTime()),
      reasoningTokens: row.reasoning_tokens,
      countSource: row.count_source as RequestDetail['countSource'],
      clientRequestId: row.client_request_id,
      timeline: timelineOf(row),
      tokensPerSecond: row.stream && decodeMs > 0 ? round1((row.completion_tokens * 1000) / decodeMs) : null,
      cost: row.refused ? null : await this.#cost(row),
      attempts: row.refused ? 0 : absorbed && ('retry' in absorbed || 'resume' in absorbed) ? 2 : 1,
      absorbed,
      ledger: ledger.map(({ id, kind, createdAtMs }) => ({
        transactionId: transactionId(id),
        kind,
        createdAt: isoTime(createdAtMs),
      })),
      bodyKeptUntil: keptUntilMs === null ? null : isoTime(keptUntilMs),
      // Where something ran is the operator's business.
      worker: actor.kind === 'operator' ? { url: row.worker_url, routerId: row.router_id } : null,
    };
  }

  async #cost(row: RequestRow): Promise<RequestDetail['cost']> {
    const price = (await new ModelStore(this.#parts.db).pricesById([row.price_id])).get(row.price_id)?.prices;
    if (!price) return null;
    const tokens = {
      promptTokens: row.prompt_tokens,
      cachedTokens: row.cached_tokens,
      completionTokens: row.completion_tokens,
    };
    const cached = Math.min(row.cached_tokens, row.prompt_tokens);
    const part = (count: number, unit: bigint) => ({
      tokens: count,
      unitNusd: String(unit),
      nusd: String((BigInt(count) * unit) / 1_000_000n),
    });
    return {
      priceId: row.price_id,
      input: part(row.prompt_tokens - cached, price.inputNusd),
      cachedInput: part(cached, price.cachedInputNusd),
      output: part(row.completion_tokens, price.outputNusd),
      computedNusd: String(costNusd(tokens, price)),
      heldNusd: String(row.held_nusd),
      clipped: row.clipped,
      amountNusd: String(row.amount_nusd),
    };
  }

  async export(accountId: string, query: RequestsExportQuery): Promise<Streamed> {
    const limit = query.limit ?? EXPORT_ROWS;
    pageRequest({ cursor: query.cursor });
    const { rows, next } = await new RequestStore(this.#parts.db).page({
      ...filterOf(accountId, query),
      after: decodeCursor(query.cursor),
      limit,
    });
    const table: Table<RequestLine> = {
      name: 'requests',
      columns: Object.keys(EXPORT_COLUMNS) as (keyof RequestLine)[],
      rows: await this.lines(rows),
      next,
    };
    return tableAnswer(table, query.format ?? 'ndjson');
  }
}

const EXPORT_COLUMNS: Record<keyof RequestLine, true> = {
  requestId: true,
  admittedAt: true,
  model: true,
  keyId: true,
  keyName: true,
  endpoint: true,
  stream: true,
  outcome: true,
  status: true,
  code: true,
  finishReason: true,
  promptTokens: true,
  cachedTokens: true,
  completionTokens: true,
  amountNusd: true,
  firstTokenMs: true,
  durationMs: true,
  userAgent: true,
  projectId: true,
  userId: true,
  chatId: true,
  endUser: true,
};

function filterOf(
  accountId: string,
  query: Omit<RequestsQuery, 'limit' | 'cursor'>,
): Omit<RequestFilter, 'limit' | 'after'> {
  return {
    accountId,
    fromMs: query.from,
    toMs: query.to,
    outcomes: query.outcome,
    statuses: query.status?.map(Number),
    codes: query.code,
    models: query.model,
    keyIds: query.keyId,
    idPrefix: query.idPrefix,
    minFirstTokenMs: query.minFirstTokenMs,
    minDurationMs: query.minDurationMs,
    chatId: query.chatId,
    endUser: query.endUser,
    userId: query.userId,
    projectId: query.projectId,
  };
}

/** `<ms of the snapshot>.<cursor of the store>`. */
function splitCursor(text: string | undefined, nowMs: number): { snapshotMs: number; cursor?: string } {
  if (text === undefined) return { snapshotMs: nowMs };
  const match = /^(\d{1,15})\.(.+)$/.exec(text);
  if (!match || Number(match[1]) > 4_102_444_800_000) {
    throw new AppError('invalid_request', { message: 'The cursor is not valid.', param: 'cursor' });
  }
  return { snapshotMs: Number(match[1]), cursor: match[2]! };
}

function lineOf(row: RequestRow, keyName: string | null): RequestLine {
  return {
    requestId: row.request_id,
    admittedAt: isoTime(row.admitted_at.getTime()),
    model: row.model,
    keyId: row.key_id,
    keyName,
    endpoint: row.endpoint,
    stream: row.stream,
    outcome: row.outcome as Outcome,
    status: row.status,
    code: row.code ?? CODE_OF[row.outcome] ?? null,
    finishReason: row.finish_reason,
    promptTokens: row.prompt_tokens,
    cachedTokens: row.cached_tokens,
    completionTokens: row.completion_tokens,
    amountNusd: String(row.amount_nusd),
    firstTokenMs: row.first_token_ms,
    durationMs: row.duration_ms,
    userAgent: row.user_agent,
    projectId: row.project_id,
    userId: row.user_id,
    chatId: row.chat_id,
    endUser: row.end_user,
  };
}

function timelineOf(row: RequestRow): RequestDetail['timeline'] {
  const total = { phase: 'total', startMs: 0, durationMs: row.duration_ms } as const;
  const queueMs = Math.min(row.queue_ms ?? 0, row.duration_ms);
  const first = row.first_token_ms;
  if (first === null) return queueMs > 0 ? [{ phase: 'queue', startMs: 0, durationMs: queueMs }, total] : [total];
  return [
    ...(queueMs > 0 ? ([{ phase: 'queue', startMs: 0, durationMs: queueMs }] as const) : []),
    { phase: 'prefill', startMs: queueMs, durationMs: Math.max(first - queueMs, 0) },
    { phase: 'decode', startMs: first, durationMs: Math.max(row.duration_ms - first, 0) },
    total,
  ];
}

const round1 = (value: number) => Math.round(value * 10) / 10;
