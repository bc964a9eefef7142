/** What can be done with collections, for one owner at a time; HTTP is elsewhere. */

import type { Identity } from '@tollgate/shared/contracts/internal';
import type { GroundAnswer, GroundRequest } from '@tollgate/shared/contracts/retrieval';
import type { Db } from '@tollgate/shared/db/client';
import type { ChunkSearch } from '@tollgate/shared/db/retrieval/chunk-search';
import type { ChunkWriter } from '@tollgate/shared/db/retrieval/chunk-writer';
import type {
  Attributes,
  CollectionFile,
  CollectionFileStore,
  FileFilter,
} from '@tollgate/shared/db/retrieval/collection-files';
import {
  type Collection,
  type CollectionStore,
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

  async create(
    who: Identity,
    input: {
      name: string;
      metadata: Record<string, string>;
      model: string | null;
      expiresDays: number | null;
      files: readonly FileToAdd[];
    },
  ): Promise<Collection> {
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
    await collections.create({
      id,
      ...owner,
      name: input.name,
      model: model.id,
      dimensions: model.dimensions,
      metadata: input.metadata,
      expiresDays: input.expiresDays,
      createdAtMs: clock.nowMs(),
    });
    await this.#addAll(who, id, input.files, names, null);
    return this.get(who, id);
  }

  async get(who: Identity, id: string): Promise<Collection> {
    const collection = await this.#deps.collections.get(ownerOf(who), id);
    if (collection === null) throw noCollection();
    return collection;
  }

  list(who: Identity, page: IdPageRequest): Promise<IdPage<Collection>> {
    return this.#deps.collections.list(ownerOf(who), page);
  }

  async update(
    who: Identity,
    id: string,
    patch: { name?: string; metadata?: Record<string, string>; expiresDays?: number | null },
  ): Promise<Collection> {
    // What has ended cannot be given more time: there is nothing in it.
    if (patch.expiresDays !== undefined) await this.#live(who, id);
    if (!(await this.#deps.collections.update(ownerOf(who), id, patch))) throw noCollection();
    return this.get(who, id);
  }

  /** Its files' chunks, vectors and words go with it; running ingestions notice at their next step. */
  async delete(who: Identity, id: string): Promise<void> {
    if (!(await this.#deps.collections.delete(ownerOf(who), id))) throw noCollection();
    await this.#deps.writer.dropIndex(id);
  }

  async addFile(who: Identity, storeId: string, file: FileToAdd): Promise<CollectionFile> {
    await this.#live(who, storeId);
    await this.#addAll(who, storeId, [file], await this.#names(who, [file]), null);
    return this.file(who, storeId, file.fileId);
  }

  /** Files that are not there fail by themselves, the others are read. */
  async addBatch(who: Identity, storeId: string, files: readonly FileToAdd[]): Promise<string> {
    await this.#live(who, storeId);
    const batchId = newId('vsfb', this.#deps.random.bytes);
    await this.#addAll(who, storeId, files, await this.#names(who, files), batchId);
    return batchId;
  }

  async batch(who: Identity, storeId: string, batchId: string) {
    await this.get(who, storeId);
    const { createdAtMs, ...counts } = await this.#deps.files.batch(storeId, batchId);
    if (createdAtMs === Number.MAX_SAFE_INTEGER)
      throw new AppError('not_found', { message: 'There is no such batch.' });
    return { id: batchId, storeId, createdAtMs, counts };
  }

  async cancelBatch(who: Identity, storeId: string, batchId: string) {
    await this.batch(who, storeId, batchId);
    await this.#deps.files.cancelBatch(storeId, batchId);
    return this.batch(who, storeId, batchId);
  }

  async file(who: Identity, storeId: string, fileId: string): Promise<CollectionFile> {
    await this.get(who, storeId);
    const file = await this.#deps.files.get(storeId, fileId);
    if (file === null) throw noFile();
    return file;
  }

  async listFiles(who: Identity, storeId: string, filter: FileFilter): Promise<IdPage<CollectionFile>> {
    await this.get(who, storeId);
    return this.#deps.files.list(storeId, filter);
  }

  async setAttributes(who: Identity, storeId: string, fileId: string, attributes: Attributes): Promise<CollectionFile> {
    await this.get(who, storeId);
    if (!(await this.#deps.files.setAttributes(storeId, fileId, attributes))) throw noFile();
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

  async search(who: Identity, storeId: string, input: SearchInput, signal?: AbortSignal): Promise<SearchAnswer> {
    const { clock, collections, actFor } = this.#deps;
    const answer = await search(
      {
        ...input,
        owner: ownerOf(who),
        storeIds: [storeId],
        actingKey: () => actFor(who),
        param: 'vector_store_id',
        nowMs: clock.nowMs(),
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
    for (const { fileId } of files) {
      const facts = await this.#deps.source.facts({ ...ownerOf(who), keyId: who.keyId }, fileId);
      if (facts === null) throw new AppError('not_found', { message: 'There is no such file.', param: 'file_id' });
      names.set(fileId, facts.filename);
    }
    return names;
  }

  async #addAll(
    who: Identity,
    storeId: string,
    files: readonly FileToAdd[],
    names: ReadonlyMap<string, string>,
    batchId: string | null,
  ): Promise<void> {
    const { random, clock, jobs, files: store, collections } = this.#deps;
    const refs = [];
    for (const { fileId, attributes, chunking } of files) {
      const ref = { storeId, fileId, ingestId: newId('ing', random.bytes) };
      const added = await store.add({
        ...ref,
        ...chunking,
        attributes,
        batchId,
        keyId: who.keyId,
        filename: names.get(fileId)!,
        createdAtMs: clock.nowMs(),
      });
      if (added) refs.push(ref);
    }
    if (refs.length === 0) return;
    await collections.touch([storeId], clock.nowMs());
    await jobs.enqueue(refs);
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
