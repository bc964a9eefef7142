/**
 * What can be done with collections, for one owner at a time; HTTP is elsewhere. Whatever changes something takes its
 * `OncePost`: looked at first, since a repeat gets what was made however the world has changed; what other services must be
 * asked comes next; then all changes are one transaction; then the readers of new files are called (the sweep of `jobs.ts`
 * calls them too, should this process die before it can).
 */

import type { Identity } from '@tollgate/shared/contracts/internal';
import type { GroundAnswer, GroundRequest } from '@tollgate/shared/contracts/retrieval';
import type { Db, Tx } from '@tollgate/shared/db/client';
import { OncePost, type RepeatAsk } from '@tollgate/shared/db/post-repeats';
import type { ChunkSearch } from '@tollgate/shared/db/retrieval/chunk-search';
import type { ChunkWriter } from '@tollgate/shared/db/retrieval/chunk-writer';
import {
  type Attributes,
  type CollectionFile,
  CollectionFileStore,
  type FileFilter,
  type IngestRef,
  type NewCollectionFile,
} from '@tollgate/shared/db/retrieval/collection-files';
import {
  type Collection,
  type CollectionPatch,
  CollectionStore,
  hasExpired,
  type Owner,
} from '@tollgate/shared/db/retrieval/collections';
import type { Filter } from '@tollgate/shared/db/retrieval/filter-sql';
import type { IdPage, IdPageRequest } from '@tollgate/shared/db/retrieval/id-page';
import { AppError } from '@tollgate/shared/domain/errors';
import { newId } from '@tollgate/shared/domain/ids';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import type { EmbeddingModel } from '../config.ts';
import type { ActFor } from '../embed/acting.ts';
import type { Embed } from '../embed/client.ts';
import type { FileSource } from '../files/source.ts';
import type { Jobs } from '../ingest/jobs.ts';
import { parseFilter } from '../search/filters.ts';
import { choosePassages, groundAnswer } from '../search/ground.ts';
import { goneBy, type SearchAnswer, type SearchMode, search } from '../search/search.ts';

export interface CollectionsDeps {
  db: Db;
  collections: CollectionStore;
  files: CollectionFileStore;
  chunks: ChunkSearch;
  writer: ChunkWriter;
  jobs: Jobs;
  source: FileSource;
  actFor: ActFor;
  embed: Embed;
  models: readonly EmbeddingModel[];
  maxCollections: number;
  clock: Clock;
  random: Random;
}

export interface Chunking {
  chunkTokens: number;
  overlapTokens: number;
}

/** `auto` of OpenAI's chunking strategies. */
export const AUTO_CHUNKING: Chunking = { chunkTokens: 400, overlapTokens: 60 };

/** Calls to the file store under way at a time, for one request. */
const FACTS_AT_ONCE = 16;

export interface FileToAdd {
  fileId: string;
  attributes: Attributes;
  chunking: Chunking;
}

export interface SearchInput {
  text: string;
  mode: SearchMode;
  limit: number;
  scoreThreshold: number;
  filter: Filter | null;
}

export class Collections {
  readonly #deps: CollectionsDeps;

  constructor(deps: CollectionsDeps) {
    this.#deps = deps;
  }

  /** A call that may be a repeat. `asked`: operation, what the path names, and the body. */
  post(who: Identity, repeat: RepeatAsk | null, asked: unknown): OncePost {
    return new OncePost(this.#deps.db, who, repeat, asked, this.nowMs);
  }

  async create(
    who: Identity,
    input: {
      name: string;
      description: string;
      metadata: Record<string, string>;
      model: string | null;
      expiresDays: number | null;
      files: readonly FileToAdd[];
    },
    post: OncePost,
  ): Promise<Collection> {
    const known = await post.known();
    if (known !== null) return this.get(who, known);
    const { collections, models, maxCollections, random, clock } = this.#deps;
    const owner = ownerOf(who);
    const model = input.model === null ? models[0]! : models.find(({ id }) => id === input.model);
    if (model === undefined) throw new AppError('model_not_found', { param: 'embedding_model' });
    if ((await collections.countOf(owner.accountId)) >= maxCollections) {
      throw new AppError('conflict', {
        message: `An account may have ${maxCollections} collections. Delete one first.`,
      });
    }
    // Before anything is made: a file that is not there makes no collection.
    const names = await this.#names(who, input.files);
    const id = newId('vs', random.bytes);
    const { name, description, metadata, expiresDays } = input;
    const made = { id, ...owner, name, description, metadata, expiresDays, createdAtMs: clock.nowMs() };
    const files = this.#new(who, id, input.files, names, null);
    const added = await this.#once(post, id, async (trx) => {
      await new CollectionStore(trx).create({ ...made, model: model.id, dimensions: model.dimensions });
      return new CollectionFileStore(trx).addAll(files);
    });
    return this.get(who, added);
  }

  async get(who: Identity, id: string): Promise<Collection> {
    const collection = await this.#deps.collections.get(ownerOf(who), id);
    if (collection === null) throw noCollection();
    return collection;
  }

  list(who: Identity, page: IdPageRequest): Promise<IdPage<Collection>> {
    return this.#deps.collections.list(ownerOf(who), page);
  }

  async update(who: Identity, id: string, patch: CollectionPatch, post: OncePost): Promise<Collection> {
    if ((await post.known()) === null) {
      // What has ended cannot be given more time: there is nothing in it.
      if (patch.expiresDays !== undefined) await this.#live(who, id);
      await post.once(id, async (trx) => {
        if (!(await new CollectionStore(trx).update(ownerOf(who), id, patch))) throw noCollection();
      });
    }
    return this.get(who, id);
  }

  /** Its files' chunks, vectors and words go with it; running ingestions notice at their next step. */
  async delete(who: Identity, id: string): Promise<void> {
    if (!(await this.#deps.collections.delete(ownerOf(who), id))) throw noCollection();
    await this.#deps.writer.dropIndex(id);
  }

  async addFile(who: Identity, storeId: string, file: FileToAdd, post: OncePost): Promise<CollectionFile> {
    if ((await post.known()) === null) {
      await this.#live(who, storeId);
      const files = this.#new(who, storeId, [file], await this.#names(who, [file]), null);
      await this.#once(post, file.fileId, (trx) => new CollectionFileStore(trx).addAll(files));
    }
    return this.file(who, storeId, file.fileId);
  }

  /** All of them or none: a file that is not there is 404. One that cannot be read fails by itself. */
  async addBatch(who: Identity, storeId: string, files: readonly FileToAdd[], post: OncePost): Promise<string> {
    const known = await post.known();
    if (known !== null) return known;
    await this.#live(who, storeId);
    const batchId = newId('vsfb', this.#deps.random.bytes);
    const added = this.#new(who, storeId, files, await this.#names(who, files), batchId);
    return this.#once(post, batchId, (trx) => new CollectionFileStore(trx).addAll(added));
  }

  async batch(who: Identity, storeId: string, batchId: string) {
    await this.get(who, storeId);
    const { createdAtMs, ...counts } = await this.#deps.files.batch(storeId, batchId);
    if (createdAtMs === Number.MAX_SAFE_INTEGER)
      throw new AppError('not_found', { message: 'There is no such batch.' });
    return { id: batchId, storeId, createdAtMs, counts };
  }

  async cancelBatch(who: Identity, storeId: string, batchId: string, post: OncePost) {
    await this.batch(who, storeId, batchId);
    if ((await post.known()) === null) {
      await post.once(batchId, (trx) => new CollectionFileStore(trx).cancelBatch(storeId, batchId));
    }
    return this.batch(who, storeId, batchId);
  }

  async file(who: Identity, storeId: string, fileId: string): Promise<CollectionFile> {
    await this.get(who, storeId);
    const file = await this.#deps.files.get(storeId, fileId);
    if (file === null) throw noFile();
    return file;
  }

  /** What the file was cut into, in its order; nothing unless it was read whole. */
  async content(who: Identity, storeId: string, fileId: string): Promise<AsyncIterable<string[]>> {
    await this.file(who, storeId, fileId);
    return this.#deps.chunks.texts(storeId, fileId);
  }

  async listFiles(who: Identity, storeId: string, filter: FileFilter): Promise<IdPage<CollectionFile>> {
    await this.get(who, storeId);
    return this.#deps.files.list(storeId, filter);
  }

  async setAttributes(
    who: Identity,
    storeId: string,
    fileId: string,
    attributes: Attributes,
    post: OncePost,
  ): Promise<CollectionFile> {
    await this.get(who, storeId);
    if ((await post.known()) === null) {
      await post.once(fileId, async (trx) => {
        if (!(await new CollectionFileStore(trx).setAttributes(storeId, fileId, attributes))) throw noFile();
      });
    }
    return this.file(who, storeId, fileId);
  }

  async removeFile(who: Identity, storeId: string, fileId: string): Promise<void> {
    await this.get(who, storeId);
    if (!(await this.#deps.files.remove(this.#deps.db, storeId, fileId))) throw noFile();
  }

  /** The file was deleted where files are kept: nothing of it stays in any collection of its owner. */
  async forgetFile(who: Identity, fileId: string): Promise<void> {
    const { files, db } = this.#deps;
    for (const storeId of await files.collectionsOf(ownerOf(who), fileId)) await files.remove(db, storeId, fileId);
  }

  /**
   * Changes nothing but the bill. Its key is noted before anything is charged, and the question's vector is asked for under
   * a key of its own that derives from it: a repeat looks again, in what is there now, with the vector that was paid for.
   */
  async search(
    who: Identity,
    storeId: string,
    input: SearchInput,
    post: OncePost,
    signal?: AbortSignal,
  ): Promise<SearchAnswer> {
    const { clock, collections, actFor } = this.#deps;
    if (post.stepKey !== null && (await post.known()) === null) {
      await this.#live(who, storeId);
      await post.once(storeId, async () => {});
    }
    const answer = await search(
      {
        ...input,
        owner: ownerOf(who),
        storeIds: [storeId],
        actingKey: () => actFor(who),
        param: 'vector_store_id',
        nowMs: clock.nowMs(),
        embedKey: post.stepKey,
        ...(signal === undefined ? {} : { signal }),
      },
      this.#deps,
    );
    await collections.touch([storeId], clock.nowMs());
    return answer;
  }

  async ground(who: Identity, request: GroundRequest, signal?: AbortSignal): Promise<GroundAnswer> {
    const { clock, collections } = this.#deps;
    const { passages, embeddingTokens } = await search(
      {
        owner: ownerOf(who),
        storeIds: request.vector_store_ids,
        text: request.question,
        mode: request.mode,
        limit: request.top_k,
        scoreThreshold: request.score_threshold,
        filter: parseFilter(request.filters, 'rag_params.filters'),
        actingKey: () => request.acting_key,
        param: 'rag_params.vector_store_ids',
        nowMs: clock.nowMs(),
        ...(signal === undefined ? {} : { signal }),
      },
      this.#deps,
    );
    await collections.touch(request.vector_store_ids, clock.nowMs());
    return groundAnswer(choosePassages(passages, request.max_context_tokens), embeddingTokens);
  }

  get nowMs(): number {
    return this.#deps.clock.nowMs();
  }

  async #live(who: Identity, id: string): Promise<void> {
    if (hasExpired(await this.get(who, id), this.nowMs)) throw goneBy('vector_store_id');
  }

  /** Names of the files, by id; throws 404 for one that its owner does not have. */
  async #names(who: Identity, files: readonly FileToAdd[]): Promise<Map<string, string>> {
    const names = new Map<string, string>();
    const ids = [...new Set(files.map(({ fileId }) => fileId))];
    for (let at = 0; at < ids.length; at += FACTS_AT_ONCE) {
      const some = ids.slice(at, at + FACTS_AT_ONCE);
      const owner = { ...ownerOf(who), keyId: who.keyId };
      const found = await Promise.all(some.map((fileId) => this.#deps.source.facts(owner, fileId)));
      for (const [i, facts] of found.entries()) {
        if (facts === null) throw new AppError('not_found', { message: 'There is no such file.', param: 'file_id' });
        names.set(some[i]!, facts.filename);
      }
    }
    return names;
  }

  /** Rows of files that are to be read; of a file that is named twice the first. */
  #new(
    who: Identity,
    storeId: string,
    files: readonly FileToAdd[],
    names: ReadonlyMap<string, string>,
    batchId: string | null,
  ): NewCollectionFile[] {
    const { random, clock } = this.#deps;
    const rows = new Map<string, NewCollectionFile>();
    for (const { fileId, attributes, chunking } of files) {
      if (rows.has(fileId)) continue;
      const ref = { storeId, fileId, ingestId: newId('ing', random.bytes) };
      const facts = { filename: names.get(fileId)!, attributes, ...chunking, createdAtMs: clock.nowMs() };
      rows.set(fileId, { ...ref, ...facts, batchId, keyId: who.keyId });
    }
    return [...rows.values()];
  }

  /** `work` answers the files that it added: they are read once all of it is there. */
  async #once(post: OncePost, made: string, work: (trx: Tx) => Promise<IngestRef[]>): Promise<string> {
    let added: IngestRef[] = [];
    const id = await post.once(made, async (trx) => {
      added = await work(trx);
    });
    const [first] = added;
    if (post.isRepeat || first === undefined) return id;
    await this.#deps.collections.touch([first.storeId], this.nowMs);
    await this.#deps.jobs.enqueue(added);
    return id;
  }
}

/** Everything a key sees: what belongs to its account and its project. */
export function ownerOf({ accountId, projectId }: Identity): Owner {
  return { accountId, projectId: projectId ?? '' };
}

const noCollection = () =>
  new AppError('not_found', { message: 'There is no such collection.', param: 'vector_store_id' });
const noFile = () =>
  new AppError('not_found', { message: 'There is no such file in this collection.', param: 'file_id' });
