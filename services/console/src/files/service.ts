/** Files of accounts: one store for every purpose. Row and bytes are made and deleted together. */
import type { Readable } from 'node:stream';
import type { Identity } from '@tollgate/shared/contracts/internal';
import { identityHeaders } from '@tollgate/shared/contracts/internal';
import type { Db } from '@tollgate/shared/db/client';
import {
  type FileListRequest,
  type FileOwner,
  type FileRecord,
  FileRecordStore,
} from '@tollgate/shared/db/file-records';
import { isPostKnown, OncePost, postName, type RepeatAsk } from '@tollgate/shared/db/post-repeats';
import { AppError } from '@tollgate/shared/domain/errors';
import { newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import { digestOf, type FileStore, FileTooLarge, type StoredFile } from '@tollgate/shared/runtime/file-store';
import type { Random } from '@tollgate/shared/runtime/random';

/** What files may be for, as in OpenAI's API; those that the product itself writes are not in this list. */
export const UPLOAD_PURPOSES = ['assistants', 'user_data', 'batch'] as const;

/** What a batch reads or writes goes after 30 days unless it was asked otherwise, as OpenAI has it; all else stays. */
const BATCH_EXPIRES_S = 30 * 86_400;
const EXPIRING_PURPOSES: ReadonlySet<string> = new Set(['batch', 'batch_output']);

export interface FileServiceOptions {
  db: Db;
  store: FileStore;
  maxFileBytes: number;
  maxAccountBytes: number;
  /** Retrieval's base URL and token; null where it is not installed. */
  retrieval: { url: string; serviceToken: string } | null;
  clock: Clock;
  random: Random;
}

export interface Upload {
  /** Known only when the whole form was read. Rejects when it is none: then nothing is kept. */
  details: Promise<UploadDetails>;
  filename: string;
  content: Readable;
  /** Under an Idempotency-Key the same file is kept once. */
  repeat?: RepeatAsk | null;
}

export interface UploadDetails {
  purpose: string;
  /** After how many seconds it goes; null = as usual for its purpose. */
  expiresAfterS: number | null;
}

/** Bytes without a row: of an upload that was cut. They are swept once nobody can still be writing them. */
const ORPHAN_AGE_MS = 3_600_000;
const SWEEP_PAGE = 500;
const FORGET_TIMEOUT_MS = 30_000;

export class FileService {
  readonly #options: FileServiceOptions;
  readonly #records: FileRecordStore;

  constructor(options: FileServiceOptions) {
    this.#options = options;
    this.#records = new FileRecordStore(options.db);
  }

  get retrieval(): FileServiceOptions['retrieval'] {
    return this.#options.retrieval;
  }

  get maxFileBytes(): number {
    return this.#options.maxFileBytes;
  }

  /**
   * Bytes first, then the row: a crash between leaves bytes that `sweep` finds, never a row without bytes.
   * Under an Idempotency-Key the row is made with the key's (`OncePost`), so a repeat finds the file, however many keep
   * their bytes at once: all but one give them up again. What was asked is told from the parts of the form, not from its
   * bytes, since clients write each try with a boundary of its own.
   */
  async upload(who: Identity, { details, filename, content, repeat = null }: Upload): Promise<FileRecord> {
    const { db, store, maxFileBytes, maxAccountBytes, clock, random } = this.#options;
    const left = maxAccountBytes - (await this.#records.bytesOf(who.accountId));
    const id = newId('file', random.bytes);
    // Only looked at: a repeat takes no room, neither on the disk nor of what the account may store.
    const isKnown = repeat !== null && (await isPostKnown(db, postName(who, repeat.key, 0)));
    const stored = isKnown
      ? await this.#within(maxFileBytes, digestOf(content, maxFileBytes))
      : await this.#within(left, store.put(id, content, Math.min(maxFileBytes, left)));
    let isAsking = false;
    try {
      const { purpose, expiresAfterS } = await details;
      const { bytes, sha256 } = stored;
      const nowMs = clock.nowMs();
      const asked = ['files.create', purpose, filename, expiresAfterS, bytes, sha256];
      const post = new OncePost(db, who, repeat, asked, nowMs);
      const names = { id, ...ownerOf(who), keyId: who.keyId, purpose, filename };
      const record: FileRecord = { ...names, ...stored, ...lifeOf(purpose, expiresAfterS, nowMs) };
      const known = isKnown ? await post.known() : null;
      // Forgotten while the upload ran: its bytes were not kept, so it has to come again.
      if (isKnown && known === null) throw new AppError('service_unavailable', { retryAfterMs: 1_000 });
      isAsking = true;
      const made = known ?? (await post.once(id, (trx) => new FileRecordStore(trx).create(record)));
      isAsking = false;
      if (!post.isRepeat) return record;
      await store.delete(id);
      return await this.get(who, made);
    } catch (error) {
      // A database that went away in the middle may have the row: then `sweep` decides.
      if (!isAsking || error instanceof AppError) await store.delete(id);
      throw error;
    }
  }

  /** @throws {AppError} `body_too_large` that says which bound was passed. `left`: what the account may still store. */
  async #within(left: number, storing: Promise<StoredFile>): Promise<StoredFile> {
    const { maxFileBytes, maxAccountBytes } = this.#options;
    try {
      return await storing;
    } catch (error) {
      if (!(error instanceof FileTooLarge)) throw error;
      throw new AppError('body_too_large', {
        param: 'file',
        message:
          left < maxFileBytes
            ? `This account may store ${maxAccountBytes} bytes, and this file does not fit. Delete files first.`
            : `A file may have ${maxFileBytes} bytes at most.`,
      });
    }
  }

  /** A file that the product itself makes (what a batch answered), under an id that it minted; again = anew. */
  async write(
    who: Identity,
    id: string,
    { purpose, expiresAfterS }: UploadDetails,
    filename: string,
    content: Readable,
  ): Promise<FileRecord> {
    const { store, clock } = this.#options;
    const stored = await store.put(id, content, Number.MAX_SAFE_INTEGER);
    const names = { id, ...ownerOf(who), keyId: who.keyId, purpose, filename };
    const record: FileRecord = { ...names, ...stored, ...lifeOf(purpose, expiresAfterS, clock.nowMs()) };
    await this.#records.replace(record);
    return record;
  }

  async get(who: Identity, id: string): Promise<FileRecord> {
    const record = await this.#records.get(ownerOf(who), id);
    if (record === null || this.#hasExpired(record)) throw noFile();
    return record;
  }

  list(who: Identity, request: Omit<FileListRequest, 'nowMs'>): Promise<{ data: FileRecord[]; hasMore: boolean }> {
    return this.#records.list(ownerOf(who), { ...request, nowMs: this.#options.clock.nowMs() });
  }

  /** To everybody but `delete` it is gone: metering deletes it in its next round. */
  #hasExpired({ expiresAtMs }: FileRecord): boolean {
    return expiresAtMs !== null && expiresAtMs <= this.#options.clock.nowMs();
  }

  async content(who: Identity, id: string): Promise<{ record: FileRecord; content: Readable }> {
    const record = await this.get(who, id);
    const content = await this.#options.store.get(id);
    if (content === null) throw noFile();
    return { record, content };
  }

  /** Collections forget it first: while they cannot be reached nothing is deleted, and the call can be repeated. */
  async delete(who: Identity, id: string): Promise<void> {
    if ((await this.#records.get(ownerOf(who), id)) === null) throw noFile();
    await this.#forget(who, id);
    await this.#records.delete(ownerOf(who), id);
    await this.#options.store.delete(id);
  }

  /** Deletes bytes that no row speaks of; returns how many. */
  async sweep(): Promise<number> {
    const { store, clock } = this.#options;
    const old = (await store.list()).filter(({ atMs }) => atMs < clock.nowMs() - ORPHAN_AGE_MS);
    let swept = 0;
    for (let at = 0; at < old.length; at += SWEEP_PAGE) {
      const ids = old.slice(at, at + SWEEP_PAGE).map(({ id }) => id);
      const known = await this.#records.known(ids);
      for (const id of ids) {
        if (known.has(id)) continue;
        await store.delete(id);
        swept++;
      }
    }
    return swept;
  }

  async #forget(who: Identity, id: string): Promise<void> {
    const { retrieval } = this.#options;
    if (retrieval === null) return;
    try {
      const answer = await fetch(`${retrieval.url}/internal/files/${id}`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${retrieval.serviceToken}`, ...identityHeaders(who) },
        signal: AbortSignal.timeout(FORGET_TIMEOUT_MS),
      });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`retrieval answered ${answer.status}`);
    } catch (cause) {
      throw new AppError('retrieval_unavailable', {
        message: 'The collections that hold this file cannot be reached now. Nothing was deleted. Retry.',
        retryAfterMs: 2_000,
        cause,
      });
    }
  }
}

function lifeOf(purpose: string, expiresAfterS: number | null, nowMs: number) {
  const seconds = expiresAfterS ?? (EXPIRING_PURPOSES.has(purpose) ? BATCH_EXPIRES_S : null);
  return { createdAtMs: nowMs, expiresAtMs: seconds === null ? null : nowMs + seconds * 1_000 };
}

function ownerOf({ accountId, projectId }: Identity): FileOwner {
  return { accountId, projectId: projectId ?? '' };
}

const noFile = () => new AppError('not_found', { message: 'There is no such file.', param: 'file_id' });
