/** A question to one or several collections: by vector, by words, or both fused. */
import type { ChunkSearch, FoundChunk, Hit } from '@tollgate/shared/db/retrieval/chunk-search';
import {
  type Collection,
  type CollectionStore,
  hasExpired,
  type Owner,
} from '@tollgate/shared/db/retrieval/collections';
import type { Filter } from '@tollgate/shared/db/retrieval/filter-sql';
import { AppError } from '@tollgate/shared/domain/errors';
import type { Embed } from '../embed/client.ts';
import { fuse, merge } from './fuse.ts';

export type SearchMode = 'hybrid' | 'vector' | 'text';

export interface Question {
  owner: Owner;
  storeIds: readonly string[];
  text: string;
  mode: SearchMode;
  /** Results wanted, 1 to 50. */
  limit: number;
  /** 0 to 1; results below are left out. */
  scoreThreshold: number;
  filter: Filter | null;
  /** Who pays for the question's vector; called only when one is needed, after everything was checked. */
  actingKey: () => string | Promise<string>;
  /** Field that names the collections, for errors. */
  param: string;
  /** Now. */
  nowMs: number;
  /** Under this Idempotency-Key its vector is made and billed once; without one each time. */
  embedKey?: string | null;
  signal?: AbortSignal;
}

export interface FoundPassage extends FoundChunk {
  score: number;
}

export interface SearchAnswer {
  passages: FoundPassage[];
  /** Tokens that the question's vector cost. */
  embeddingTokens: number;
  collections: Collection[];
}

export interface SearchParts {
  collections: CollectionStore;
  chunks: ChunkSearch;
  embed: Embed;
}

/** Each search brings more than is wanted: fusion needs to see what only one of them put high. */
const POOL_FACTOR = 4;
const POOL_MIN = 40;

/** @throws {AppError} 404 for a collection that is not the owner's, before anything is charged. */
export async function search(question: Question, parts: SearchParts): Promise<SearchAnswer> {
  const collections: Collection[] = [];
  for (const id of new Set(question.storeIds)) {
    const collection = await parts.collections.get(question.owner, id);
    if (collection === null) {
      throw new AppError('not_found', { message: 'There is no such collection.', param: question.param });
    }
    if (hasExpired(collection, question.nowMs)) throw goneBy(question.param);
    collections.push(collection);
  }
  const pool = Math.max(POOL_MIN, question.limit * POOL_FACTOR);
  const vectors = question.mode === 'text' ? null : await embedQuestion(question, collections, parts.embed);
  const byVector: Hit[][] = [];
  const byWords: Hit[][] = [];
  for (const { id: storeId, model, dimensions } of collections) {
    const scope = { storeId, dimensions, filter: question.filter };
    if (vectors !== null) byVector.push(await parts.chunks.byVector(scope, vectors.of.get(model)!, pool));
    if (question.mode !== 'vector') byWords.push(await parts.chunks.byWords(scope, question.text, pool));
  }
  const lists = [byVector, byWords].filter((list) => list.length > 0).map((list) => merge(list, pool));
  const ranked = lists.length === 1 ? lists[0]! : fuse(lists);
  const wanted = ranked.filter(({ score }) => score >= question.scoreThreshold).slice(0, question.limit);
  const found = new Map((await parts.chunks.load(wanted.map(({ id }) => id))).map((chunk) => [chunk.id, chunk]));
  const passages = wanted.flatMap(({ id, score }) => {
    const chunk = found.get(id);
    return chunk === undefined ? [] : [{ ...chunk, score }];
  });
  return { passages, embeddingTokens: vectors?.tokens ?? 0, collections };
}

/** The collection is there, and nothing can be found in it or put into it any more. */
export function goneBy(param: string): AppError {
  return new AppError('not_found', {
    message: 'This collection has expired: its files are gone. Make a new one.',
    param,
  });
}

/** One vector per model that the collections use. */
async function embedQuestion(question: Question, collections: readonly Collection[], embed: Embed) {
  const of = new Map<string, Float32Array>();
  let tokens = 0;
  for (const { model, dimensions } of collections) {
    if (of.has(model)) continue;
    const { text, actingKey, signal } = question;
    const repeatKey = question.embedKey ? `${question.embedKey}:${of.size}` : null;
    const embedded = await embed(model, dimensions, [text], await actingKey(), signal, repeatKey);
    of.set(model, embedded.vectors[0]!);
    tokens += embedded.tokens;
  }
  return { of, tokens };
}
