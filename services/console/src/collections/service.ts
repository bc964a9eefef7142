/**
 * Collections as the dashboard uses them. The retrieval service has the tables and decides what belongs to whom; the console
 * speaks to it for a person, by a key of their own (`own-keys.ts`), which pays for the vectors. Bytes of files are the
 * console's own (`files/service.ts`).
 */
import type { Readable } from 'node:stream';
import type * as wire from '@tollgate/shared/contracts/console/collections';
import { type Identity, identityHeaders } from '@tollgate/shared/contracts/internal';
import { AppError, ERRORS, type ErrorCode } from '@tollgate/shared/domain/errors';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Actor } from '../auth/actor.ts';
import type { FileService } from '../files/service.ts';
import type { OwnKeys } from '../playground/own-keys.ts';
import { collectionOf, fileOf, passagesOf, type StoreFile, type StorePage, type VectorStore } from './views.ts';

const TIMEOUT_MS = 30_000;
const TOP_K = 8;
const PAGE_MOST = 100;

export interface CollectionParts {
  ownKeys: OwnKeys;
  clock: Clock;
  /** Absent: nothing can be uploaded here. */
  files: FileService | undefined;
  /** Null where retrieval is not installed. */
  retrieval: { url: string; serviceToken: string } | null;
}

/** Whose collections are meant. */
export interface Whose {
  actor: Actor;
  accountId: string;
  projectId: string | null;
  signal: AbortSignal;
}

interface Ask {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  body?: object;
}

export class CollectionService {
  readonly #parts: CollectionParts;

  constructor(parts: CollectionParts) {
    this.#parts = parts;
  }

  async list(whose: Whose, query: wire.CollectionsQuery): Promise<wire.CollectionPage> {
    const page = await this.#ask<StorePage<VectorStore>>(whose, { method: 'GET', path: pagePath('', query) });
    const { data, next } = mapped(page, collectionOf);
    return { data, next, maxFileBytes: this.#files().maxFileBytes };
  }

  async create(whose: Whose, input: wire.CreateCollection): Promise<wire.CollectionView> {
    return collectionOf(await this.#ask(whose, { method: 'POST', path: '', body: asStore(input) }));
  }

  /** Another name, another end. */
  async patch(whose: Whose, collectionId: string, input: wire.PatchCollection): Promise<wire.CollectionView> {
    return collectionOf(await this.#ask(whose, { method: 'POST', path: `/${collectionId}`, body: asStore(input) }));
  }

  async get(whose: Whose, collectionId: string): Promise<wire.CollectionView> {
    return collectionOf(await this.#ask(whose, { method: 'GET', path: `/${collectionId}` }));
  }

  /** The files stay; their passages, vectors and words go. */
  async remove(whose: Whose, collectionId: string): Promise<void> {
    await this.#ask(whose, { method: 'DELETE', path: `/${collectionId}` });
  }

  async listFiles(whose: Whose, collectionId: string, query: wire.CollectionsQuery) {
    const path = pagePath(`/${collectionId}/files`, query);
    return mapped(await this.#ask<StorePage<StoreFile>>(whose, { method: 'GET', path }), fileOf);
  }

  /** Keeps the bytes and has them read into the collection; bytes that cannot get into it are not kept. */
  async upload(whose: Whose, collectionId: string, filename: string, content: Readable) {
    const files = this.#files();
    // Before a byte is taken: a collection that is not theirs is 404.
    await this.get(whose, collectionId);
    const who = await this.#identity(whose);
    const details = Promise.resolve({ purpose: 'assistants', expiresAfterS: null });
    const { id } = await files.upload(who, { details, filename: lastPart(filename), content });
    try {
      const path = `/${collectionId}/files`;
      return fileOf(await this.#ask<StoreFile>(whose, { method: 'POST', path, body: { file_id: id } }));
    } catch (error) {
      await files.delete(who, id).catch(() => {});
      throw error;
    }
  }

  /** Ends the file everywhere: bytes, passages and vectors, in every collection that holds it. */
  async removeFile(whose: Whose, collectionId: string, fileId: string): Promise<void> {
    await this.#ask(whose, { method: 'GET', path: `/${collectionId}/files/${fileId}` });
    await this.#files().delete(await this.#identity(whose), fileId);
  }

  async search(whose: Whose, collectionId: string, input: wire.SearchCollection): Promise<wire.PassagesView> {
    const { clock } = this.#parts;
    const startMs = clock.monotonicMs();
    const found = await this.#ask<Parameters<typeof passagesOf>[0]>(whose, {
      method: 'POST',
      path: `/${collectionId}/search`,
      body: {
        query: input.query,
        mode: input.mode ?? 'hybrid',
        max_num_results: input.topK ?? TOP_K,
        ranking_options: { score_threshold: input.scoreThreshold ?? 0 },
      },
    });
    return { ...passagesOf(found), tookMs: Math.round(clock.monotonicMs() - startMs) };
  }

  async #ask<T>(whose: Whose, { method, path, body }: Ask): Promise<T> {
    const { retrieval, ownKeys } = this.#parts;
    if (retrieval === null) throw notInstalled();
    const who = await this.#identity(whose);
    let answer: Response;
    try {
      answer = await fetch(`${retrieval.url}/v1/vector_stores${path}`, {
        method,
        headers: {
          authorization: `Bearer ${retrieval.serviceToken}`,
          ...identityHeaders(who),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([whose.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
    } catch (cause) {
      throw new AppError('retrieval_unavailable', { retryAfterMs: 2_000, cause });
    }
    const told = (await answer.json().catch(() => null)) as unknown;
    if (answer.ok && told !== null) return told as T;
    if (answer.status === 401) ownKeys.forget(whose.actor, whose.accountId, useOf(whose));
    throw refusal(told, answer.status);
  }

  async #identity({ actor, accountId, projectId }: Whose): Promise<Identity> {
    if (this.#parts.retrieval === null) throw notInstalled();
    const { keyId } = await this.#parts.ownKeys.get(actor, accountId, useOf({ projectId }));
    return { accountId, keyId, projectId, userId: actor.userId ?? null };
  }

  #files(): FileService {
    if (this.#parts.files === undefined) throw notInstalled();
    return this.#parts.files;
  }
}

/** In OpenAI's words; what is absent stays as it is. */
const asStore = ({ name, expiresDays }: wire.PatchCollection) => ({
  ...(name === undefined ? {} : { name }),
  ...(expiresDays === undefined
    ? {}
    : { expires_after: expiresDays === null ? null : { anchor: 'last_active_at', days: expiresDays } }),
});
const useOf = ({ projectId }: Pick<Whose, 'projectId'>) => ({ projectId, explain: false });
const notInstalled = () =>
  new AppError('not_found', { message: 'Collections are not switched on in this installation.' });

/** What retrieval refused with, said again as our own; the rest is its outage. */
function refusal(told: unknown, status: number): AppError {
  const { code, message, param } = (told as { error?: Record<string, unknown> } | null)?.error ?? {};
  // A key of the console's that was withdrawn in this moment: the next try has another.
  const known = typeof code === 'string' && Object.hasOwn(ERRORS, code) && status !== 401;
  if (!known) return new AppError('retrieval_unavailable', { retryAfterMs: 2_000, internal: `answered ${status}` });
  return new AppError(code as ErrorCode, {
    ...(typeof message === 'string' ? { message } : {}),
    ...(typeof param === 'string' ? { param } : {}),
    ...(status === 503 ? { retryAfterMs: 2_000 } : {}),
  });
}

function pagePath(path: string, { limit, cursor }: wire.CollectionsQuery): string {
  const query = new URLSearchParams({ limit: String(Math.min(limit ?? 50, PAGE_MOST)) });
  if (cursor !== undefined) query.set('after', cursor);
  return `${path}?${query}`;
}

const mapped = <T, V>(page: StorePage<T>, view: (entry: T) => V) => ({
  data: page.data.map(view),
  next: page.has_more ? page.last_id : null,
});

/** The last part of a path: a name for people, never a place. */
const lastPart = (filename: string) => filename.split(/[\\/]/).at(-1) || 'file';
