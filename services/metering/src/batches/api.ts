/** `/v1/batches` in OpenAI's shape. Callers are routers, for a key that they authenticated. */
import { createHash } from 'node:crypto';
import type { Identity } from '@tollgate/shared/contracts/internal';
import type { Batch, BatchRepeat, BatchStore } from '@tollgate/shared/db/batch-store';
import type { Db } from '@tollgate/shared/db/client';
import type { FileOwner } from '@tollgate/shared/db/file-records';
import { OncePost, type RepeatAsk } from '@tollgate/shared/db/post-repeats';
import { AppError } from '@tollgate/shared/domain/errors';
import { IDEMPOTENCY_HEADER } from '@tollgate/shared/domain/idempotency';
import { newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import { z } from 'zod';
import type { BatchFiles } from './files.ts';
import { BATCH_ENDPOINTS } from './input.ts';

export interface BatchApiParts {
  db: Db;
  store: BatchStore;
  files: BatchFiles;
  clock: Clock;
  random: Random;
  /** Asks for a batch to be worked on; the sweep does it later when this fails. */
  enqueue: (id: string) => Promise<void>;
  /** Batches that an account may have in work. */
  maxOpen: number;
  maxFileBytes: number;
}

const HOUR_MS = 3_600_000;
const WINDOW_HOURS = 24;

export const createBody = z.strictObject({
  input_file_id: z.string().min(1).max(80),
  endpoint: z.enum(BATCH_ENDPOINTS),
  completion_window: z.literal(`${WINDOW_HOURS}h`),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  /** When its output and error file go: counted from when they are made, an hour to 30 days. */
  output_expires_after: z
    .strictObject({ anchor: z.literal('created_at'), seconds: z.int().min(3_600).max(2_592_000) })
    .nullish(),
});
export const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  after: z.string().max(80).optional(),
});

export interface BatchApi {
  /** The same Idempotency-Key again answers with the batch that was made. */
  create(who: Identity, body: unknown, repeat: RepeatAsk | null): Promise<unknown>;
  get(who: Identity, id: string): Promise<unknown>;
  list(who: Identity, query: unknown): Promise<unknown>;
  /** The same Idempotency-Key again answers with the batch, also when it has ended meanwhile. */
  cancel(who: Identity, id: string, repeat: RepeatAsk | null): Promise<unknown>;
}

export function createBatchApi(parts: BatchApiParts): BatchApi {
  const { db, store, files, clock, random } = parts;
  const find = async (who: Identity, id: string): Promise<Batch> => {
    const batch = await store.get(ownerOf(who), id);
    if (batch === null) throw new AppError('not_found', { message: 'There is no such batch.', param: 'batch_id' });
    return batch;
  };
  /** The view of the batch that an earlier call made; null when there was none. Throws 422 for another body. */
  const made = async (owner: FileOwner, repeat: BatchRepeat, onRepeat: () => void) => {
    const found = await store.repeated(owner, repeat);
    if (found === null) return null;
    if (!found.isSame) throw new AppError('idempotency_key_reused', { param: IDEMPOTENCY_HEADER });
    onRepeat();
    return view(found.batch);
  };
  return {
    async create(who, body, asked) {
      const input = parse(createBody, body);
      const owner = { ...ownerOf(who), keyId: who.keyId, userId: who.userId };
      const repeat = asked && repeatOf(who, asked.key, input);
      const known = repeat && (await made(owner, repeat, asked.onRepeat));
      if (known) return known;
      const file = await files.facts(owner, input.input_file_id).catch((cause: unknown) => {
        throw new AppError('service_unavailable', { retryAfterMs: 2_000, cause });
      });
      if (file === null) {
        throw new AppError('not_found', { message: 'There is no such file.', param: 'input_file_id' });
      }
      if (file.purpose !== 'batch') {
        throw invalid('input_file_id', "The file must have been uploaded with the purpose 'batch'.");
      }
      if (file.bytes > parts.maxFileBytes) {
        throw invalid('input_file_id', `A batch's file may have ${parts.maxFileBytes} bytes at most.`);
      }
      if ((await store.openCount(who.accountId)) >= parts.maxOpen) {
        throw new AppError('rate_limit_exceeded', {
          message: `This account has ${parts.maxOpen} batches in work. Wait until one has ended.`,
          retryAfterMs: 60_000,
        });
      }
      const nowMs = clock.nowMs();
      const id = newId('batch', random.bytes);
      const batch = {
        ...owner,
        id,
        endpoint: input.endpoint,
        inputFileId: input.input_file_id,
        outputFileId: newId('file', random.bytes),
        errorFileId: newId('file', random.bytes),
        completionWindow: input.completion_window,
        outputExpiresS: input.output_expires_after?.seconds ?? null,
        metadata: input.metadata ?? {},
        createdAtMs: nowMs,
        expiresAtMs: nowMs + WINDOW_HOURS * HOUR_MS,
      };
      // Two at once: one of them made it.
      if (!(await store.create(batch, repeat))) return made(owner, repeat!, asked!.onRepeat);
      await parts.enqueue(id);
      return view((await store.find(id))!);
    },
    get: async (who, id) => view(await find(who, id)),
    async list(who, query) {
      const { limit, after } = parse(listQuery, query);
      const { data, hasMore } = await store.list(ownerOf(who), limit, after);
      const shown = data.map(view);
      return {
        object: 'list',
        data: shown,
        first_id: shown[0]?.id ?? null,
        last_id: shown.at(-1)?.id ?? null,
        has_more: hasMore,
      };
    },
    async cancel(who, id, repeat) {
      const batch = await find(who, id);
      const nowMs = clock.nowMs();
      const post = new OncePost(db, who, repeat, ['batches.cancel', id], nowMs);
      if ((await post.known()) === null) {
        if (batch.endedAtMs !== null) {
          throw new AppError('conflict', { message: `The batch has ended: it is ${batch.status}.`, param: 'batch_id' });
        }
        await post.once(id, (trx) => store.cancel(ownerOf(who), id, nowMs, trx));
        await parts.enqueue(id);
      }
      return view(await find(who, id));
    },
  };
}

/** A batch itself says under which key it was made: for as long as it is there, longer than `post-repeats`. */
function repeatOf({ userId }: Identity, key: string, input: unknown): BatchRepeat {
  const digest = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('base64url');
  return { key: digest([userId, key]), body: digest(input) };
}

function ownerOf({ accountId, projectId }: Identity): FileOwner {
  return { accountId, projectId: projectId ?? '' };
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw invalid(issue!.path.join('.') || null, issue!.message);
}

function invalid(param: string | null, message: string): AppError {
  return new AppError('invalid_request', { param, message });
}

const seconds = (ms: number | null): number | null => (ms === null ? null : Math.floor(ms / 1_000));

/** OpenAI's batch object. */
function view(batch: Batch) {
  const { status } = batch;
  const endedAt = (wanted: Batch['status']) => (status === wanted ? seconds(batch.endedAtMs) : null);
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    errors:
      batch.errors.length === 0
        ? null
        : { object: 'list', data: batch.errors.map((each) => ({ ...each, param: null })) },
    input_file_id: batch.inputFileId,
    completion_window: batch.completionWindow,
    // A batch that is being cancelled writes its files like any other; it says so only at its end.
    status,
    output_file_id: batch.hasOutput ? batch.outputFileId : null,
    error_file_id: batch.hasErrors ? batch.errorFileId : null,
    created_at: seconds(batch.createdAtMs),
    in_progress_at: seconds(batch.inProgressAtMs),
    expires_at: seconds(batch.expiresAtMs),
    finalizing_at: seconds(batch.finalizingAtMs),
    completed_at: endedAt('completed'),
    failed_at: endedAt('failed'),
    expired_at: endedAt('expired'),
    cancelling_at: seconds(batch.cancellingAtMs),
    cancelled_at: endedAt('cancelled'),
    request_counts: { total: batch.total, completed: batch.completed, failed: batch.failed },
    metadata: batch.metadata,
  };
}
